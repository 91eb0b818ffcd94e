"""One rule an operator of ONNX: what it counts, and which of its inputs are parameters."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import prod

from facebench.harness.models.onnx_cost.graph import OnnxGraph, Operator
from facebench.harness.models.tally import Role

Operations = Callable[[Operator, OnnxGraph], int]


@dataclass(frozen=True)
class OnnxRule:
    """A rule counts one operator: `operations`, from the first convention it is in.

    Attributes:
        role: what it does to memory.
        convention: the first of `tally.CONVENTIONS` that counts it.
        operations: of one image.
        parameters: places among its inputs whose tables are parameters; None is any place,
            but there a table of one element is a number, and no parameter.
    """

    role: Role
    convention: str = "+activation"
    operations: Operations = lambda one, graph: 0
    parameters: tuple[int, ...] | None = None


def _convolution(one: Operator, graph: OnnxGraph) -> int:
    return graph.elements(one.output) * prod(graph.shapes[one.inputs[1]][1:])


def _quantized_convolution(one: Operator, graph: OnnxGraph) -> int:
    return graph.elements(one.output) * prod(graph.shapes[one.inputs[3]][1:])


def _transposed(one: Operator, graph: OnnxGraph) -> int:
    return graph.elements(one.inputs[0]) * prod(graph.shapes[one.inputs[1]][1:])


def _gemm(one: Operator, graph: OnnxGraph) -> int:
    inner = graph.shapes[one.inputs[0]][0 if one.attributes.get("transA") else 1]
    return graph.elements(one.output) * inner


def _matmul(one: Operator, graph: OnnxGraph) -> int:
    return graph.elements(one.output) * graph.shapes[one.inputs[0]][-1]


def _once(one: Operator, graph: OnnxGraph) -> int:
    return graph.elements(one.output)


def _twice(one: Operator, graph: OnnxGraph) -> int:
    return 2 * graph.elements(one.output)


def _pairs(one: Operator, graph: OnnxGraph) -> int:
    return (len(one.inputs) - 1) * graph.elements(one.output)


def _attention(one: Operator, graph: OnnxGraph) -> int:
    """Count both matrix products: queries by keys, and weights by values."""
    queries, keys, values = (graph.shapes[name] for name in one.inputs[:3])
    scores = graph.elements(one.inputs[0]) // queries[-1] * keys[-2]
    return scores * (queries[-1] + values[-1])


def _einsum(one: Operator, graph: OnnxGraph) -> int:
    """Count a product for each element of the output and of the axes that are summed over."""
    said: str = one.attributes["equation"].decode().replace(" ", "")
    terms, _, result = said.partition("->")
    sizes: dict[str, int] = {}
    for term, name in zip(terms.split(","), one.inputs, strict=True):
        before, _, after = term.partition("...")
        shape = graph.shapes[name]
        sizes |= zip(before, shape, strict=False)
        sizes |= zip(reversed(after), reversed(shape), strict=False)
    summed = prod(size for letter, size in sizes.items() if letter not in result)
    return (len(one.inputs) - 1) * graph.elements(one.output) * summed


_GROUPS: dict[OnnxRule, str] = {
    OnnxRule(Role.LAYER, "conv+linear", _convolution, (1, 2)): "Conv",
    OnnxRule(Role.LAYER, "conv+linear", _transposed, (1, 2)): "ConvTranspose",
    OnnxRule(Role.LAYER, "conv+linear", _gemm, (0, 1, 2)): "Gemm",
    OnnxRule(Role.LAYER, "conv+linear", _matmul, (0, 1, 2)): "MatMul",
    OnnxRule(Role.LAYER, "conv+linear", _einsum): "Einsum",
    OnnxRule(Role.LAYER, "conv+linear", _quantized_convolution, (3, 8)): "QLinearConv",
    OnnxRule(Role.LAYER, "conv+linear", _matmul, (0, 3)): "QLinearMatMul",
    OnnxRule(Role.LAYER, "conv+linear", _attention, ()): "Attention",
    # The statistics that it reads after its weight and bias are no parameters.
    OnnxRule(Role.FUSED, "+bn", _twice, (1, 2)): "BatchNormalization",
    OnnxRule(Role.OTHER, "+bn", _twice, (1, 2)): (
        "LayerNormalization InstanceNormalization GroupNormalization RMSNormalization"
    ),
    OnnxRule(Role.FUSED, "+activation", _once, (1,)): "PRelu",
    OnnxRule(Role.FUSED, "+activation", _once, ()): (
        "Relu LeakyRelu ThresholdedRelu Clip Elu Celu Selu Sigmoid HardSigmoid HardSwish Silu "
        "Swish Gelu Tanh Mish Softplus Softsign Shrink Sqrt Rsqrt Pow Erf Exp Log Abs Neg "
        "Reciprocal Sign Round Floor Ceil Sin Cos Tan Asin Acos Atan Sinh Cosh"
    ),
    OnnxRule(Role.OTHER, "+activation", _once): (
        "Add Sub Mul Div Mod Softmax LogSoftmax LpNormalization Where"
    ),
    OnnxRule(Role.OTHER, "+activation", _pairs): "Max Min Sum Mean",
    OnnxRule(Role.OTHER): (
        "MaxPool AveragePool LpPool GlobalAveragePool GlobalMaxPool GlobalLpPool ReduceMean "
        "ReduceSum ReduceMax ReduceMin ReduceProd ReduceL1 ReduceL2 ReduceSumSquare "
        "ReduceLogSum ReduceLogSumExp Concat Equal Greater GreaterOrEqual Less LessOrEqual And Or "
        "Xor Not IsNaN IsInf"
    ),
    OnnxRule(Role.OTHER, parameters=()): (
        "Transpose Pad Resize Upsample DepthToSpace SpaceToDepth Gather GatherND Tile"
    ),
    OnnxRule(Role.VIEW, parameters=()): (
        "Reshape Flatten Squeeze Unsqueeze Expand Slice Split"
    ),
}  # fmt: skip

RULES = {name: rule for rule, names in _GROUPS.items() for name in names.split()}
