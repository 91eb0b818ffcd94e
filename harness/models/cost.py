"""Counts parameters, multiply-adds, activations and bytes of a torch module, on its trace.

`tally` says by which conventions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
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
    einsum_flop_jit,
    get_shape,
    linear_flop_jit,
)
from torch import nn

from facebench.architectures.errors import BadInputError
from facebench.architectures.initialise import unfilled, untrained
from facebench.architectures.registry import find
from facebench.harness.models.bn_folding import fold_batch_norm, inference_form
from facebench.harness.models.tally import CostTally, Map, Role, cost
from facebench.harness.records.cost import Cost

# torch._C.Value: a tensor, number or list in the trace.
Value = Any
Handle = Callable[[Sequence[Value], Sequence[Value]], int]


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
    folded = _trace(fold_batch_norm(network, input_size), input_size)
    parameters = sum(parameter.numel() for parameter in network.parameters())
    return cost(trained, folded, parameters, input_size, embedding_size)


def count_named(name: str) -> Cost:
    """Return the cost of one image of the registered network called `name`.

    Its weights are neither drawn nor given memory, which takes far longer than to count them.

    Raises:
        UnknownNameError: there is no such network.
        BadInputError: it cannot be traced, or has an operator without a rule.
    """
    architecture = find(name)
    # A network may look at its weights as it is built, or hold tensors apart.
    with suppress(Exception):
        return count(unfilled(name), architecture.input_size, architecture.embedding_size)
    return count(untrained(name), architecture.input_size, architecture.embedding_size)


def _convolution(inputs: Sequence[Value], outputs: Sequence[Value]) -> int:
    return int(conv_flop_jit(list(inputs), list(outputs))["conv"])


def _matmul(inputs: Sequence[Value], outputs: Sequence[Value]) -> int:
    return int(prod(get_shape(outputs[0])) * get_shape(inputs[0])[-1])


def _attention(inputs: Sequence[Value], outputs: Sequence[Value]) -> int:
    """Count both matrix products; the softmax between them is no operator of its own there."""
    keys = get_shape(inputs[1])
    return int(prod(get_shape(inputs[0])[:-1]) * keys[-2] * (keys[-1] + get_shape(inputs[2])[-1]))


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
        "einsum": einsum_flop_jit,
        "scaled_dot_product_attention": _attention,
    }
    groups = {
        Rule(Role.FUSED, "+bn", twice): "batch_norm",
        Rule(Role.FUSED, "+activation", once): (
            "prelu relu relu6 leaky_relu hardtanh clamp clamp_min elu sigmoid hardsigmoid "
            "hardswish silu gelu erf tanh mish softplus sqrt rsqrt pow exp neg abs celu selu "
            "hardshrink softshrink log_sigmoid threshold sign round floor ceil log"
        ),
        Rule(Role.OTHER, "+bn", twice): "layer_norm group_norm instance_norm rms_norm",
        Rule(Role.OTHER, "+activation", once): (
            "add sub rsub mul div maximum minimum softmax where masked_fill"
        ),
        Rule(Role.OTHER, "+activation", twice): "addcmul glu",
        Rule(Role.OTHER): (
            "max_pool2d avg_pool2d adaptive_avg_pool2d adaptive_max_pool2d mean sum norm "
            "linalg_vector_norm cat stack channel_shuffle transpose permute pad constant_pad_nd "
            "upsample_nearest2d upsample_bilinear2d upsample_bicubic2d roll index flip "
            "var amax amin clone pixel_shuffle pixel_unshuffle im2col"
        ),
        Rule(Role.VIEW): (
            "reshape view flatten unflatten squeeze unsqueeze expand expand_as slice select "
            "narrow select t chunk split split_with_sizes unbind dropout contiguous detach to"
        ),
    }
    rules = {
        name: Rule(Role.LAYER, "conv+linear", handle) for name, handle in matrix_products.items()
    }
    rules |= {name: rule for rule, names in groups.items() for name in names.split()}
    in_place = {f"{name}_": rule for name, rule in rules.items()}
    return {f"aten::{name}": rule for name, rule in (rules | in_place).items()}


RULES = _table()

# What works out tables of positions. Any other operator without a rule is found in a first pass,
# and whether it works on maps in a second.
_OF_TABLES = ("aten::cos", "aten::sin", "aten::cumsum")


@dataclass
class _Trace(CostTally):
    """It is what one pass over the network's operators found.

    Attributes:
        state: parameters and buffers, as the trace is given them after the image.
        unknown: operators without a rule.
    """

    state: Sequence[torch.Tensor] = ()
    unknown: set[str] = field(default_factory=set)

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
        self.place(rule.role, [_map(value) for value in read], _map(outputs[0]))
        if rule.role is not Role.VIEW:
            self._add(kind, rule, operations, inputs, outputs[0])
        return operations

    def _add(
        self, kind: str, rule: Rule, operations: int, inputs: Sequence[Value], output: Value
    ) -> None:
        # The statistics that BN reads after its weight and bias are no parameters.
        read = inputs[:3] if kind.startswith("aten::batch_norm") else inputs
        self.add_layer(
            output.node().scopeName().rpartition("/")[2],
            kind.removeprefix("aten::").strip("_"),
            rule.role,
            tuple(get_shape(output)),
            _parameters(read, self.buffers, self.state),
            operations,
            rule.convention,
        )

    def _buffers_of(self, value: Value) -> tuple[str, ...]:
        """Buffers a value lies in; none where it does not depend on the input."""
        name = value.debugName()
        if name in self.buffers:
            return self.buffers[name]
        if _is_image(value):
            self.add_image(_map(value))
        if value.node().kind() == "prim::ListUnpack":
            self.buffers[name] = self.lie_in(one.debugName() for one in value.node().inputs())
        return self.buffers.get(name, ())


def _trace(
    network: nn.Module, input_size: tuple[int, int], others: frozenset[str] = frozenset()
) -> _Trace:
    """Return what one pass over the network finds, also looking at the operators `others`."""
    # A tensor that two layers share is given once.
    state = {id(tensor): tensor for tensor in network.state_dict(keep_vars=True).values()}
    trace = _Trace(state=list(state.values()))
    analysis = FlopCountAnalysis(network, torch.zeros(1, 3, *input_size)).clear_op_handles()
    # fvcore passes over some operators in silence, which we must not.
    kinds = {*RULES, *_IGNORED_OPS, *_OF_TABLES, *others}
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


def _map(value: Value) -> Map:
    """Return the value as a map; a list of tensors, which is a view, has no size of its own."""
    size = 0 if value.type().kind() == "ListType" else _elements(value)
    return Map(value.debugName(), size, len(value.uses()))


def _elements(value: Value) -> int:
    return int(prod(get_shape(value)))


def _parameters(
    values: Iterable[Value], activations: dict[str, Any], state: Sequence[torch.Tensor]
) -> dict[str, int]:
    """Return elements of the parameters among values, or that values were worked out from.

    Buffers, such as the frequencies of a positional encoding, are none.
    """
    found: dict[str, int] = {}
    for value in values:
        if value.debugName() in activations:
            continue
        if value.node().kind() == "prim::Param":
            # The first is the image.
            if isinstance(state[value.offset() - 1], nn.Parameter):
                found[value.debugName()] = _elements(value)
        else:
            found |= _parameters(value.node().inputs(), activations, state)
    return found
