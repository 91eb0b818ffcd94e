"""Tuning goes on where it was, and keeps what it found."""

import json
import os
import signal
from pathlib import Path

import pytest

from facebench.harness.compiler import records, tiling
from facebench.harness.compiler.records import TuningRecord
from facebench.harness.compiler.targets import TARGETS
from facebench.harness.compiler.workload import Depthwise, Window, Workload, key
from facebench.harness.models.export import Exported
from facebench.harness.tuning import places, tuning_run
from facebench.harness.tuning.listener import TuningListener
from facebench.harness.tuning.places import Goal
from facebench.harness.tuning.workloads import in_short, workloads
from tests.harness.tuning.fakes import KERNELS, REGISTERS, WORK, FakeCost

NARROW = Depthwise(1, (5, 5), (5, 5), 4, Window((3, 3), (1, 1), (1, 1)))
WIDE = Depthwise(1, (4, 4), (4, 4), 16, Window((3, 3), (1, 1), (1, 1)))
WORKS: list[Workload] = [WORK, NARROW, WIDE]
GOAL = Goal(TARGETS["cortex-a72"], (), KERNELS, "some-target")


@pytest.fixture(autouse=True)
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("FACEBENCH_TUNING", str(tmp_path))
    return tmp_path


class Silent(TuningListener):
    """Counts what it is told."""

    def __init__(self) -> None:
        self.done: list[str] = []

    def tuned(self, name: str, record: TuningRecord) -> None:
        self.done.append(record.workload)

    def failed(self, name: str, reason: str) -> None:
        self.done.append(reason)


def run(works: list[Workload], cost: FakeCost, trials: int = 4) -> Silent:
    watcher = Silent()
    tuning_run.run(GOAL, works, cost, trials, watcher)
    return watcher


def test_workloads_with_enough_trials_are_not_tuned_again() -> None:
    assert tuning_run.left(GOAL, WORKS, 4, missing=False) == WORKS
    run([WORK], FakeCost(lambda one: 1.0))
    assert tuning_run.left(GOAL, WORKS, 4, missing=False) == [NARROW, WIDE]
    assert tuning_run.left(GOAL, WORKS, 5, missing=False) == WORKS
    assert tuning_run.left(GOAL, WORKS, 5, missing=True) == [NARROW, WIDE]


def test_a_record_that_no_kernel_can_have_is_tuned_again(own: Path) -> None:
    run([WORK], FakeCost(lambda one: 1.0))
    path = own / "some-target.jsonl"
    line = json.loads(path.read_text())
    line["tiling"]["pixels"] = 99
    path.write_text(json.dumps(line) + "\n")
    assert tuning_run.left(GOAL, [WORK], 4, missing=True) == [WORK]


def test_records_of_targets_with_the_same_registers_are_alike() -> None:
    of_dots = places.goal(TARGETS["cortex-a55"], "int8")
    assert places.alike(of_dots) == [records.load("cortex-a76.int8")]
    assert records.load("cortex-a53") in places.alike(places.goal(TARGETS["cortex-a55"]))
    assert places.alike(places.goal(TARGETS["x86-64-v3"])) == []


def test_what_was_found_for_an_alike_target_is_tried_among_the_first(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    last = KERNELS.tilings(WORK)[-1]
    found = records.made(
        WORK, last, cost=1.0, scheduled=1.0, unit="cycles", how="made up", trials=1
    )
    monkeypatch.setattr(places, "alike", lambda goal: [{found.workload: found}])
    cost = FakeCost(lambda one: 1.0)
    run([WORK, NARROW], cost, trials=2)
    assert cost.asked[0] == [tiling.best(WORK, REGISTERS), last]


@pytest.mark.parametrize("swallowed", [False, True])
def test_what_was_found_before_ctrl_c_is_kept(swallowed: bool) -> None:
    """TVM swallows some interruptions; they end the search all the same."""

    def cost(one: object) -> float:
        if len(costs.asked) > 2:
            try:
                os.kill(os.getpid(), signal.SIGINT)
            except KeyboardInterrupt:
                if not swallowed:
                    raise
        return 1.0

    costs = FakeCost(cost)
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        run(WORKS, costs)
    assert set(records.load("some-target")) == {key(WORK)}
    assert tuning_run.left(GOAL, WORKS, 4, missing=False) == [NARROW, WIDE]
    assert signal.getsignal(signal.SIGINT) is before


def test_a_workload_that_fails_is_named_and_the_others_go_on() -> None:
    wrong = [tiling.best(NARROW, REGISTERS)]
    watcher = run(WORKS, FakeCost(lambda one: 1.0, wrong=wrong))
    assert [text for text in watcher.done if "differs from its definition" in text]
    assert set(records.load("some-target")) == {key(WORK), key(WIDE)}


def test_a_networks_workloads_are_what_its_compile_asks_for(tiny_exported: Exported) -> None:
    goal = places.goal(TARGETS["x86-64-v3"])
    found = workloads(tiny_exported, 1, goal.kernels.registers)
    assert [in_short(work) for work in found] == [
        "convolution 3x3/2 8x8 3->8 leaky",
        "depthwise 3x3 8x8 8 relu6",
        "convolution 8x8 1x1 8->8",
    ]
