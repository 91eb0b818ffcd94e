from __future__ import annotations

import os
import sys
import time
import tomllib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from facebench.architectures.errors import BadInputError, UnknownNameError
from facebench.harness.comparison.interleaved.python_environment import PythonEnvironment
from facebench.harness.comparison.revisions import kept, launch, plans, together, turns
from facebench.harness.comparison.revisions.plans import Halves
from facebench.harness.records.case import Case
from facebench.harness.records.latency import Latency
from facebench.harness.records.record import Record
from facebench.harness.records.store import RECORDS, Store
from facebench.harness.storage.progress import SILENT, Progress
from tests.reports.report_records import cost

COST = cost("mobilefacenet")
TIME = Record(
    Case("latency", "mobilefacenet", runtime="ncnn"),
    "measured", "ok", Latency((1.0,), (), 1.0, 0.0), fingerprint="f",
)  # fmt: skip
PLANS = [Halves("ci.toml", "exact", "timed")] * 2


class Runs:
    """`launch.run` that measures nothing: which side ran what, and what it knew by then."""

    def __init__(self, stop_at: int = 1000, found: Sequence[Record] = (COST, TIME)) -> None:
        self.done: list[tuple[str, str, list[str]]] = []
        self._stop_at = stop_at
        self._found = found

    def __call__(
        self,
        environment: PythonEnvironment,
        plan: str,
        folder: Path,
        known: Sequence[Record],
        progress: Progress,
    ) -> list[Record]:
        if len(self.done) == self._stop_at:
            raise KeyboardInterrupt
        self.done.append((environment.name, plan, [record.case.measure for record in known]))
        found = [one for one in self._found if plan != "exact" or one is not TIME]
        for record in found:
            Store(folder / RECORDS).append(record)
        progress.newest("a case")
        progress.at(1, 1)
        return found


@pytest.fixture
def environments(tmp_path: Path) -> list[PythonEnvironment]:
    return [PythonEnvironment(name, Path(sys.executable), {}, tmp_path) for name in ("BASE", "NEW")]


def measured(
    runs: Runs,
    environments: Sequence[PythonEnvironment],
    folder: Path,
    rounds: int = 3,
    plans: object = PLANS,
) -> tuple[list[list[Record]], int]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(launch, "run", runs)
        patch.setattr(together, "able", lambda environment: False)
        return turns.measure(environments, plans, rounds, folder, SILENT)  # type: ignore[arg-type]


def test_what_is_exact_is_obtained_once_and_times_in_turns(
    environments: list[PythonEnvironment], tmp_path: Path
) -> None:
    runs = Runs()
    records, rounds = measured(runs, environments, tmp_path / "rounds")
    assert [(name, plan) for name, plan, _ in runs.done] == [
        ("BASE", "exact"), ("NEW", "exact"),
        ("BASE", "timed"), ("NEW", "timed"),
        ("NEW", "timed"), ("BASE", "timed"),
        ("BASE", "timed"), ("NEW", "timed"),
    ]  # fmt: skip
    assert [known for *_, known in runs.done] == [[], [], *[["cost"]] * 6]
    assert rounds == 3
    for side in records:
        assert [record.case.measure for record in side] == ["cost", *["latency"] * 3]


@pytest.mark.parametrize("stop_at", range(8))
def test_an_interruption_loses_the_round_in_hand_alone(
    stop_at: int, environments: list[PythonEnvironment], tmp_path: Path
) -> None:
    with pytest.raises(KeyboardInterrupt):
        measured(Runs(stop_at), environments, tmp_path / "rounds")
    runs = Runs()
    records, _ = measured(runs, environments, tmp_path / "rounds")
    assert len(runs.done) == 8 - stop_at // 2 * 2
    assert [len(side) for side in records] == [4, 4]


def test_more_rounds_go_on_and_those_of_yesterday_do_not(
    environments: list[PythonEnvironment], tmp_path: Path
) -> None:
    measured(Runs(), environments, tmp_path / "rounds")
    runs = Runs()
    assert len(measured(runs, environments, tmp_path / "rounds", 5)[0][0]) == 6
    assert len(runs.done) == 4
    yesterday = time.time() - 25 * 3600
    for path in (tmp_path / "rounds").glob("*/complete"):
        os.utime(path, (yesterday, yesterday))
    again = Runs()
    measured(again, environments, tmp_path / "rounds")
    assert len(again.done) == 8


def test_one_round_is_enough_where_nothing_is_timed(
    environments: list[PythonEnvironment], tmp_path: Path
) -> None:
    runs = Runs(found=[COST])
    records, rounds = measured(runs, environments, tmp_path / "rounds")
    assert (len(runs.done), rounds) == (4, 0)
    assert [len(side) for side in records] == [1, 1]
    runs = Runs()
    counted = [Halves("ci.toml", "exact", "")] * 2
    assert measured(runs, environments, tmp_path / "counts", plans=counted)[1] == 0
    assert len(runs.done) == 2
    runs = Runs()
    timed = [Halves("ci.toml", "", "timed")] * 2
    records, _ = measured(runs, environments, tmp_path / "times", plans=timed)
    assert [known for *_, known in runs.done] == [[], [], *[["cost"]] * 4]


def test_a_plan_in_two_is_a_plan(environments: list[PythonEnvironment], tmp_path: Path) -> None:
    (tmp_path / "plans").mkdir()
    (tmp_path / "plans" / "ci.toml").write_text(
        'networks = ["onnx:é\\"\\\\.onnx"]\nruntimes = ["ncnn"]\nsampling_s = 1e-3\npin = false\n'
        'devices = ["local", "emulated:kryo"]\nemulated = ["cortex-a72"]\nprocesses = 4\n'
        '[weights]\nmobilefacenet = "w.pth"\n'
    )
    halves = plans.halves("plans/ci.toml", environments[0])
    exact, timed = tomllib.loads(halves.exact), tomllib.loads(halves.timed)
    for half in (exact, timed):
        assert half["networks"] == ['onnx:é"\\.onnx']
        assert half["weights"] == {"mobilefacenet": str(tmp_path / "plans/w.pth")}
        assert (half["sampling_s"], half["pin"]) == (1e-3, False)
    assert (exact["runtimes"], exact["devices"]) == ([], ["emulated:kryo"])
    assert exact["emulated"] == ["cortex-a72"]
    assert (timed["runtimes"], timed["devices"], timed["processes"]) == (["ncnn"], ["local"], 1)
    assert timed["targets"] == timed["datasets"] == timed["emulated"] == []


def test_only_what_is_wanted_is_in_it(
    environments: list[PythonEnvironment], tmp_path: Path
) -> None:
    counts = plans.halves("quick", environments[0], ["cost"])
    assert counts.timed == ""
    assert tomllib.loads(counts.exact)["datasets"] == []
    assert plans.halves("quick", environments[0], ["latency"]).exact == ""
    with pytest.raises(UnknownNameError, match="unknown measure"):
        plans.halves("quick", environments[0], ["speed"])
    with pytest.raises(BadInputError, match=r"BASE has no plan ci\.toml"):
        plans.halves("ci.toml", environments[0])
    (tmp_path / "ci.toml").write_text("networks = [")
    with pytest.raises(BadInputError, match=r"BASE: ci\.toml is no plan that can be read"):
        plans.halves("ci.toml", environments[0])


TEXTS = st.text(st.characters(codec="utf-8"))
VALUES = TEXTS | st.booleans() | st.integers(-(2**53), 2**53) | st.lists(TEXTS)


@given(st.dictionaries(TEXTS, VALUES | st.dictionaries(TEXTS, TEXTS)))
def test_any_plan_is_written_as_it_was(plan: dict[str, object]) -> None:
    assert tomllib.loads(plans.to_toml(plan)) == plan


def test_what_a_side_says_no_to_names_it(
    environments: list[PythonEnvironment], tmp_path: Path
) -> None:
    with pytest.raises(BadInputError, match="BASE, its own facebench: the plan: unknown key 'x'"):
        launch.run(environments[0], "x = 1\n", tmp_path / "out", [], SILENT)
    broken = replace(environments[0], python=Path("/bin/false"))
    with pytest.raises(BadInputError, match="BASE, its own facebench: it ended with exit code 1"):
        launch.run(broken, "", tmp_path / "none", [], SILENT)


def test_a_lock_is_held_by_one_and_says_that_it_waits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FACEBENCH_CACHE", str(tmp_path))
    waits: list[str] = []

    def nested() -> None:
        waits.append("waits")
        raise BlockingIOError  # rather than to wait for ourselves

    with kept.locked(tmp_path / "a.lock", nested):
        with pytest.raises(BlockingIOError), kept.locked(tmp_path / "a.lock", nested):
            pass
        with kept.locked(tmp_path / "b.lock", nested):
            pass
    with kept.locked(tmp_path / "a.lock", nested):
        pass
    assert waits == ["waits"]
