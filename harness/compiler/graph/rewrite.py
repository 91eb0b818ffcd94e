"""The network with its convolutions and pools as calls of our own kernels.

What has no kernel keeps its operator: elementwise operators and concatenations on
(N, H, W, C), everything else on the layout that it came with.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from tvm import relax
from tvm.ir import GenericConst, IRModule

from facebench.architectures.errors import RefusedError
from facebench.harness.compiler.graph.chains import Chain, chains, shifts
from facebench.harness.compiler.graph.nodes import Expr, Graph, Node, shape
from facebench.harness.compiler.graph.patterns import Shuffle, pooled, shuffles
from facebench.harness.compiler.graph.unordered import unordered
from facebench.harness.compiler.graph.values import Value, places
from facebench.harness.compiler.workload import (
    Convolution,
    Depthwise,
    Pooling,
    Shifted,
    Workload,
)
from facebench.harness.stats.arrays import FloatArray

_ELEMENTWISE = frozenset(
    f"relax.{name}"
    for name in (
        *("abs", "ceil", "clip", "cos", "erf", "exp", "floor", "log", "negative", "round"),
        *("rsqrt", "sigmoid", "sign", "sin", "sqrt", "square", "tanh"),
        *("nn.gelu", "nn.leakyrelu", "nn.relu", "nn.silu"),
        *("add", "divide", "maximum", "minimum", "multiply", "power", "subtract"),
    )
)

# The least number that half precision rounds to infinity.
_TOO_LARGE = 65520.0

# What half precision leaves in single: loops that were made for it, and an operator that TVM gives
# loops of single precision whatever it has.
_IN_SINGLE = frozenset(["relax.call_tir", "relax.nn.batch_norm"])


@dataclass(frozen=True)
class Kernel:
    """It is a workload's function, and how it wants its weights.

    Attributes:
        variable: the function in the module.
        pack: weights in the order in which it reads them.
    """

    variable: Any
    pack: Callable[[FloatArray], FloatArray]


# A kernel for a workload, from the module under construction.
Provider = Callable[[relax.BlockBuilder, Workload], Kernel]


def rewrite(module: IRModule, provider: Provider, element: str = "float32") -> IRModule:
    """Return the module with kernels of `provider` in its function `main`.

    A `main` that is no straight line of operators on tensors of fixed shape is left as
    it is.

    Args:
        module: in single precision.
        provider: of kernels whose maps have elements of type `element`.
        element: float32; or float16, in which all but the network's input and output are then.

    Raises:
        RefusedError: half precision is asked of a `main` that is no such line, or whose weights
            it cannot hold.
    """
    main = module["main"]
    blocks = main.body.blocks if isinstance(main.body, relax.SeqExpr) else ()
    if len(blocks) != 1 or not isinstance(main.body.body, relax.Var):
        if element != "float32":
            raise RefusedError(
                "this network is no straight line of operators, which runtime tvm needs for fp16: "
                "use fp32"
            )
        return module
    others = {
        variable: function
        for variable, function in module.functions_items()
        if variable.name_hint != "main"
    }
    builder = relax.BlockBuilder(IRModule(others))
    _Rewriter(main, builder, provider, element).run()
    return relax.transform.DeadCodeElimination()(builder.get())


class _Rewriter:
    """Goes through a function's operators and emits what takes their place."""

    def __init__(
        self, main: relax.Function, builder: relax.BlockBuilder, provider: Provider, element: str
    ) -> None:
        self._element = element
        self._main = main
        self._graph = Graph(main)
        self._builder = builder
        self._provider = provider
        self._values: dict[Expr, Value] = {}
        found = chains(self._graph, activations=element == "float32")
        self._chains = {chain.last.var: chain for chain in found}
        self._shifts = {shift.last.var: shift for shift in shifts(self._graph, found)}
        self._inner = {node.var for chain in found for node in chain.nodes}
        self._shuffles = {s.last.var: s for s in shuffles(self._graph)}
        self._inner |= {node.var for s in self._shuffles.values() for node in s.nodes}

    def run(self) -> None:
        """Emit `main` into the builder."""
        if self._element != "float32":
            self._require_range()
        builder, main = self._builder, self._main
        with builder.function("main", list(main.params), dict(main.attrs or {})):
            with builder.dataflow():
                for param in main.params:
                    self._values[param] = Value(shape(param) or (), planar=self._typed(param))
                for node in self._graph.nodes:
                    self._emit(node)
                result = self._planar(self._graph.result)
                if self._element != "float32":
                    result = builder.emit(relax.op.astype(result, "float32"))
                result = builder.emit_output(result)
            builder.emit_func_output(result)

    def _typed(self, tensor: Expr) -> Expr:
        """Return a tensor of single precision with elements of the network's type."""
        if self._element == "float32" or shape(tensor) is None:
            return tensor
        return self._builder.emit(relax.op.astype(tensor, self._element))

    def _constant(self, value: FloatArray) -> Expr:
        return relax.const(np.array(value, order="C"), self._element)

    def _require_range(self) -> None:
        """Refuse weights that are numbers and that elements of half precision cannot hold."""
        weights = [one for chain in self._chains.values() for one in (chain.weights, chain.bias)]
        others = [node for node in self._graph.nodes if node.var not in self._inner]
        operands = [operand for node in others for operand in getattr(node.value, "args", ())]
        weights += [one for one in map(self._graph.constant, operands) if one is not None]
        largest = max((np.abs(one[np.isfinite(one)]).max(initial=0) for one in weights), default=0)
        if largest >= _TOO_LARGE:
            raise RefusedError(
                f"weights of this network reach {largest:.2g}, and numbers of half precision are "
                f"less than {_TOO_LARGE:.0f}: use fp32"
            )

    def _emit(self, node: Node) -> None:
        if node.var in self._shifts:
            self._values[node.var] = self._values[self._shifts[node.var].input]
        elif node.var in self._chains:
            self._chain(self._chains[node.var])
        elif node.var in self._shuffles:
            self._shuffle(self._shuffles[node.var])
        elif node.var not in self._inner:
            ways = (
                *(self._pooling, self._flat, self._turned, self._unordered),
                *(self._on_packed, self._as_it_came),
            )
            self._values[node.var] = next(made for way in ways if (made := way(node)))

    def _planar(self, var: Expr) -> Expr:
        return self._values[var].as_planar(self._builder) if var in self._values else var

    def _as_it_came(self, node: Node) -> Value:
        """Return the operator itself, on what its arguments have become."""
        if isinstance(node.value, GenericConst):
            return Value(shape(node.var) or (), planar=self._replaced(node.value))
        single = self._element != "float32" and node.op in _IN_SINGLE
        value = self._in_single(node.value) if single else self._replaced(node.value)
        made = self._builder.emit(value)
        return Value(shape(node.var) or (), planar=self._typed(made))

    def _in_single(self, call: relax.Call) -> relax.Call:
        args = [self._single(argument) for argument in call.args]
        return relax.Call(call.op, args, call.attrs, call.ty_args)

    def _single(self, argument: Expr) -> Expr:
        if isinstance(argument, relax.Tuple):
            return relax.Tuple([self._single(field) for field in argument.fields])
        if isinstance(argument, relax.Var) and shape(argument) is not None:
            return self._builder.emit(relax.op.astype(self._planar(argument), "float32"))
        return argument

    def _replaced(self, expression: Expr) -> Expr:
        if isinstance(expression, relax.Var):
            return self._planar(expression)
        if isinstance(expression, relax.Tuple):
            return relax.Tuple([self._replaced(field) for field in expression.fields])
        if isinstance(expression, relax.TupleGetItem):
            return relax.TupleGetItem(self._replaced(expression.tuple_value), expression.index)
        if isinstance(expression, relax.Call):
            args = [self._replaced(argument) for argument in expression.args]
            return relax.Call(expression.op, args, expression.attrs, expression.ty_args)
        constant = self._graph.constant(expression)
        return expression if constant is None else self._constant(constant)

    def _chain(self, chain: Chain) -> None:
        """Emit a convolution or a product, with what follows it."""
        given = self._values[chain.input]
        out = shape(chain.last.var)
        assert out is not None
        if chain.channels_last:
            self._values[chain.last.var] = self._rows(chain, given, out)
            return
        if len(out) == 2:
            given = self._as_pixels(given) if len(given.shape) == 2 else given
            out = (*out, 1, 1)
        channels = given.shape[1]
        if chain.groups == channels == chain.filters and channels > 1:
            result = self._depthwise(chain, given, out)
        else:
            result = self._convolution(chain, given, out)
        if len(shape(chain.last.var) or ()) == 2:
            made = self._builder.emit(relax.op.reshape(result.packed, out[:2]))
            result = Value(out[:2], planar=made)
        self._values[chain.last.var] = result

    def _rows(self, chain: Chain, given: Value, out: tuple[int, ...]) -> Value:
        """Return a product of more than two axes, whose rows are a map of one row of pixels."""
        pixels, channels = math.prod(out[:-1]), given.shape[-1]
        row = relax.op.reshape(given.as_planar(self._builder), (1, 1, pixels, channels))
        source = Value((1, channels, 1, pixels), packed=self._builder.emit(row))
        made = self._convolution(chain, source, (1, chain.filters, 1, pixels))
        return Value(out, planar=self._builder.emit(relax.op.reshape(made.packed, out)))

    def _as_pixels(self, rows: Value) -> Value:
        """Rows (N, K) as maps of one pixel."""
        batch, channels = rows.shape
        planar = rows.as_planar(self._builder)
        packed = self._builder.emit(relax.op.reshape(planar, (batch, 1, 1, channels)))
        return Value((batch, channels, 1, 1), packed=packed)

    def _convolution(self, chain: Chain, given: Value, out: tuple[int, ...]) -> Value:
        batch, channels, height, width = given.shape
        weights, shuffle = chain.weights, given.shuffle
        planar = given.packed is None and channels < 8 and chain.groups == 1
        if shuffle > 1 and chain.groups == 1:
            weights, shuffle = weights[:, np.argsort(places(channels, shuffle))], 1
        shift = self._shifts.get(chain.input)
        window = chain.window
        if shift is not None:
            window = replace(shift.window, stride=window.stride)
        work = (Convolution if shift is None else Shifted)(
            batch=batch,
            input=(height, width),
            output=(out[2], out[3]),
            channels=channels,
            filters=chain.filters,
            window=window,
            groups=chain.groups,
            shuffle=shuffle,
            planar=planar,
            epilogue=chain.epilogue,
        )
        if planar:
            source = given.as_planar(self._builder)
        else:
            # A shuffle is read through by the kernel.
            source = given.packed if given.shuffle > 1 else given.as_packed(self._builder)
        return self._called(chain, work, source, weights, list(range(chain.filters)), out, 1)

    def _depthwise(self, chain: Chain, given: Value, out: tuple[int, ...]) -> Value:
        batch, channels, height, width = given.shape
        work = Depthwise(
            batch=batch,
            input=(height, width),
            output=(out[2], out[3]),
            channels=channels,
            window=chain.window,
            epilogue=chain.epilogue,
        )
        if chain.added is not None or given.shuffle == 1:
            source, shuffle = given.as_packed(self._builder), 1
            order = list(range(channels))
        else:
            # Each channel by itself: the shuffle can wait for the next convolution.
            source, shuffle = given.packed, given.shuffle
            order = [int(i) for i in np.argsort(places(channels, shuffle))]
        return self._called(chain, work, source, chain.weights[order], order, out, shuffle)

    def _called(
        self,
        chain: Chain,
        work: Convolution | Depthwise,
        source: Expr,
        weights: FloatArray,
        order: Sequence[int],
        out: tuple[int, ...],
        shuffle: int,
    ) -> Value:
        kernel = self._provider(self._builder, work)
        arguments = [source, *map(self._constant, (kernel.pack(weights), chain.bias[order]))]
        if chain.slopes is not None:
            arguments.append(self._constant(chain.slopes[order]))
        if chain.added is not None:
            arguments.append(self._added(chain, out))
        return self._call(kernel, arguments, out, shuffle)

    def _added(self, chain: Chain, out: tuple[int, ...]) -> Expr:
        value = self._values[chain.added]
        if chain.channels_last:
            batch, channels, height, width = out
            planar = value.as_planar(self._builder)
            return self._builder.emit(relax.op.reshape(planar, (batch, height, width, channels)))
        return (self._as_pixels(value) if len(value.shape) == 2 else value).as_packed(self._builder)

    def _call(
        self, kernel: Kernel, arguments: Sequence[Expr], out: tuple[int, ...], shuffle: int = 1
    ) -> Value:
        batch, channels, height, width = out
        kind = relax.TensorType((batch, height, width, channels), self._element)
        made = self._builder.emit(relax.call_tir(kernel.variable, list(arguments), out_ty=kind))
        return Value(out, packed=made, shuffle=shuffle)

    def _shuffle(self, shuffle: Shuffle) -> None:
        value = self._values[shuffle.nodes[0].args[0]]
        packed = value.as_packed(self._builder)
        self._values[shuffle.last.var] = Value(value.shape, packed=packed, shuffle=shuffle.groups)

    def _pooling(self, node: Node) -> Value | None:
        found = pooled(node)
        if found is None:
            return None
        window, kind = found
        given = self._values.get(node.args[0])
        out = shape(node.var)
        if given is None or out is None or len(given.shape) != 4:
            return None
        batch, channels, height, width = given.shape
        out = (batch, channels, *(out[2:] or (1, 1)))
        work = Pooling(batch, (height, width), (out[2], out[3]), channels, window, kind)
        kernel = self._provider(self._builder, work)
        made = self._call(kernel, [given.as_packed(self._builder)], out)
        if len(shape(node.var) or ()) == 2:
            flat = self._builder.emit(relax.op.reshape(made.packed, (batch, channels)))
            return Value((batch, channels), planar=flat)
        return made

    def _flat(self, node: Node) -> Value | None:
        """Return a map of one pixel as a row, whichever order its axes have."""
        given = self._values.get(node.args[0]) if node.op == "relax.reshape" else None
        out = shape(node.var)
        if given is None or given.packed is None or given.shape[2:] != (1, 1):
            return None
        if out != given.shape[:2]:
            return None
        row = relax.op.reshape(given.as_packed(self._builder), out)
        return Value(out, planar=self._builder.emit(row))

    def _turned(self, node: Node) -> Value | None:
        """Return a map that is turned to (N, H, W, C), or back: it lies so already."""
        given = self._values.get(node.args[0]) if node.op == "relax.permute_dims" else None
        out = shape(node.var)
        if given is None or out is None or len(out) != 4:
            return None
        axes = [int(axis) for axis in node.attrs.axes or ()]
        if axes == [0, 2, 3, 1] and given.packed is not None:
            return Value(out, planar=given.as_packed(self._builder))
        if axes == [0, 3, 1, 2] and given.planar is not None and given.packed is None:
            return Value(out, packed=given.planar)
        return None

    def _unordered(self, node: Node) -> Value | None:
        # In half precision constants are others.
        if self._element != "float32":
            return None
        return unordered(self._graph, self._values, self._builder, node)

    def _on_packed(self, node: Node) -> Value | None:
        """Operators to which the order of axes means nothing, on maps as we keep them."""
        out = shape(node.var)
        if out is None or len(out) != 4:
            return None
        joined = node.op == "relax.concat" and int(node.attrs.axis) in (1, -3)
        if not joined and node.op not in _ELEMENTWISE:
            return None
        args = self._packed_operands(node.args[0].fields if joined else node.args)
        if args is None:
            return None
        if joined:
            made = relax.op.concat(args, axis=3)
        else:
            made = relax.Call(node.value.op, args, node.attrs, node.value.ty_args)
        return Value(out, packed=self._builder.emit(made))

    def _packed_operands(self, arguments: Sequence[Expr]) -> list[Expr] | None:
        """Operands as (N, H, W, C), where one of them is kept so already."""
        known = [self._values[a] for a in arguments if isinstance(a, relax.Var)]
        if all(value.packed is None for value in known):
            return None
        operands = [self._packed_operand(argument) for argument in arguments]
        return None if any(operand is None for operand in operands) else operands

    def _packed_operand(self, argument: Expr) -> Expr | None:
        constant = self._graph.constant(argument)
        if constant is not None:
            return self._channels_last(constant)
        if not isinstance(argument, relax.Var):
            return argument
        value = self._values[argument]
        return value.as_packed(self._builder) if len(value.shape) == 4 else None

    def _channels_last(self, constant: FloatArray) -> Expr | None:
        """Return a constant operand of a map, as (H, W, C)."""
        if constant.size == 1:
            return self._constant(constant.reshape(()))
        if constant.ndim < 3:
            return None
        *leading, channels, height, width = range(constant.ndim)
        return self._constant(constant.transpose(*leading, height, width, channels))
