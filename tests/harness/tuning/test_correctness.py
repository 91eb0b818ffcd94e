"""Every kernel is held against its definition, at the ends of float32 too."""

import numpy as np
import pytest

from facebench.architectures.errors import WrongAnswerError
from facebench.harness.compiler import tiling
from facebench.harness.compiler.workload import (
    Convolution,
    Depthwise,
    Pooling,
    Window,
    Workload,
    key,
)
from facebench.harness.tuning import correctness, operands
from tests.harness.tuning.fakes import REGISTERS, WORK, FakeCost

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


def test_a_kernel_that_is_a_little_off_is_refused_and_named() -> None:
    chosen = tiling.best(WORK, REGISTERS)
    with pytest.raises(WrongAnswerError, match="1.0e-03 of the largest element on random"):
        correctness.require(FakeCost(lambda one: 1.0, wrong=[chosen]), WORK, chosen)


@pytest.mark.parametrize("work", WORKLOADS, ids=key)
def test_extreme_operands_have_finite_answers(work: Workload) -> None:
    for word, given in operands.extreme(work):
        (answer,) = correctness._defined(work, [given])
        assert np.isfinite(answer).all(), word


def test_an_answer_that_is_no_number_is_wrong() -> None:
    right = np.ones(3, np.float32)
    assert not correctness.relative_error(right * np.nan, right) <= correctness.TOLERANCE
    assert not correctness.relative_error(right * np.inf, right) <= correctness.TOLERANCE


def test_denormal_answers_are_compared_as_far_as_they_have_digits() -> None:
    tiny = np.full(3, 1e-42, np.float32)
    assert correctness.relative_error(tiny, tiny * 2) == 0
    assert correctness.relative_error(np.full(3, 1e-36, np.float32), tiny) > 1
