"""Converts a wrapped graph to torch, where onnx2torch can."""

from __future__ import annotations

import contextlib
from operator import attrgetter
from typing import TYPE_CHECKING

import numpy as np

from facebench.architectures.errors import RefusedError
from facebench.harness.models.onnx_network.plain import plain
from facebench.harness.models.onnx_network.unfused import first_line

if TYPE_CHECKING:
    import torch
    from onnx import ModelProto, NodeProto
    from torch import fx, nn

# The last opset that onnx2torch reads, and operators that later ones changed in nothing but the
# types they take, as https://onnx.ai/onnx/operators says of each.
_OPSET = 17
_THE_SAME = set(
    """
    Abs Add AveragePool BatchNormalization Cast Clip Concat Constant Conv ConvTranspose Div Dropout
    Elu Equal Erf Exp Expand Flatten Floor Gather Gemm GlobalAveragePool GlobalMaxPool HardSigmoid
    HardSwish Identity InstanceNormalization LayerNormalization LeakyRelu Log MatMul Max MaxPool
    Min Mul Neg PRelu Pow Reciprocal ReduceSum Relu Reshape Round Shape Sigmoid Slice Softmax
    Softplus Sqrt Squeeze Sub Sum Tanh Transpose Unsqueeze Where
    """.split()  # noqa: SIM905 (a list of words reads better)
)
_REDUCTIONS = {f"Reduce{kind}" for kind in ("L1", "L2", "Max", "Mean", "Min", "Prod", "SumSquare")}


def module(wrapped: ModelProto, name: str, batch: int | None = None) -> nn.Module:
    """Return a wrapped graph as a module in evaluation mode; its batch is free where that goes.

    Args:
        wrapped: the graph.
        name: of the network, for sentences.
        batch: for so many images at once; None leaves it free.

    Raises:
        RefusedError: onnx2torch cannot convert it, or it does not run in torch.
    """
    if batch is not None:
        return _converted(plain(wrapped, batch), name)
    free = not wrapped.graph.input[0].type.tensor_type.shape.dim[0].dim_value
    if free:
        with contextlib.suppress(RefusedError):
            return _converted(plain(wrapped, None), name)
    return _converted(plain(wrapped, 1), name)


def _converted(model: ModelProto, name: str) -> nn.Module:
    import onnx2torch
    import torch

    model = _lowered(model)
    for number, node in enumerate(model.graph.node):
        # The modules' names, in which a slash would part scopes of a trace.
        node.name = f"{node.op_type}_{number}"
    shape = [dim.dim_value or 1 for dim in model.graph.input[0].type.tensor_type.shape.dim]
    try:
        made: fx.GraphModule = onnx2torch.convert(model).eval()
        _restore(made)
        # Attributes and indices that make no sense show when it runs.
        with torch.no_grad():
            made(torch.zeros(*shape))
    except Exception as error:  # whatever the converter and torch raise
        raise RefusedError(
            f"{name} cannot be converted to torch ({first_line(error)}): use another runtime, "
            "such as onnxruntime"
        ) from error
    return made


def _restore(made: fx.GraphModule) -> None:
    """Put torch's own operators where onnx2torch works with slopes and sizes as with any tensor.

    ExecuTorch's exporter takes no size out of a tensor, and no PReLU whose slopes are shaped anew
    at each inference.
    """
    from onnx2torch.node_converters.activations import OnnxPReLU
    from onnx2torch.node_converters.expand import OnnxExpand
    from onnx2torch.node_converters.reshape import OnnxReshape

    for node in list(made.graph.nodes):
        if node.op != "call_module" or node.args[1:] == ():
            continue
        kind = type(made.get_submodule(node.target))
        image, second = node.args[:2]
        if not isinstance(second, type(node)) or second.op != "get_attr":
            continue
        held = attrgetter(second.target)(made)
        of_channels = held.numel() == 1 or held.shape[-3:] == (held.numel(), 1, 1)
        if kind is OnnxPReLU and of_channels:
            made.set_submodule(node.target, _prelu(held))
            node.args = (image,)
        elif kind in (OnnxReshape, OnnxExpand):
            how = _reshaped if kind is OnnxReshape else _expanded
            with made.graph.inserting_after(node):
                plainer = made.graph.call_function(how, (image, tuple(held.tolist())))
            node.replace_all_uses_with(plainer)
            made.graph.erase_node(node)
    made.delete_all_unused_submodules()
    made.recompile()


def _prelu(slopes: torch.Tensor) -> nn.Module:
    from torch import nn

    prelu = nn.PReLU(slopes.numel())
    prelu.weight.data = slopes.detach().reshape(-1).clone()
    return prelu.eval()


def _reshaped(tensor: torch.Tensor, sizes: tuple[int, ...]) -> torch.Tensor:
    """Return a tensor in the shape that ONNX's Reshape asks for: where it says 0, its own size."""
    return tensor.reshape([size or tensor.shape[axis] for axis, size in enumerate(sizes)])


def _expanded(tensor: torch.Tensor, sizes: tuple[int, ...]) -> torch.Tensor:
    """Return a tensor in the shape that ONNX's Expand asks for, to which both are broadcast."""
    import torch

    return tensor.expand(torch.broadcast_shapes(tensor.shape, sizes))  # type: ignore[no-untyped-call]


def _lowered(model: ModelProto) -> ModelProto:
    """Put a graph in the operators of opset 17, where later ones say the same in other words."""
    import onnx

    arrays = {one.name: onnx.numpy_helper.to_array(one) for one in model.graph.initializer}
    for node in model.graph.node:
        if node.op_type == "Clip" and node.input[1:]:
            _bound(model, node)
    _replace_gelu(model)
    (standard,) = [one for one in model.opset_import if one.domain in ("", "ai.onnx")]
    if standard.version <= _OPSET:
        return model
    reductions = [node for node in model.graph.node if node.op_type in _REDUCTIONS]
    known = all(len(node.input) == 1 or node.input[1] in arrays for node in reductions)
    kinds = {node.op_type for node in model.graph.node if not node.domain}
    if known and kinds <= _THE_SAME | _REDUCTIONS:
        for node in reductions:
            if len(node.input) > 1:
                axes = arrays[node.input[1]].tolist()
                del node.input[1:]
                node.attribute.append(onnx.helper.make_attribute("axes", axes))
        standard.version = _OPSET
    return model


def _replace_gelu(model: ModelProto) -> None:
    """Write each Gelu of opset 20 out, as ONNX defines it."""
    from onnx import helper, numpy_helper

    def constant(name: str, value: float) -> str:
        held = numpy_helper.from_array(np.array(value, np.float32), name)
        model.graph.initializer.append(held)
        return name

    nodes = list(model.graph.node)
    del model.graph.node[:]
    for node in nodes:
        if node.op_type != "Gelu" or any(one.s == b"tanh" for one in node.attribute):
            model.graph.node.append(node)
            continue
        start, end = node.input[0], node.output[0]
        root, half, one = (
            constant(f"{end}.{name}", value)
            for name, value in (("root", 0.5**0.5), ("half", 0.5), ("one", 1.0))
        )
        inner = [f"{end}.{number}" for number in range(4)]
        model.graph.node.extend(
            [
                helper.make_node("Mul", [start, root], [inner[0]]),
                helper.make_node("Erf", [inner[0]], [inner[1]]),
                helper.make_node("Add", [inner[1], one], [inner[2]]),
                helper.make_node("Mul", [inner[2], half], [inner[3]]),
                helper.make_node("Mul", [inner[3], start], [end]),
            ]
        )


def _bound(model: ModelProto, node: NodeProto) -> None:
    """Give a Clip the bounds that it leaves out: the largest numbers there are."""
    import onnx

    limits = np.finfo(np.float32)
    bounds = [*node.input[1:], "", ""][:2]
    for number, (name, value) in enumerate(zip(bounds, (limits.min, limits.max), strict=True)):
        if not name:
            bounds[number] = f"{node.output[0]}.bound.{number}"
            held = onnx.numpy_helper.from_array(np.asarray(value), bounds[number])
            model.graph.initializer.append(held)
    node.input[1:] = bounds
