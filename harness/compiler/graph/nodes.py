"""Provides a Relax function as a list of operators, each with the variable that it defines."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tvm import relax
from tvm.ir import GenericConst

from facebench.harness.stats.arrays import FloatArray

# Expressions and variables of TVM's IR come without types.
Expr = Any


@dataclass(frozen=True)
class Node:
    """It is one binding of a straight-line function.

    Attributes:
        var: what it defines.
        value: the expression that it stands for.
    """

    var: Expr
    value: Expr

    @property
    def op(self) -> str:
        """Return the operator's name; empty where it is a call of another kind."""
        return str(getattr(getattr(self.value, "op", None), "name", ""))

    @property
    def args(self) -> list[Expr]:
        """Return the arguments of the call."""
        return list(getattr(self.value, "args", ()))

    @property
    def attrs(self) -> Any:
        """Return the attributes of the call."""
        return self.value.attrs


class Graph:
    """It is the operators of a function in order, and who uses what.

    Attributes:
        nodes: in the order of execution.
        result: the variable that the function returns.
    """

    def __init__(self, function: relax.Function) -> None:
        self.nodes = [
            Node(binding.var, binding.value)
            for block in function.body.blocks
            for binding in block.bindings
        ]
        self.result = function.body.body
        self._by_var = {node.var: node for node in self.nodes}
        self._users: dict[Expr, list[Node]] = {}
        for node in self.nodes:
            for var in Counter(variables(node.value)):
                self._users.setdefault(var, []).append(node)

    def users(self, node: Node) -> list[Node]:
        """Return the operators that read what this one gives."""
        return self._users.get(node.var, [])

    def sole_user(self, node: Node) -> Node | None:
        """Return the only operator that reads what this one gives; None where others do too."""
        users = self.users(node)
        if len(users) != 1 or node.var.same_as(self.result):
            return None
        return users[0]

    def defining(self, var: Expr) -> Node | None:
        """Return the operator that gives a variable; None for inputs and constants."""
        return self._by_var.get(var) if isinstance(var, relax.Var) else None

    def constant(self, expression: Expr) -> FloatArray | None:
        """Return the value, of any shape, of a float32 constant or of a variable bound to one.

        Returns:
            None where the expression is neither.
        """
        node = self.defining(expression)
        if node is not None:
            return self.constant(node.value)
        if not isinstance(expression, GenericConst):
            return None
        value: NDArray[Any] = expression.value.numpy()
        return value if value.dtype == np.float32 else None


def variables(expression: Expr) -> list[Expr]:
    """Return the variables that an expression reads, each as often as it does."""
    if isinstance(expression, relax.Var):
        return [expression]
    if isinstance(expression, relax.Tuple):
        return [var for field in expression.fields for var in variables(field)]
    if isinstance(expression, relax.TupleGetItem):
        return variables(expression.tuple_value)
    return [var for argument in getattr(expression, "args", ()) for var in variables(argument)]


def shape(expression: Expr) -> tuple[int, ...] | None:
    """Return the fixed extents of a float32 tensor; None for anything else."""
    kind = getattr(expression, "ty", None)
    if not isinstance(kind, relax.TensorType) or str(kind.dtype) != "float32":
        return None
    if not isinstance(kind.shape, relax.ShapeExpr):
        return None
    try:
        return tuple(int(extent) for extent in kind.shape.values)
    except TypeError:  # an extent that is known only when it runs
        return None
