"""Lists the activations that kernels of ours apply to their sums: how graphs write each, and it.

One more is one more line of `ACTIVATIONS`. A form is what TVM's importer makes of it: an operator
of Relax and its operands, which are forms, numbers, or `X`, the sum. Sums and products have all
their operands side by side, in any order; divisions by a number are products by then.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import chain, permutations
from typing import Any

import numpy as np
from tvm import tirx

from facebench.harness.compiler.functions import like, register
from facebench.harness.compiler.graph.nodes import Expr, Graph, Node, shape

# Kernels call exp, erf and tanh by TVM's names, whoever compiles them.
register()

X = "x"

Form = Any

_UNORDERED = frozenset(["relax.add", "relax.multiply"])

# Operators between a sum and the last of its activation.
_LONGEST = 12

# Constants of single precision are as near to those below.
_NEAR = 1e-6


@dataclass(frozen=True)
class Activation:
    """It is a function of one number.

    Attributes:
        of: of a vector of single precision, as an expression of TVM's tensor IR.
        forms: how graphs write it.
    """

    of: Callable[[Expr], Expr]
    forms: tuple[Form, ...]


def _at_least(least: float, x: Expr) -> Expr:
    """Return the larger of both, and what is no number where `x` is none: hence their order.

    Below -87 SiLU is 0 and below -6 GELU is, but for 1e-8: to go on with such a number would
    multiply it with the last digit of a factor that should be 0.
    """
    return tirx.Max(like(x, least), x)


def _silu(x: Expr) -> Expr:
    x = _at_least(-87.0, x)
    return x * tirx.sigmoid(x)


def _gelu(x: Expr) -> Expr:
    x = _at_least(-6.0, x)
    return like(x, 0.5) * x * (like(x, 1.0) + tirx.erf(x * like(x, 0.5**0.5)))


def _gelu_by_tanh(x: Expr) -> Expr:
    x = _at_least(-6.0, x)
    inner = like(x, _ROOT) * x * (like(x, 1.0) + like(x, _CUBIC) * x * x)
    return like(x, 0.5) * x * (like(x, 1.0) + tirx.tanh(inner))


def _hard_sigmoid(x: Expr) -> Expr:
    raised = x * like(x, 1 / 6) + like(x, 0.5)
    return tirx.Min(like(x, 1.0), _at_least(0.0, raised))


def _hard_swish(x: Expr) -> Expr:
    return x * _hard_sigmoid(x)


def _clipped(form: Form, high: float) -> tuple[Form, Form]:
    return ("clip", form, 0.0, high), ("minimum", ("maximum", form, 0.0), high)


# Of GELU's approximation by the hyperbolic tangent (arXiv 1606.08415): the root of 2 / pi.
_ROOT, _CUBIC = (2 / np.pi) ** 0.5, 0.044715

_HARD_SIGMOID = (
    *(("multiply", form, 1 / 6) for form in _clipped(("add", X, 3.0), 6.0)),
    *_clipped(("add", ("multiply", X, 1 / 6), 0.5), 1.0),
)
_TANH_INNER = ("multiply", _ROOT, ("add", X, ("multiply", _CUBIC, X, X, X)))

ACTIVATIONS = {
    "silu": Activation(_silu, (("multiply", X, ("sigmoid", X)), ("nn.silu", X))),
    "gelu": Activation(_gelu, (
        ("multiply", 0.5, X, ("add", 1.0, ("erf", ("multiply", X, 0.5**0.5)))), ("nn.gelu", X),
    )),
    "gelu_tanh": Activation(_gelu_by_tanh, (
        ("multiply", 0.5, X, ("add", 1.0, ("tanh", _TANH_INNER))), ("nn.gelu_tanh", X),
    )),
    "hard_swish": Activation(_hard_swish, (
        *(("multiply", 1 / 6, X, form) for form in _clipped(("add", X, 3.0), 6.0)),
        *(("multiply", X, form) for form in _HARD_SIGMOID),
    )),
    "hard_sigmoid": Activation(_hard_sigmoid, _HARD_SIGMOID),
    "sigmoid": Activation(tirx.sigmoid, (("sigmoid", X),)),
    "tanh": Activation(tirx.tanh, (("tanh", X),)),
}  # fmt: skip


def activation(graph: Graph, sum_of: Node) -> tuple[str, tuple[Node, ...]] | None:
    """Return the activation of what an operator gives, and its operators, the last one last.

    Returns:
        None where there is none, or something else reads what lies within.
    """
    end = next(iter(graph.users(sum_of)), None)
    for _ in range(_LONGEST):
        if end is None or shape(end.var) != shape(sum_of.var):
            return None
        for name, one in ACTIVATIONS.items():
            for form in one.forms:
                found = _matched(graph, sum_of.var, end.var, form)
                if found and _closed(graph, sum_of, found):
                    return name, (*found[1:], end)
        end = graph.sole_user(end)
    return None


def _closed(graph: Graph, sum_of: Node, found: tuple[Node, ...]) -> bool:
    """Return whether nothing but these operators, of which the first is the end, reads within."""
    within = {node.var for node in found}
    readers = (graph.users(node) for node in (sum_of, *found[1:]))
    hidden = all(not node.var.same_as(graph.result) for node in (sum_of, *found[1:]))
    return hidden and all(user.var in within for user in chain.from_iterable(readers))


def _matched(graph: Graph, x: Expr, expression: Expr, form: Form) -> tuple[Node, ...] | None:
    """Return the operators of an expression that has a form, the last first, or None."""
    if form is X:
        return () if expression.same_as(x) else None
    if isinstance(form, float):
        return () if _is_number(graph, expression, form) else None
    op, *parts = form
    node = graph.defining(expression)
    if node is None or node.op != f"relax.{op}":
        return None
    merged, operands = _operands(graph, x, node)
    if len(operands) != len(parts):
        return None
    for order in permutations(operands) if node.op in _UNORDERED else [operands]:
        found = [_matched(graph, x, *pair) for pair in zip(order, parts, strict=True)]
        if all(one is not None for one in found):
            return (*merged, *chain.from_iterable(one or () for one in found))
    return None


def _operands(graph: Graph, x: Expr, node: Node) -> tuple[list[Node], list[Expr]]:
    """Return an operator with those of its kind that it reads, and the operands of all."""
    nodes, operands = [node], []
    for argument in node.args:
        inner = graph.defining(argument)
        splits = node.op in _UNORDERED and not argument.same_as(x)
        if splits and inner is not None and inner.op == node.op:
            more, leaves = _operands(graph, x, inner)
            nodes += more
            operands += leaves
        else:
            operands.append(argument)
    return nodes, operands


def _is_number(graph: Graph, expression: Expr, number: float) -> bool:
    constant = graph.constant(expression)
    value = getattr(expression, "value", None) if constant is None else None
    if constant is not None and constant.size == 1:
        value = float(constant.ravel()[0])
    return isinstance(value, int | float) and bool(np.isclose(value, number, _NEAR, 0.0))
