"""Folds the constant expressions that the ONNX importer leaves, with numpy.

The importer reshapes every bias and every PReLU slope, turns the weights of
products, and asks of both bounds of every Clip whether they are NaN. TVM's own
FoldConstant compiles and runs a kernel for each of these, which is seven
seconds a network.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tvm import relax
from tvm.ir import GenericConst, IRModule, Op

# An operator's value from its constant tensors and its attributes as a call holds them.
_RULES: dict[str, Callable[[Any, list[NDArray[Any]]], NDArray[Any]]] = {
    "relax.reshape": lambda call, args: args[0].reshape([int(n) for n in call.args[1].values]),
    "relax.permute_dims": lambda call, args: args[0].transpose([int(n) for n in call.attrs.axes]),
    "relax.isnan": lambda call, args: np.isnan(args[0]),
    "relax.where": lambda call, args: np.where(*args),
}

_CALL_TIR = Op.get("relax.call_tir")
_BOUNDS = {"maximum": relax.op.maximum, "minimum": relax.op.minimum}


@relax.expr_functor.mutator
class _Folder(relax.PyExprMutator):  # type: ignore[misc]
    def visit_call_(self, call: Any) -> Any:
        call = self.visit_expr_post_order(call)
        if (
            call.op.same_as(_CALL_TIR)
            and str(call.args[0].name_hint).rstrip("0123456789") in _BOUNDS
        ):
            return self._bound(call)
        name = getattr(call.op, "name", "")
        if name == "relax.divide":
            return self._divided(call)
        rule = _RULES.get(name)
        if rule is None:
            return call
        arguments = [arg for arg in call.args if not isinstance(arg, relax.ShapeExpr)]
        tensors = [tensor for arg in arguments if (tensor := self._constant(arg)) is not None]
        if len(tensors) < len(arguments):
            return call
        folded = np.asarray(rule(call, tensors))
        return relax.const(folded, dtype=str(folded.dtype))

    def _divided(self, call: Any) -> Any:
        """Return a product where a divisor is known: a vector's division takes ten cycles."""
        divisor = self._constant(call.args[1])
        if divisor is None or divisor.dtype != np.float32:
            return call
        with np.errstate(divide="ignore", over="ignore"):
            factor = np.asarray(1 / divisor, np.float32)
        if not (np.isfinite(factor).all() and (np.abs(factor) > np.finfo(np.float32).tiny).all()):
            return call
        return relax.op.multiply(call.args[0], relax.const(factor, dtype="float32"))

    def _bound(self, call: Any) -> Any:
        """Return a Clip comes as calls of functions: their operators can be told and fused."""
        values, *bounds = call.args[1].fields
        # A Clip of opset 10 or before has its bound inside the function.
        if len(bounds) != 1 or self._constant(bounds[0]) is None:
            return call
        (bound,) = bounds
        return _BOUNDS[str(call.args[0].name_hint).rstrip("0123456789")](values, bound)

    def _constant(self, argument: Any) -> NDArray[Any] | None:
        if isinstance(argument, relax.Var):
            argument = self.lookup_binding(argument)
        return argument.value.numpy() if isinstance(argument, GenericConst) else None


def fold_constants(module: IRModule) -> IRModule:
    """Replace each constant expression that has a rule by its value."""
    folder = _Folder(module)
    for variable, function in module.functions_items():
        if isinstance(function, relax.Function):
            folder.builder_.update_func(variable, folder.visit_expr(function))
    return relax.transform.CanonicalizeBindings()(folder.builder_.get())
