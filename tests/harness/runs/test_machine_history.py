"""A machine's past says how far a median may be from the long run."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from facebench.harness.runs import machine_history
from facebench.harness.runs.machine_history import LEAST_HOURS, LongRun, Run, long_run

HOUR_S = 3600.0


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("FACEBENCH_CACHE", str(tmp_path))
    return tmp_path


def runs_of_machine(
    rng: np.random.Generator, hours: int, each: int = 3, between: float = 0.03, within: float = 0.01
) -> list[Run]:
    """Two cases on a machine whose hours differ, the same for both."""
    moods = rng.normal(0, between, hours)
    return [
        Run(case, hour * HOUR_S + 60 * k, base * float(np.exp(moods[hour] + rng.normal(0, within))))
        for hour in range(hours)
        for case, base in (("a", 5.0), ("b", 40.0))
        for k in range(each)
    ]


def test_the_spread_is_that_of_runs_in_different_hours() -> None:
    rng = np.random.default_rng(0)
    found = [long_run(runs_of_machine(rng, 30)) for _ in range(200)]
    variances = [one.spread**2 for one in found if one]
    assert np.mean(variances) == pytest.approx(0.03**2 + 0.01**2, rel=0.05)


@pytest.mark.parametrize("hours", [3, 6, 24])
def test_the_interval_covers_the_long_run_whatever_the_past(hours: int) -> None:
    """It is stated at 95 %; the run's own interval alone would cover a quarter."""
    rng = np.random.default_rng(hours)
    held = []
    for _ in range(1000):
        *past, now = runs_of_machine(rng, hours + 1, each=2)
        past = [run for run in past if run.hour != now.hour]
        known = long_run(past)
        assert known is not None
        own = (now.median_ms * 0.99, now.median_ms * 1.01)
        low, high = known.interval_ms(now.median_ms, own)
        held.append(low <= 40.0 <= high)
    assert 0.93 <= np.mean(held) <= 0.985


def test_too_few_hours_say_nothing() -> None:
    rng = np.random.default_rng(1)
    assert long_run([]) is None
    assert long_run(runs_of_machine(rng, LEAST_HOURS - 1, each=50)) is None
    alone = [Run(str(hour), hour * HOUR_S, 5.0) for hour in range(10)]
    assert long_run(alone) is None, "no case was seen in two hours"


@given(
    st.floats(0, 1), st.integers(LEAST_HOURS, 100), st.floats(0.1, 1e4), st.floats(0, 0.5),
    st.floats(0, 0.5),
)  # fmt: skip
def test_it_is_never_narrower_than_that_of_the_run(
    spread: float, hours: int, median: float, below: float, above: float
) -> None:
    own = (median * (1 - below), median * (1 + above))
    low, high = LongRun(spread, hours).interval_ms(median, own)
    assert low <= own[0] <= own[1] <= high


def test_the_past_is_kept_and_a_damaged_line_is_passed_over(own_cache: Path) -> None:
    run = Run("a", 3600.0, 5.0)
    machine_history.remember(run)
    (path,) = own_cache.iterdir()
    with path.open("a") as file:
        file.write(json.dumps(["b", 1]) + '\n["c", 0, -1]\n["d", 0, NaN]\nnull\n["e", ')
    assert machine_history.past() == [run]


def test_a_disk_that_is_full_forgets(own_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FACEBENCH_CACHE", str(own_cache / "file" / "below"))
    (own_cache / "file").write_text("no folder")
    machine_history.remember(Run("a", 0.0, 5.0))
    assert machine_history.past() == []
