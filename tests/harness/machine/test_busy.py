"""What others take of a machine is read from /proc, and a quiet moment is waited for."""

from dataclasses import replace
from pathlib import Path

import pytest

from facebench.harness.machine import busy, reference
from facebench.harness.machine.busy import Share, Ticks

# user nice system idle iowait irq softirq steal guest guest_nice
STAT = """cpu  {user} 0 100 800 0 0 0 {steal} 0 0
cpu0 {user} 0 50 400 0 0 0 {steal} 0 0
cpu1 0 0 50 400 0 0 0 0 0 0
intr 1 2 3
"""


def machine(folder: Path, user: int = 100, steal: int = 0) -> Path:
    (folder / "proc").mkdir(exist_ok=True)
    (folder / "proc/stat").write_text(STAT.format(user=user, steal=steal))
    (folder / "proc/loadavg").write_text("1.50 1.00 0.50 1/100 1234\n")
    return folder


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FACEBENCH_CACHE", str(tmp_path))


def test_counts_of_the_kernel_are_seconds_of_all_cpus(tmp_path: Path) -> None:
    ticks = busy.look(machine(tmp_path, steal=10))
    assert ticks is not None
    assert (ticks.busy_s, ticks.stolen_s, ticks.total_s, ticks.cpus) == (2.0, 0.1, 10.1, 2)
    assert busy.by_cpu(tmp_path) == {0: 160, 1: 50}
    assert busy.load_1min(tmp_path) == 1.5


def test_ones_own_work_is_not_that_of_others() -> None:
    before, after = Ticks(100, 50, 0, 1, 4), Ticks(104, 53, 1, 2, 4)
    share = busy.between(before, after)
    assert share == Share(stolen=0.25, others=2.0, cpus=4)


@pytest.mark.parametrize(
    ("share", "threads", "leaves"),
    [
        (Share(0.0, 0.0, 2), 2, True),
        (Share(0.0, 1.0, 2), 1, True),
        (Share(0.0, 1.0, 2), 2, False),
        (Share(0.1, 0.0, 2), 1, False),
        (Share(0.0, 0.1, 2), 4, True),
    ],
)
def test_others_may_have_the_cpus_that_a_case_does_not_need(
    share: Share, threads: int, leaves: bool
) -> None:
    assert share.leaves(threads) is leaves


@pytest.fixture
def kernel(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Times of the reference kernel to come; the fastest that is known is 10."""
    times: list[float] = []
    reference.fastest_us(10.0)
    monkeypatch.setattr(busy, "_LOOK_S", 0.001)
    monkeypatch.setattr(reference, "time_us", lambda: times.pop(0) if times else 30.0)
    return times


def test_a_busy_machine_is_waited_for_and_a_quiet_one_is_not(
    tmp_path: Path, kernel: list[float]
) -> None:
    kernel += [30.0, 20.0, 11.0, 99.0]
    waited = busy.wait_for_quiet(1, 60, machine(tmp_path))
    assert waited.quiet
    assert waited.slowness == pytest.approx(1.1)
    assert waited.load_1min == 1.5
    assert kernel == [99.0]


def test_a_look_long_enough_ago_is_not_waited_for_again(
    tmp_path: Path, kernel: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(busy, "_LOOK_S", 60.0)
    kernel += [11.0]
    now = busy.look(machine(tmp_path))
    assert now is not None
    quiet_since = replace(now, total_s=now.total_s - 61 * now.cpus, busy_s=now.busy_s - 1)
    waited = busy.wait_for_quiet(1, 60, machine(tmp_path), since=quiet_since)
    assert waited.quiet
    assert waited.seconds < 10
    assert waited.share is not None
    assert waited.share.others == pytest.approx(1 / 61, abs=0.02)


def test_the_wait_for_quiet_ends_and_says_what_it_saw(tmp_path: Path, kernel: list[float]) -> None:
    waited = busy.wait_for_quiet(1, 0.05, machine(tmp_path))
    assert not waited.quiet
    assert waited.seconds >= 0.05
    assert waited.slowness == pytest.approx(3.0)


def test_a_machine_that_shows_nothing_is_no_error(tmp_path: Path, kernel: list[float]) -> None:
    assert busy.look(tmp_path) is None
    assert busy.by_cpu(tmp_path) == {}
    kernel += [10.0]
    waited = busy.wait_for_quiet(1, 60, tmp_path)
    assert (waited.quiet, waited.share, waited.load_1min) == (True, None, None)
