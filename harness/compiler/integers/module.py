"""Makes TVM's module of a network of integers: one call of a kernel for each of its steps."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tvm import relax, tirx
from tvm.ir import IRModule

from facebench.harness.compiler.integers import (
    bytewise,
    convolution,
    depthwise,
    elementwise,
    moving,
    operands,
)
from facebench.harness.compiler.integers.bytewise import PairOfBytes, TableOfBytes
from facebench.harness.compiler.integers.convolution import IntegerTiling
from facebench.harness.compiler.integers.elementwise import ImageBytes
from facebench.harness.compiler.integers.instructions import lanes_of
from facebench.harness.compiler.integers.moving import ByteJoin, ByteShuffle, ByteSlice
from facebench.harness.compiler.integers.operands import Zeros
from facebench.harness.compiler.integers.padding import held, padded
from facebench.harness.compiler.integers.ranges import short
from facebench.harness.compiler.integers.sums import settings
from facebench.harness.compiler.integers.tiling import searched, tiling
from facebench.harness.compiler.kernels.emit import Expr
from facebench.harness.compiler.kernels.provider import KERNEL, OPAQUE
from facebench.harness.compiler.vectors import ByteVectors
from facebench.harness.compiler.workload import (
    Convolution,
    Depthwise,
    Epilogue,
    Pooling,
    Window,
    Workload,
    key,
    name,
)
from facebench.harness.models.integer_network.network import (
    ImageStep,
    IntegerMap,
    IntegerNetwork,
    JoinStep,
    PairStep,
    PoolStep,
    ShuffleStep,
    SliceStep,
    Step,
    SumsStep,
    TableStep,
)

_Moving = ByteShuffle | ByteJoin | ByteSlice
_Work = Convolution | Depthwise | Pooling | ImageBytes | PairOfBytes | TableOfBytes | _Moving

# The tiling of a workload's tuning record, where there is one.
Records = Callable[[Workload], Any]


def module(
    network: IntegerNetwork,
    batch: int,
    vectors: ByteVectors,
    records: Records = lambda work: None,
) -> IRModule:
    """Return a module whose `main` is the network, from images (N, 3, H, W) to embeddings (N, E).

    Args:
        network: of integers.
        batch: images of an inference.
        vectors: the target's registers.
        records: is asked for the tiling of each workload that is searched for, in order.

    """
    return _Writer(network, batch, vectors, records).written()


class _Writer:
    """It writes a network's steps one after the other."""

    def __init__(
        self, network: IntegerNetwork, batch: int, vectors: ByteVectors, records: Records
    ) -> None:
        self._network = network
        self._records = records
        self._vectors = vectors
        self._lanes = lanes_of(vectors)
        self._batch = batch
        self._builder = relax.BlockBuilder()
        self._kernels: dict[_Work, Any] = {}
        self._values: dict[str, Expr] = {}

    def written(self) -> IRModule:
        first = self._network.steps[0]
        assert isinstance(first, ImageStep)
        _, height, width = self._network.maps[first.result].shape
        kind = relax.TensorType((self._batch, 3, height, width), "float32")
        images = relax.Var("image", kind)
        with self._builder.function("main", [images]):
            with self._builder.dataflow():
                for step in self._network.steps:
                    self._values[step.result] = self._step(step, images)
                last = self._values[self._network.steps[-1].result]
                size = self._network.embedding_size
                rows = relax.op.reshape(last, (self._batch, held(size)))
                if size != held(size):
                    rows = relax.op.strided_slice(rows, [1], [0], [size])
                result = self._builder.emit_output(self._builder.emit(rows))
            self._builder.emit_func_output(result)
        return self._builder.get()

    def _step(self, step: Step, images: Expr) -> Expr:
        if isinstance(step, ImageStep):
            return self._image(step, images)
        if isinstance(step, SumsStep):
            return self._sums(padded(step))
        if isinstance(step, PoolStep):
            return self._pool(step)
        if isinstance(step, TableStep):
            return self._table(step)
        if isinstance(step, PairStep):
            return self._pair(step)
        return self._moved(step)

    def _image(self, step: ImageStep, images: Expr) -> Expr:
        made = self._network.maps[step.result]
        work = ImageBytes(self._batch, made.shape[1:])
        scaling = np.array([*step.limits, step.multiplier], np.float32)
        told = settings(made.zero, step.offset, (0, 255), 0)
        return self._called(work, [images, _constant(scaling), _constant(told)], made)

    def _sums(self, step: SumsStep) -> Expr:
        source = self._network.maps[step.source]
        work = self._workload(step)
        asked = searched(work, self._vectors.arm)
        blocked = self._records(asked) or tiling(work, self._vectors)
        result = None if step.real else self._network.maps[step.result]
        zeros = Zeros(
            source.zero,
            0 if result is None else result.zero,
            self._network.maps[step.added].zero if step.added else 0,
        )
        before, behind = operands.constants(step, work, blocked, self._vectors, zeros)
        arguments = [self._values[step.source], *map(_constant, before)]
        arguments += [self._values[step.added]] if step.added else []
        return self._called(work, [*arguments, *map(_constant, behind)], result, blocked)

    def _workload(self, step: SumsStep) -> Convolution | Depthwise:
        source = self._network.maps[step.source]
        filters, channels, rows, columns = step.weights.shape
        window = Window((rows, columns), step.stride, step.padding, step.dilation)
        output = (1, 1) if step.real else self._network.maps[step.result].shape[1:]
        epilogue = self._epilogue(step)
        given = channels * step.groups
        if step.groups == given == filters:
            return Depthwise(self._batch, source.shape[1:], output, given, window, epilogue)
        return Convolution(
            self._batch,
            source.shape[1:],
            output,
            given,
            filters,
            window,
            step.groups,
            epilogue=epilogue,
        )

    def _epilogue(self, step: SumsStep) -> Epilogue:
        """Return what follows a step's sums, in the form that takes fewest instructions."""
        steps, arm = ["add"] * bool(step.added), self._vectors.arm
        if step.real:
            return (*steps, "real")
        if (step.negative != step.multipliers).any():
            # A choice between multipliers takes NEON less than two products.
            either = arm or (step.negative > step.multipliers).any()
            steps.append("prelu" if either else "leaky")
        if arm and short(step, self._network.maps):
            steps.append("short")
        return (*steps, *_limits(step.limits))

    def _pool(self, step: PoolStep) -> Expr:
        source, result = (self._network.maps[name] for name in (step.source, step.result))
        window = Window(step.kernel, step.stride, step.padding)
        channels = held(source.shape[0])
        work = Pooling(
            self._batch,
            source.shape[1:],
            result.shape[1:],
            channels,
            window,
            step.kind,
            _limits(step.limits),
        )
        arguments = [self._values[step.source]]
        arguments.append(_constant(np.full(channels, step.multiplier, np.float32)))
        zeros = Zeros(source.zero, result.zero, source.zero)
        arguments.append(_constant(operands.told(self._vectors, zeros, step.limits)))
        return self._called(work, arguments, result)

    def _table(self, step: TableStep) -> Expr:
        result = self._network.maps[step.result]
        work = TableOfBytes(self._batch, result.shape[1:], held(result.shape[0]))
        # By the bytes of the source as they lie in memory, and of such.
        order = (np.arange(256) + self._lanes.origin) % 256
        table = step.table[order].astype(np.int64) - self._lanes.origin
        kept = _constant(table.astype(self._lanes.kind))
        return self._called(work, [self._values[step.source], kept], result)

    def _pair(self, step: PairStep) -> Expr:
        first, second = (self._network.maps[name] for name in step.sources)
        result = self._network.maps[step.result]
        channels, size = held(result.shape[0]), result.shape[1:]
        work = PairOfBytes(self._batch, size, channels, step.kind, second.shape[1:] != size)
        arguments = [self._values[name] for name in step.sources]
        arguments.append(_constant(np.full(channels, step.multiplier, np.float32)))
        told = operands.told(self._vectors, Zeros(first.zero, result.zero, second.zero), (0, 255))
        return self._called(work, [*arguments, _constant(told)], result)

    def _moved(self, step: ShuffleStep | JoinStep | SliceStep) -> Expr:
        result = self._network.maps[step.result]
        channels, *_ = result.shape
        sources = step.sources if isinstance(step, JoinStep) else (step.source,)
        work: _Moving
        if isinstance(step, ShuffleStep):
            work = ByteShuffle(self._batch, result.shape[1:], channels, step.groups)
        elif isinstance(step, SliceStep):
            whole = self._network.maps[step.source].shape[0]
            work = ByteSlice(self._batch, result.shape[1:], whole, step.first, channels)
        else:
            joined = tuple(self._network.maps[name].shape[0] for name in sources)
            work = ByteJoin(self._batch, result.shape[1:], joined)
        return self._called(work, [self._values[name] for name in sources], result)

    def _called(
        self,
        work: _Work,
        arguments: Sequence[Expr],
        made: IntegerMap | None,
        blocked: IntegerTiling | None = None,
    ) -> Expr:
        """Emit the call of a kernel that gives a map, or the embedding."""
        if work not in self._kernels:
            self._kernels[work] = self._kernel(work, blocked)
        if made is None:
            size = held(self._network.embedding_size)
            kind = relax.TensorType((self._batch, 1, 1, size), "float32")
        else:
            channels, height, width = made.shape
            kind = relax.TensorType((self._batch, height, width, held(channels)), self._lanes.kind)
        return self._builder.emit(relax.call_tir(self._kernels[work], list(arguments), out_ty=kind))

    def _kernel(self, work: _Work, blocked: IntegerTiling | None) -> Any:
        if not isinstance(work, Convolution | Depthwise | Pooling):
            kind, (height, width) = type(work).__name__.lower(), work.input
            called, said = f"{kind}_{height}x{width}", str(work)
        else:
            called, said = name(work), key(work)
        attributes = {"op_pattern": OPAQUE, KERNEL: f"int8 {said}"}
        made = _function(work, blocked, self._vectors).with_attrs(attributes)
        return self._builder.add_func(made, f"{called}_int8")


def _function(work: _Work, blocked: IntegerTiling | None, vectors: ByteVectors) -> tirx.PrimFunc:
    if isinstance(work, ImageBytes):
        return elementwise.emit_image(work, vectors)
    if isinstance(work, Pooling):
        return elementwise.emit_pooling(work, vectors)
    if isinstance(work, PairOfBytes):
        return bytewise.emit_pair(work, vectors)
    if isinstance(work, TableOfBytes):
        return bytewise.emit_table(work, vectors)
    if isinstance(work, ByteShuffle | ByteJoin | ByteSlice):
        return moving.emit_moving(work, lanes_of(vectors).kind)
    assert blocked is not None
    if isinstance(work, Depthwise):
        return depthwise.emit_depthwise(work, blocked, vectors)
    return convolution.emit_convolution(work, blocked, vectors)


def _limits(limits: tuple[int, int]) -> Epilogue:
    return () if limits == (0, 255) else ("limits",)


def _constant(value: NDArray[Any]) -> Expr:
    array = np.ascontiguousarray(value)
    return relax.const(array, str(array.dtype))
