"""Every kernel is held against its definition, at the ends of float32 too."""

import numpy as np
import pytest

from facebench.architectures.errors import WrongAnswerError
from facebench.harness.compiler import host, tiling
from facebench.harness.compiler.kernels.strassen import StrassenTiling
from facebench.harness.compiler.vectors import BYTE_FEATURES, ByteVectors, half_vectors
from facebench.harness.compiler.workload import (
    Convolution,
    Depthwise,
    Pooling,
    Window,
    Workload,
    key,
)
from facebench.harness.tuning import correctness, integer_kernels, operands
from facebench.harness.tuning.real_kernels import TOLERANCE, RealKernels, relative_error
from tests.harness.tuning.fakes import KERNELS, REGISTERS, WORK, FakeCost

# Without instructions that not every machine of today has.
AVX2 = ByteVectors(8, 16, dot=False)
executed = pytest.mark.skipif(
    not host.executes(BYTE_FEATURES[0]), reason="this machine lacks avx2 or fma"
)

HALVING = Window((3, 3), (2, 2), (1, 1))
WORKLOADS: list[Workload] = [
    WORK,
    Convolution(1, (5, 5), (5, 5), 6, 10, Window((1, 1)), epilogue=("leaky",)),
    Convolution(1, (9, 9), (5, 5), 3, 6, HALVING, planar=True, epilogue=("prelu",)),
    Convolution(1, (4, 4), (4, 4), 6, 9, Window((1, 1)), 3, 3, epilogue=("add", "relu6")),
    Depthwise(2, (7, 5), (4, 3), 5, HALVING, epilogue=("add",)),
    Pooling(1, (6, 6), (3, 3), 5, HALVING, "max"),
    Pooling(1, (6, 6), (1, 1), 5, Window((6, 6)), "mean"),
]


@pytest.mark.parametrize("work", WORKLOADS, ids=key)
def test_the_models_choice_computes_its_workload(work: Workload) -> None:
    correctness.require(FakeCost(lambda one: 1.0), work, tiling.best(work, REGISTERS))


def test_seven_products_are_right_beside_the_largest_sum() -> None:
    """Sums of 1e30 have no digits for those that an output of at most 6 is made of."""
    pointwise = Convolution(1, (4, 4), (4, 4), 12, 10, Window((1, 1)), epilogue=("relu6",))
    tiling = StrassenTiling(pixels=4, vectors=1, unroll=4, chunk=8)
    correctness.require(FakeCost(lambda one: 1.0), pointwise, tiling)
    with pytest.raises(WrongAnswerError, match="on random operands"):
        correctness.require(FakeCost(lambda one: 1.0, wrong=[tiling]), pointwise, tiling)


def test_a_kernel_that_is_a_little_off_is_refused_and_named() -> None:
    chosen = tiling.best(WORK, REGISTERS)
    with pytest.raises(WrongAnswerError, match="1.0e-03 of the largest element on random"):
        correctness.require(FakeCost(lambda one: 1.0, wrong=[chosen]), WORK, chosen)


@pytest.mark.parametrize("work", WORKLOADS, ids=key)
def test_extreme_operands_have_finite_answers(work: Workload) -> None:
    for word, given in operands.extreme(work):
        (answer,) = KERNELS.defined(work, [given])
        assert np.isfinite(answer).all(), word


def test_an_answer_that_is_no_number_is_wrong() -> None:
    right = np.ones(3, np.float32)
    assert not relative_error(right * np.nan, right) <= TOLERANCE
    assert not relative_error(right * np.inf, right) <= TOLERANCE


def test_denormal_answers_are_compared_as_far_as_they_have_digits() -> None:
    tiny = np.full(3, 1e-42, np.float32)
    assert relative_error(tiny, tiny * 2) == 0
    assert relative_error(np.full(3, 1e-36, np.float32), tiny) > 1


INTEGER_WORKLOADS: list[Workload] = [
    Convolution(1, (5, 5), (5, 5), 8, 20, Window((1, 1)), epilogue=("prelu", "short")),
    Convolution(1, (7, 7), (4, 4), 4, 36, HALVING, epilogue=("add", "limits")),
    Convolution(1, (4, 4), (1, 1), 8, 12, Window((4, 4)), epilogue=("real",)),
    Convolution(2, (4, 4), (4, 4), 24, 24, Window((1, 1)), 3, epilogue=("add", "leaky")),
    Depthwise(1, (7, 5), (7, 5), 12, Window((3, 3), (1, 1), (1, 1)), epilogue=("prelu",)),
]


@executed
@pytest.mark.parametrize("work", INTEGER_WORKLOADS, ids=key)
def test_kernels_of_integers_have_the_bits_of_their_definition(work: Workload) -> None:
    cost = FakeCost(lambda one: 1.0, kernels=integer_kernels.IntegerKernels(AVX2))
    first, *_, last = cost.kernels.tilings(work)
    for chosen in (first, last):
        correctness.require(cost, work, chosen)


@executed
@pytest.mark.parametrize("kernel", [2, 3])
def test_two_rows_of_outputs_have_the_bits_of_their_definition(kernel: int) -> None:
    # The last row of five is alone.
    window = Window((kernel, kernel), (1, 1), (kernel - 2, 1))
    size = (6 if kernel == 2 else 5, 8 - kernel // 3)
    output = (5, size[1] + 3 - kernel)
    work = Depthwise(2, size, output, 44, window, epilogue=("prelu", "limits"))
    kernels = integer_kernels.IntegerKernels(AVX2)
    several = [one for one in kernels.tilings(work) if getattr(one, "rows", 1) == 2]
    cost = FakeCost(lambda one: 1.0, kernels=kernels)
    for chosen in several[:: len(several) - 1]:
        correctness.require(cost, work, chosen)


@executed
def test_one_wrong_byte_is_refused() -> None:
    work = INTEGER_WORKLOADS[0]
    kernels = integer_kernels.IntegerKernels(AVX2)
    first = kernels.tilings(work)[0]
    with pytest.raises(WrongAnswerError, match="differs from its definition by inf"):
        correctness.require(FakeCost(lambda one: 1.0, wrong=[first], kernels=kernels), work, first)


@pytest.mark.parametrize("work", [WORK, WORKLOADS[1]], ids=key)
def test_half_precision_is_held_to_its_last_bit(work: Workload) -> None:
    here = half_vectors("x86_64-linux-gnu", ["avx", "avx2"])
    cost = FakeCost(lambda one: 1.0, kernels=RealKernels(here))
    correctness.require(cost, work, cost.kernels.tilings(work)[-1])
    assert cost.kernels.tolerance == 0
