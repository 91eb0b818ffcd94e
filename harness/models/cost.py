"""Parameters, multiply-adds, activations and bytes of a network, counted on its trace.

Multiply-adds are counted under three conventions, each including the one before:

    conv+linear: multiply-adds of convolutions and matrix products, biases left
        out. The paper's (arXiv 1804.07573).
    +bn: and two operations for each element of a batch or layer normalization.
    +activation: and one for each element of an activation function, and of a
        sum, difference, product, quotient or maximum of maps, such as a residual
        addition or a gate.

Pooling and other reductions, concatenation and copies count nothing. Nor does what does not
depend on the image, such as a convolution of a table of positions: it is worked out once,
when the network is exported, and is no part of an inference. A counter that follows one pass
of torch, such as `torch.utils.flop_counter`, counts it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from enum import Enum
from functools import partial
from math import prod
from typing import Any

import torch
from fvcore.nn import FlopCountAnalysis
from fvcore.nn.jit_analysis import _IGNORED_OPS
from fvcore.nn.jit_handles import (
    addmm_flop_jit,
    bmm_flop_jit,
    conv_flop_jit,
    get_shape,
    linear_flop_jit,
)
from torch import nn

from facebench.architectures.errors import BadInputError
from facebench.harness.models.bn_folding import fold_batch_norm, inference_form
from facebench.harness.records.cost import Cost, LayerCost

CONVENTIONS = ("conv+linear", "+bn", "+activation")
BYTES = {"fp32": 4, "fp16": 2, "int8": 1}

# torch._C.Value: a tensor, number or list in the trace.
Value = Any
Handle = Callable[[Sequence[Value], Sequence[Value]], int]


class Role(Enum):
    """It says what an operator does to memory."""

    LAYER = "writes its output; convolutions and matrix products"
    FUSED = "rewrites its input in place, in the same pass as the layer before it"
    OTHER = "writes its output"
    VIEW = "writes nothing"


@dataclass(frozen=True)
class Rule:
    """A rule counts one operator: `operations`, from the first of `CONVENTIONS` it is in."""

    role: Role
    convention: str = "+activation"
    operations: Handle = lambda inputs, outputs: 0


def count(network: nn.Module, input_size: tuple[int, int], embedding_size: int) -> Cost:
    """Return the cost of one image of `input_size` (height, width) in pixels.

    Raises:
        BadInputError: the network cannot be traced, or has an operator without a rule.
    """
    trained = _trace(inference_form(network), input_size)
    folded = _trace(fold_batch_norm(network), input_size)
    parameters_folded = sum(folded.parameters.values())
    return Cost(
        parameters=sum(parameter.numel() for parameter in network.parameters()),
        parameters_bn_folded=parameters_folded,
        madds={name: sum(layer.madds[name] for layer in trained.layers) for name in CONVENTIONS},
        activations=sum(layer.activations for layer in trained.layers),
        weight_bytes=BYTES["fp32"] * parameters_folded,
        activation_bytes=BYTES["fp32"] * sum(step.read + step.written for step in folded.steps),
        peak_activation_bytes=BYTES["fp32"] * _peak(folded.steps, folded.sizes),
        size_bytes={name: width * parameters_folded for name, width in BYTES.items()},
        input_size=input_size,
        embedding_size=embedding_size,
        layers=tuple(trained.layers),
    )


def _convolution(inputs: Sequence[Value], outputs: Sequence[Value]) -> int:
    return int(conv_flop_jit(list(inputs), list(outputs))["conv"])


def _matmul(inputs: Sequence[Value], outputs: Sequence[Value]) -> int:
    return int(prod(get_shape(outputs[0])) * get_shape(inputs[0])[-1])


def _per_element(operations: int, inputs: Sequence[Value], outputs: Sequence[Value]) -> int:
    return int(operations * prod(get_shape(outputs[0])))


def _table() -> dict[str, Rule]:
    once, twice = partial(_per_element, 1), partial(_per_element, 2)
    matrix_products: dict[str, Handle] = {
        "_convolution": _convolution,
        "linear": linear_flop_jit,
        "addmm": addmm_flop_jit,
        "bmm": bmm_flop_jit,
        "mm": _matmul,
        "matmul": _matmul,
    }
    groups = {
        Rule(Role.FUSED, "+bn", twice): "batch_norm",
        Rule(Role.FUSED, "+activation", once): (
            "prelu relu relu6 leaky_relu hardtanh clamp clamp_min elu sigmoid hardsigmoid "
            "hardswish silu gelu tanh mish softplus sqrt pow"
        ),
        Rule(Role.OTHER, "+bn", twice): "layer_norm",
        Rule(Role.OTHER, "+activation", once): "add sub mul div maximum softmax",
        Rule(Role.OTHER): (
            "max_pool2d avg_pool2d adaptive_avg_pool2d adaptive_max_pool2d mean sum norm "
            "linalg_vector_norm cat stack channel_shuffle transpose permute pad constant_pad_nd"
        ),
        Rule(Role.VIEW): (
            "reshape view flatten unflatten squeeze unsqueeze expand expand_as slice select "
            "narrow chunk split split_with_sizes unbind dropout contiguous detach to"
        ),
    }
    rules = {
        name: Rule(Role.LAYER, "conv+linear", handle) for name, handle in matrix_products.items()
    }
    rules |= {name: rule for rule, names in groups.items() for name in names.split()}
    in_place = {f"{name}_": rule for name, rule in rules.items()}
    return {f"aten::{name}": rule for name, rule in (rules | in_place).items()}


RULES = _table()


@dataclass(frozen=True)
class _Step:
    """It is one layer of the fused network: elements moved, and the buffers it needs."""

    read: int
    written: int
    buffers: tuple[str, ...]


@dataclass
class _Trace:
    """It is what one pass over the network's operators found, in execution order.

    Attributes:
        layers: all operators but views.
        steps: layers that stay apart where BN and activations are fused.
        sizes: elements of each buffer that holds activations.
        parameters: elements of each parameter tensor that is read.
        unknown: operators without a rule.
        buffers: of each value in the trace that depends on the input, the buffers it lies in.
        whole: values that are all of their buffer.
    """

    layers: list[LayerCost] = field(default_factory=list)
    steps: list[_Step] = field(default_factory=list)
    sizes: dict[str, int] = field(default_factory=dict)
    parameters: dict[str, int] = field(default_factory=dict)
    unknown: set[str] = field(default_factory=set)
    buffers: dict[str, tuple[str, ...]] = field(default_factory=dict)
    whole: set[str] = field(default_factory=set)

    def visit(self, kind: str, inputs: Sequence[Value], outputs: Sequence[Value]) -> int:
        """Take one operator in; returns its operations, as fvcore wants of a handle."""
        read = [value for value in _tensors(inputs) if self._buffers_of(value)]
        if not read or not _is_tensor(outputs[0]):
            return 0  # arithmetic on shapes or on weights alone
        if kind not in RULES:
            self.unknown.add(kind)
            return 0
        rule = RULES[kind]
        operations = rule.operations(inputs, outputs)
        self._place(rule.role, read, outputs[0])
        if rule.role is not Role.VIEW:
            self.layers.append(self._layer(kind, rule, operations, inputs, outputs[0]))
        return operations

    def _place(self, role: Role, read: list[Value], output: Value) -> None:
        """Find the buffer of an output: its input's own, or a new one."""
        name = output.debugName()
        if role is Role.VIEW or (role is Role.FUSED and self._is_fusible(read)):
            self.buffers[name] = self._all_buffers(read)
        else:
            self.buffers[name] = (name,)
            self.sizes[name] = _elements(output)
            moved = sum(_elements(value) for value in read)
            buffers = (*self._all_buffers(read), name)
            self.steps.append(_Step(moved, self.sizes[name], buffers))
        if role is not Role.VIEW:
            self.whole.add(name)

    def _is_fusible(self, read: list[Value]) -> bool:
        """Nobody else reads the one input, and it is not the image, which may not change."""
        return len(read) == 1 and read[0].debugName() in self.whole and len(read[0].uses()) == 1

    def _layer(
        self, kind: str, rule: Rule, operations: int, inputs: Sequence[Value], output: Value
    ) -> LayerCost:
        # The statistics that BN reads after its weight and bias are no parameters.
        read = inputs[:3] if kind.startswith("aten::batch_norm") else inputs
        new = {
            name: size
            for name, size in _parameters(read, self.buffers).items()
            if name not in self.parameters
        }
        self.parameters |= new
        start = CONVENTIONS.index(rule.convention)
        return LayerCost(
            name=output.node().scopeName().rpartition("/")[2],
            operator=kind.removeprefix("aten::").strip("_"),
            output_shape=tuple(get_shape(output)),
            parameters=sum(new.values()),
            madds={c: operations * (i >= start) for i, c in enumerate(CONVENTIONS)},
            activations=_elements(output) if rule.role is Role.LAYER else 0,
        )

    def _buffers_of(self, value: Value) -> tuple[str, ...]:
        """Buffers a value lies in; none where it does not depend on the input."""
        name = value.debugName()
        if name in self.buffers:
            return self.buffers[name]
        if _is_image(value):
            self.sizes[name] = _elements(value)
            self.buffers[name] = (name,)
        if value.node().kind() == "prim::ListUnpack":
            self.buffers[name] = self._all_buffers(value.node().inputs())
        return self.buffers.get(name, ())

    def _all_buffers(self, values: Iterable[Value]) -> tuple[str, ...]:
        return tuple(dict.fromkeys(buffer for v in values for buffer in self._buffers_of(v)))


def _trace(
    network: nn.Module, input_size: tuple[int, int], others: frozenset[str] = frozenset()
) -> _Trace:
    """Return what one pass over the network finds, also looking at the operators `others`."""
    trace = _Trace()
    analysis = FlopCountAnalysis(network, torch.zeros(1, 3, *input_size)).clear_op_handles()
    # fvcore passes over some operators in silence, which we must not.
    kinds = {*RULES, *_IGNORED_OPS, *others}
    analysis.set_op_handle(**{kind: partial(trace.visit, kind) for kind in kinds})
    analysis.unsupported_ops_warnings(False).uncalled_modules_warnings(False)
    with torch.no_grad():
        analysis.total()
    unseen = frozenset(analysis.unsupported_ops())
    if unseen:  # they cost nothing if they only work out shapes
        return _trace(network, input_size, others | unseen)
    if trace.unknown:
        raise BadInputError(
            f"no rule says what these operators cost: {', '.join(sorted(trace.unknown))}; "
            "add them to the table in harness/models/cost.py"
        )
    return trace


def _peak(steps: list[_Step], sizes: dict[str, int]) -> int:
    """Most elements held at once; a buffer lives from the first step that needs it to the last."""
    last = {buffer: i for i, step in enumerate(steps) for buffer in step.buffers}
    first = {buffer: i for i, step in reversed([*enumerate(steps)]) for buffer in step.buffers}
    return max(
        sum(size for buffer, size in sizes.items() if first[buffer] <= i <= last[buffer])
        for i in range(len(steps))
    )


def _tensors(values: Iterable[Value]) -> list[Value]:
    """Tensors of floating point among values and lists of values."""
    found: list[Value] = []
    for value in values:
        if value.node().kind() == "prim::ListConstruct":
            found += _tensors(value.node().inputs())
        elif _is_tensor(value):
            found.append(value)
    return found


def _is_tensor(value: Value) -> bool:
    kind = value.type()
    if kind.kind() == "ListType":
        return bool(kind.getElementType().kind() == "TensorType")
    return bool(value.isCompleteTensor() and kind.dtype().is_floating_point)


def _is_image(value: Value) -> bool:
    """Return the trace's inputs are the image, then parameters and statistics."""
    return bool(value.node().kind() == "prim::Param" and value.offset() == 0)


def _elements(value: Value) -> int:
    return int(prod(get_shape(value)))


def _parameters(values: Iterable[Value], activations: dict[str, Any]) -> dict[str, int]:
    """Return elements of the parameters among values, or that values were worked out from."""
    found: dict[str, int] = {}
    for value in values:
        if value.debugName() in activations:
            continue
        if value.node().kind() == "prim::Param":
            found |= {value.debugName(): _elements(value)} if _is_tensor(value) else {}
        else:
            found |= _parameters(value.node().inputs(), activations)
    return found
