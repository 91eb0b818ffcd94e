"""Functions of single precision are computed in vectors, as exactly as the C library's."""

import math
from typing import Any

import numpy as np
import pytest

from facebench.harness.compiler.targets import TARGETS
from facebench.harness.compiler.tvm import import_tvm, resolve

tvm = import_tvm()
# These need TVM to be imported.
from tvm import te, tirx  # noqa: E402

from facebench.harness.compiler import functions, schedule  # noqa: E402
from facebench.harness.compiler.vectors import Vectors  # noqa: E402

POINTS = np.concatenate(
    [
        np.linspace(-100, 100, 4001),
        np.linspace(-1, 1, 2001),
        [0.0, -0.0, 1e-30, -1e-30, 88.3, -87.3, 3.999, 4.001, 1e30, -1e30],
    ]
).astype(np.float32)
TRUTH = {
    "exp": np.exp,
    "erf": np.vectorize(math.erf),
    "tanh": np.tanh,
    "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
}


def computed(name: str, points: np.ndarray, registers: Vectors) -> tuple[np.ndarray, str]:
    """What a compiled function gives of points of any type, and its code."""
    functions.register()
    given = te.placeholder((len(points),), str(points.dtype))
    made = te.compute(given.shape, lambda i: getattr(tirx, name)(given[i]))
    function: Any = schedule.scheduled(te.create_prim_func([given, made]), registers)
    function = function.with_attr("global_symbol", "kernel")
    target = tvm.target.Target(resolve(TARGETS["host"]).options())
    built = tvm.tirx.build(tvm.IRModule({"kernel": function}), target=target, pipeline="s_tir")
    output = tvm.runtime.tensor(np.zeros_like(points))
    built["kernel"](tvm.runtime.tensor(points), output)
    return output.numpy(), built.inspect_source("asm")


@pytest.mark.parametrize("name", TRUTH)
def test_functions_are_numpys_in_double_precision(name: str) -> None:
    # Beyond these exp has no normal result.
    points = POINTS[(POINTS > -87.3) & (POINTS < 88.3)] if name == "exp" else POINTS
    with np.errstate(over="ignore"):
        truth = TRUTH[name](points.astype(np.float64))
    answer, code = computed(name, points, Vectors(8, 16, False))
    least = 0.0 if name == "exp" else 1e-6
    assert (np.abs(answer - truth) / np.maximum(np.abs(truth), least)).max() < 5e-7
    assert f"{name}f" not in code  # no call of the C library


@pytest.mark.parametrize("name", TRUTH)
@pytest.mark.parametrize("kind", [np.float16, np.float64])
def test_functions_of_halves_and_doubles_are_as_exact_as_these_are(name: str, kind: type) -> None:
    points = np.linspace(-8, 8, 1601).astype(kind)
    truth = TRUTH[name](points.astype(np.float64))
    answer, _ = computed(name, points, Vectors(8, 16, False))
    assert answer.dtype == kind
    error = np.abs(answer - truth) / np.maximum(np.abs(truth), 1e-3)
    assert error.max() < (1e-3 if kind is np.float16 else 1e-12)


def test_exp_ends_where_numbers_do() -> None:
    ends = np.array([-np.inf, -1e30, -90, 90, 1e30, np.inf], np.float32)
    low, high = np.split(computed("exp", ends, Vectors(8, 16, False))[0], 2)
    assert (low < 1.2e-38).all()
    assert (high > 2e38).all()


@pytest.mark.parametrize("name", TRUTH)
def test_what_is_no_number_stays_none(name: str) -> None:
    points = np.full(16, np.nan, np.float32)
    assert np.isnan(computed(name, points, Vectors(8, 16, False))[0]).all()
