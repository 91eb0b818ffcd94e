"""Costs on an emulated core, and its kernels' answers; skipped where it is not set up."""

from __future__ import annotations

import importlib
import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest

from facebench.architectures.errors import (
    RefusedError,
    UnavailableError,
    UnknownNameError,
    WrongAnswerError,
)
from facebench.harness.compiler.targets import TARGETS
from facebench.harness.compiler.tvm import import_tvm
from facebench.harness.compiler.workload import Convolution, Depthwise, Pooling, Window, Workload
from facebench.harness.devices.emulator.setup import Emulated
from tests.harness.devices.emulator.conftest import emulated, emulated_here  # noqa: F401  # fixtures
from tests.sampling import today

import_tvm()  # without torch, before what needs it
tuning: Any = importlib.import_module("facebench.harness.tuning.emulated")
costs: Any = importlib.import_module("facebench.harness.tuning.costs")
places: Any = importlib.import_module("facebench.harness.tuning.places")
operands: Any = importlib.import_module("facebench.harness.tuning.operands")
tiling: Any = importlib.import_module("facebench.harness.compiler.tiling")
correctness: Any = importlib.import_module("facebench.harness.tuning.correctness")

POINTWISE = Convolution(1, (6, 5), (6, 5), 12, 16, Window((1, 1)), epilogue=("add", "leaky"))
FIRST = Convolution(
    1, (9, 8), (5, 4), 3, 8, Window((3, 3), (2, 2), (1, 1)), planar=True, epilogue=("prelu",)
)
DEPTHWISE = Depthwise(2, (5, 5), (5, 5), 12, Window((3, 3), (1, 1), (1, 1)), epilogue=("relu6",))
# So many multiply-adds that what else a kernel does, as to share its work, is little beside them.
BUSY = replace(POINTWISE, channels=48)
POOLING = Pooling(1, (6, 6), (3, 3), 8, Window((2, 2), (2, 2)), "max")
WORKLOADS = [POINTWISE, FIRST, DEPTHWISE, POOLING]


@pytest.fixture
def cost(emulated_here: Emulated) -> Any:  # noqa: F811
    return of_core("cortex-a72", "fp32")


def of_core(core: str, precision: str = "fp32") -> Any:
    return tuning.EmulatedCost(core, places.goal(TARGETS[core], precision).kernels)


def best(cost: Any, work: Workload) -> Any:
    return tiling.best(work, cost.kernels.registers)


def some(cost: Any, work: Workload, count: int = 4) -> list[Any]:
    """Tilings from one end to the other."""
    every = list(tiling.candidates(work, cost.kernels.registers))
    return every[:: max(len(every) // count, 1)]


@pytest.mark.parametrize("work", WORKLOADS, ids=lambda work: type(work).__name__)
def test_a_kernel_gives_what_its_definition_does(cost: Any, work: Workload) -> None:
    correctness.require(cost, work, best(cost, work))


def test_every_operand_has_its_own_answer(cost: Any) -> None:
    one = operands.random(POOLING)
    other = replace(one, input=-one.input)
    high, low = cost.outputs(POOLING, best(cost, POOLING), [one, other])
    windows = one.input.reshape(1, 3, 2, 3, 2, 8)
    np.testing.assert_array_equal(high, windows.max(axis=(2, 4)))
    np.testing.assert_array_equal(low, -windows.min(axis=(2, 4)))


@pytest.mark.parametrize("work", [POINTWISE, DEPTHWISE], ids=lambda work: type(work).__name__)
def test_a_cost_is_at_least_what_multiply_adds_take(cost: Any, work: Any) -> None:
    # One multiply-add of four workers a cycle.
    for found in cost.measure_all(work, some(cost, work)):
        assert isinstance(found, float)
        assert math.isfinite(found)
        assert found > work.madds / 4


def test_a_cost_hangs_little_on_what_else_is_measured(cost: Any) -> None:
    tilings = some(cost, POINTWISE)
    together = cost.measure_all(POINTWISE, tilings)
    alone = [cost.measure_all(POINTWISE, [tiling])[0] for tiling in tilings]
    # Few misses are many of a kernel as small as this.
    assert together == pytest.approx(alone, rel=0.05)


@pytest.mark.parametrize(
    ("cycles", "instructions", "taken"),
    [
        (0.996, 1.0, True),
        (0.998, 0.9, False),
        (0.975, 1.001, False),
        (0.965, 1.02, True),
        (0.965, 1.04, False),
        (0.8, 1.24, True),
        (0.8, 1.26, False),
    ],
)
def test_fewer_cycles_are_a_gain_where_the_model_can_rank_them_and_instructions_do_not_outweigh_it(
    cycles: float, instructions: float, taken: bool
) -> None:
    assert tuning.gains(cycles, instructions) is taken


def test_instructions_of_what_was_measured_are_compared(cost: Any) -> None:
    few = best(cost, BUSY)
    many = replace(few, pixels=1)  # whose weights are loaded for each pixel
    cost.measure_all(BUSY, [few, many])
    assert cost.cheaper(BUSY, few, many, 0.99)
    assert not cost.cheaper(BUSY, many, few, 0.99)


def test_twice_the_work_costs_about_twice(cost: Any) -> None:
    chosen = replace(best(cost, BUSY), chunk=30)
    twice = replace(BUSY, channels=96)
    (less,), (more,) = (cost.measure_all(work, [chosen]) for work in (BUSY, twice))
    assert 1.3 < more / less < 2.2


def test_a_tile_of_one_sum_waits_for_it(cost: Any) -> None:
    work = Convolution(1, (8, 8), (8, 8), 64, 64, Window((1, 1)))
    chosen = best(cost, work)
    single = replace(chosen, pixels=1, vectors=1)
    fast, slow = cost.measure_all(work, [chosen, single])
    # Three cycles for one on its busiest unit, but for what the window has of the next tile; what
    # both read and write costs the same.
    assert slow > 1.5 * fast


def test_weights_come_from_memory_and_the_input_does_not(cost: Any) -> None:
    weights = Convolution(1, (1, 1), (1, 1), 512, 256, Window((1, 1)))
    maps = Convolution(1, (64, 64), (64, 64), 32, 4, Window((1, 1)))
    assert weights.madds * 4 == maps.madds
    assert weights.channels * weights.filters == math.prod(maps.input) * maps.channels
    (of_weights,), (of_maps,) = (
        cost.measure_all(work, [best(cost, work)]) for work in (weights, maps)
    )
    # Half a megabyte from memory takes longer than four times the multiply-adds.
    assert of_weights - weights.madds / 2 > of_maps - maps.madds / 2


@dataclass(frozen=True)
class Broken:
    """A tiling that no kernel can be emitted for."""

    vectors: int = 1


def test_a_tiling_that_fails_does_not_spoil_the_others(cost: Any) -> None:
    chosen = best(cost, POINTWISE)
    first, broken, last = cost.measure_all(POINTWISE, [chosen, Broken(), chosen])
    assert isinstance(broken, costs.Failure)
    assert "TVM makes no code of the kernel" in broken.reason
    assert first == pytest.approx(last)
    with pytest.raises(WrongAnswerError, match="makes no code"):
        cost.outputs(POINTWISE, Broken(), [operands.random(POINTWISE)])


def test_how_a_cost_was_obtained_is_said(cost: Any) -> None:
    assert cost.how == "modelled for cortex-a72 by its simulated pipeline, counted under QEMU"
    assert cost.unit == "cycles"


def test_a_core_without_figures_is_refused(emulated_here: Emulated) -> None:  # noqa: F811
    with pytest.raises(RefusedError, match=r"no figures of cortex-a7 .*cortex-a53"):
        of_core("cortex-a7")


def test_an_unknown_core_is_answered_with_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match="did you mean .*cortex-a72"):
        tuning.EmulatedCost("cortex-a27", None)


def test_without_a_set_up_the_command_is_named() -> None:
    with pytest.raises(UnavailableError, match="facebench device setup-emulated"):
        of_core("cortex-a72")


@pytest.mark.parametrize(
    ("core", "precision"), [("cortex-a76", "fp16"), ("cortex-a76", "int8"), ("cortex-a53", "int8")]
)
def test_kernels_of_less_precision_have_their_bits_and_costs(
    emulated_here: Emulated,  # noqa: F811
    core: str,
    precision: str,
) -> None:
    cost = of_core(core, precision)
    work = Convolution(1, (6, 5), (6, 5), 12, 16, Window((1, 1)), epilogue=("add", "prelu"))
    first, second, *_ = cost.kernels.tilings(work)
    correctness.require(cost, work, second)
    assert all(found > work.madds / 64 for found in cost.measure_all(work, [first, second]))


@pytest.mark.parametrize("core", today(["cortex-a76", "cortex-a53"], 1))
def test_two_rows_of_outputs_have_their_bits(
    emulated_here: Emulated,  # noqa: F811
    core: str,
) -> None:
    cost = of_core(core, "int8")
    # The last row is alone, and the last channels fill a register by half.
    work = Depthwise(
        1, (5, 7), (5, 7), 44, Window((3, 3), (1, 1), (1, 1)), epilogue=("prelu", "short")
    )
    several = [one for one in cost.kernels.tilings(work) if one.rows == 2 and one.width == 16]
    correctness.require(cost, work, several[0])


def test_a_core_without_the_instructions_is_refused() -> None:
    with pytest.raises(RefusedError, match="fp16 are tuned for CPUs that have fullfp16, and .*a72"):
        places.goal(TARGETS["cortex-a72"], "fp16")
