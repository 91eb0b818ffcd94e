"""Sums, means, variances and softmax by the rule: numpy's in double precision, for any lengths."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from facebench.harness.compiler.targets import TARGETS
from facebench.harness.compiler.tvm import import_tvm, resolve
from facebench.harness.compiler.vectors import Vectors

tvm = import_tvm()
# These need TVM to be imported.
from tvm import te, topi  # noqa: E402

from facebench.harness.compiler import functions, reductions, schedule  # noqa: E402

REGISTERS = [Vectors(4, 32, True), Vectors(8, 16, False), Vectors(16, 32, False)]

Array = np.ndarray[Any, Any]


def answer(arrays: list[Array], make: Callable[..., Any], registers: Vectors) -> tuple[Array, str]:
    """What the scheduled function gives of arrays in single precision, and the function."""
    functions.register()
    given = [te.placeholder(a.shape, "float32", name=f"given{i}") for i, a in enumerate(arrays)]
    made = make(*given)
    function: Any = schedule.scheduled(te.create_prim_func([*given, made]), registers)
    assert function is not None
    function = function.with_attr("global_symbol", "kernel")
    target = tvm.target.Target(resolve(TARGETS["host"]).options())
    built = tvm.tirx.build(tvm.IRModule({"kernel": function}), target=target, pipeline="s_tir")
    output = tvm.runtime.tensor(np.full([int(n) for n in made.shape], np.nan, np.float32))
    built["kernel"](*map(tvm.runtime.tensor, arrays), output)
    return output.numpy(), function.script()


def drawn(shape: tuple[int, ...], seed: int = 0, mean: float = 1.0) -> Array:
    return (np.random.default_rng(seed).standard_normal(shape) + mean).astype(np.float32)


def error(found: Array, truth: Array) -> float:
    return float(np.abs(found - truth).max() / np.abs(truth).max())


def softmax(x: Array) -> Array:
    e = np.exp(x - x.max(-1, keepdims=True))
    return np.asarray(e / e.sum(-1, keepdims=True))


def variance(x: Any) -> Any:
    """As TVM computes it: the mean, and the mean of squared differences."""
    count = float(int(x.shape[-1]))
    apart = topi.subtract(x, topi.divide(topi.sum(x, axis=-1, keepdims=True), count))
    return topi.divide(topi.sum(topi.multiply(apart, apart), axis=-1, keepdims=True), count)


def attention(q: Any, k: Any) -> Any:
    return topi.nn.softmax(topi.nn.batch_matmul(q, k, transpose_b=True), axis=-1)


RULES: dict[str, tuple[Callable[[Any], Any], Callable[[Array], Array]]] = {
    "sum": (lambda x: topi.sum(x, axis=-1), lambda x: x.sum(-1)),
    "largest of a map": (lambda x: topi.max(x, axis=[1, 2]), lambda x: x.max((1, 2))),
    "variance": (variance, lambda x: x.var(-1, keepdims=True)),
    "softmax": (lambda x: topi.nn.softmax(x, axis=-1), softmax),
    "sum of columns": (lambda x: topi.sum(x, axis=1), lambda x: x.sum(1)),
}


@pytest.mark.parametrize("rule", RULES)
@settings(max_examples=4, deadline=None, derandomize=True)
@given(
    shape=st.tuples(st.integers(1, 3), st.integers(1, 9), st.integers(1, 300)),
    registers=st.sampled_from(REGISTERS),
)
def test_a_reduction_of_any_shape_is_numpys(
    rule: str, shape: tuple[int, int, int], registers: Vectors
) -> None:
    make, truth = RULES[rule]
    given = drawn(shape)
    # Of one number the variance is 0.
    assert np.allclose(
        answer([given], make, registers)[0], truth(given.astype(np.float64)), rtol=2e-6, atol=1e-6
    )


def test_a_sum_over_a_map_is_off_by_units_in_the_last_place() -> None:
    # A map of 50,176 elements one by one is off by 5e-6 and more.
    given = drawn((1, 50176), mean=3.0)
    truth = given.astype(np.float64)
    one_by_one = np.add.accumulate(given[0])[-1]
    assert error(one_by_one, truth.sum()) > 1e-6
    found, code = answer([given], lambda x: topi.sum(x, axis=-1), REGISTERS[2])
    assert error(found, truth.sum(-1)) < 2e-7
    assert "T.vectorized(64)" in code
    assert error(answer([given], variance, REGISTERS[2])[0], truth.var(-1)) < 1e-6


@pytest.mark.parametrize("registers", REGISTERS, ids=str)
def test_attention_of_odd_sizes_is_numpys(registers: Vectors) -> None:
    # Heads of 12 channels on 7x7 tokens; one token more, for a class.
    q, k = drawn((3, 49, 12), 1, 0.0), drawn((3, 50, 12), 2, 0.0)
    truth = softmax(q.astype(np.float64) @ k.astype(np.float64).transpose(0, 2, 1))
    assert error(answer([q, k], attention, registers)[0], truth) < 2e-6


def test_softmax_computes_each_exponential_once() -> None:
    code = answer([drawn((2, 49))], RULES["softmax"][0], REGISTERS[2])[1]
    assert code.count("T.exp") == 1


def test_halves_are_summed_in_one_order_on_every_machine() -> None:
    given = te.placeholder((2, 96), "float16")
    function = te.create_prim_func([given, topi.sum(given, axis=-1)])
    on_arm = Vectors(8, 32, True, element="float16")
    here = Vectors(16, 32, False, element="float16", in_single=True)
    assert str(schedule.scheduled(function, on_arm)) == str(schedule.scheduled(function, here))


def test_parts_divide_what_they_share() -> None:
    for lanes in (4, 8, 16):
        for extent in range(1, 700):
            assert extent % reductions.parts(extent, lanes) == 0
    assert [reductions.parts(n, 16) for n in (128, 96, 49, 12, 197)] == [64, 48, 49, 12, 197]
