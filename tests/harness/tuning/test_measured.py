"""Kernels are timed in a process that may die of them."""

import os
import signal
from pathlib import Path
from typing import Any

import pytest

from facebench.architectures.errors import (
    LostError,
    RefusedError,
    UnavailableError,
    WrongAnswerError,
)
from facebench.harness.compiler import host, tiling
from facebench.harness.compiler.kernels.strassen import StrassenTiling
from facebench.harness.compiler.targets import TARGETS
from facebench.harness.compiler.workload import Convolution, Window
from facebench.harness.machine import environment
from facebench.harness.tuning import bench, correctness, measured, operands, places
from facebench.harness.tuning.costs import Failure
from facebench.harness.tuning.measured import MeasuredCost
from facebench.harness.tuning.real_kernels import RealKernels
from tests.harness.devices.board.conftest import Served, facebench_device
from tests.harness.tuning.fakes import WORK

HERE = places.goal(TARGETS["host"])
REGISTERS: Any = HERE.kernels.registers
CHOSEN = tiling.best(WORK, REGISTERS)


@pytest.fixture(autouse=True)
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measured, "_SECONDS", 0.01)


def test_kernels_of_this_machine_are_timed_and_right() -> None:
    with places.costs(HERE) as cost:
        first, second = cost.measure_all(WORK, list(tiling.candidates(WORK, REGISTERS))[:2])
        assert isinstance(first, float)
        assert isinstance(second, float)
        assert 0 < first < 0.01
        assert cost.how == f"measured on {environment.identity()['cpu_model']}"
        correctness.require(cost, WORK, CHOSEN)


def test_kernels_with_more_weights_are_timed_beside_others() -> None:
    work = Convolution(1, (4, 4), (4, 4), 8, 8, Window((1, 1)))
    others = StrassenTiling(pixels=4, vectors=1, unroll=4, chunk=8)
    with places.costs(HERE) as cost:
        found = cost.measure_all(work, [tiling.best(work, REGISTERS), others])
    assert all(isinstance(seconds, float) for seconds in found)


def test_a_kernel_that_crashes_spoils_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    good, bad = list(tiling.candidates(WORK, REGISTERS))[:2]
    asked = MeasuredCost._measured

    def crash(self: MeasuredCost, work: object, tilings: object) -> list[float]:
        if bad in tilings:  # type: ignore[operator]
            assert self._bench is not None
            os.kill(self._bench._process.pid, signal.SIGSEGV)
        return asked(self, work, tilings)  # type: ignore[arg-type]

    monkeypatch.setattr(MeasuredCost, "_measured", crash)
    with places.costs(HERE) as cost:
        first, second = cost.measure_all(WORK, [good, bad])
    assert isinstance(first, float)
    assert second == Failure("the kernel ended its process by SIGSEGV")


def test_a_kernel_without_code_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*given: object) -> None:
        raise ValueError("no such loop")

    monkeypatch.setattr(RealKernels, "function", broken)
    with places.costs(HERE) as cost:
        assert cost.measure_all(WORK, [CHOSEN]) == [
            Failure("TVM makes no code of the kernel: no such loop")
        ]
        with pytest.raises(WrongAnswerError, match="no such loop"):
            cost.outputs(WORK, CHOSEN, [operands.random(WORK)])


def test_code_for_another_architecture_is_refused() -> None:
    wanted = places.goal(TARGETS["cortex-a72"])
    with (
        pytest.raises(RefusedError, match="target cortex-a72 is code for AARCH64"),
        places.costs(wanted, "local"),
    ):
        pass


def test_an_emulated_core_of_another_name_is_refused() -> None:
    wanted = places.goal(TARGETS["cortex-a72"])
    with (
        pytest.raises(RefusedError, match="runs code for target cortex-a53"),
        places.costs(wanted, "emulated:cortex-a53"),
    ):
        pass


def test_kernels_are_timed_on_a_board(cache_folder: Path) -> None:
    served = Served(facebench_device("serve", "--port", "0"))
    try:
        with places.costs(HERE, f"rpc://127.0.0.1:{served.port}") as cost:
            (seconds,) = cost.measure_all(WORK, [CHOSEN])
            assert isinstance(seconds, float)
            assert 0 < seconds < 0.01
            correctness.require(cost, WORK, CHOSEN)
    finally:
        served.kill()


def test_a_board_that_is_not_there_is_named() -> None:
    with (
        pytest.raises(UnavailableError, match="there is no host 'nowhere.invalid'"),
        places.costs(HERE, "rpc://nowhere.invalid:9090"),
    ):
        pass


def test_a_lost_device_ends_the_search(monkeypatch: pytest.MonkeyPatch) -> None:
    with places.costs(HERE) as cost:
        assert isinstance(cost, MeasuredCost)
        monkeypatch.setattr(
            measured._Bench, "ask", lambda self, request: (_ for _ in ()).throw(LostError("gone"))
        )
        with pytest.raises(LostError, match="gone"):
            cost.measure_all(WORK, [CHOSEN])


def test_the_lowest_time_counts_unless_the_ratio_says_it_was_luck() -> None:
    steady = [{"first": 1.0, "second": 0.8} for _ in range(9)]
    assert bench.seconds("second", "first", steady) == pytest.approx(0.8)
    # A busy machine slows both, now and then.
    busy = [*steady, {"first": 3.0, "second": 2.4}]
    assert bench.seconds("second", "first", busy) == pytest.approx(0.8)
    lucky = [{"first": 1.0, "second": 1.0} for _ in range(9)] + [{"first": 1.0, "second": 0.5}]
    assert bench.seconds("second", "first", lucky) == pytest.approx(1.0)


def test_code_that_this_machine_does_not_execute_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(host, "_flags", lambda: frozenset({"avx2"}))
    with (
        pytest.raises(RefusedError, match="target x86-64-v4 is code with .*avx512f"),
        places.costs(places.goal(TARGETS["x86-64-v4"]), "local"),
    ):
        pass
