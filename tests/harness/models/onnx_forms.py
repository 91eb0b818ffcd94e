"""One small network in the forms in which people save networks, and its value by hand."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

SIZE, CHANNELS, EMBEDDING = 16, 6, 8

Array = NDArray[np.float64]

_LUMA = np.array([0.299, 0.587, 0.114])  # ITU-R BT.601


@dataclass(frozen=True)
class Form:
    """How a network is saved.

    Attributes:
        opset: of its operators.
        element: of its input, as `onnx.TensorProto` calls it.
        weights: likewise, of its weights and arithmetic.
        channels_last: whether its input is NHWC.
        grey: whether its input has one channel.
        batch: of its input and output; a text where it is free.
        free_size: whether height and width are.
        shape: of its output after the batch.
        slope: shape of the PReLU's slopes.
        dense: `Gemm`, or `MatMul` with an `Add`.
        behind: an operator that each weight comes out of: `Identity`, `Constant` or none.
        normalized: whether it ends in `torch.nn.functional.normalize`.
        norm: whether batch normalization follows the convolution.
        others: names of more outputs.
    """

    opset: int = 17
    element: str = "FLOAT"
    weights: str = "FLOAT"
    channels_last: bool = False
    grey: bool = False
    batch: int | str = "n"
    free_size: bool = False
    shape: tuple[int, ...] = (EMBEDDING,)
    slope: tuple[int, ...] = (CHANNELS, 1, 1)
    dense: str = "Gemm"
    behind: str = ""
    normalized: bool = False
    norm: bool = False
    others: tuple[str, ...] = ()
    named: tuple[str, str] = ("x", "y")


@dataclass
class Made:
    """A graph that grows."""

    form: Form
    nodes: list[onnx.NodeProto] = field(default_factory=list)
    held: list[onnx.TensorProto] = field(default_factory=list)

    def weight(self, name: str, values: Array, exact: bool = False) -> str:
        kind = np.dtype(np.float16 if self.form.weights == "FLOAT16" else np.float32)
        tensor = numpy_helper.from_array(np.asarray(values, None if exact else kind), name)
        if self.form.behind == "Constant":
            self.nodes.append(helper.make_node("Constant", [], [name], value=tensor))
        elif self.form.behind == "Identity" and not exact:
            tensor.name = f"{name}.stored"
            self.held.append(tensor)
            self.nodes.append(helper.make_node("Identity", [tensor.name], [name]))
        else:
            self.held.append(tensor)
        return name

    def then(self, kind: str, *names: str, **attributes: object) -> str:
        output = f"v{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, names, [output], **attributes))
        return output


def weights(seed: int = 0) -> dict[str, Array]:
    """Weights of the network, which half precision holds exactly."""
    draw = np.random.default_rng(seed)
    shapes = {
        "w": (CHANNELS, 3, 4, 4), "b": (CHANNELS,), "slope": (CHANNELS,),
        "dense": (CHANNELS * 16, EMBEDDING), "bias": (EMBEDDING,),
        "gamma": (CHANNELS,), "beta": (CHANNELS,), "mean": (CHANNELS,), "var": (CHANNELS,),
    }  # fmt: skip
    found = {
        n: (draw.normal(size=s) / 4).astype(np.float16).astype(float) for n, s in shapes.items()
    }
    return found | {"var": (np.abs(found["var"]) + 0.5).astype(np.float16).astype(float)}


def value(form: Form, images: Array, seed: int = 0) -> Array:
    """Embeddings (N, 8) of images (N, 3, 16, 16), by numpy alone."""
    held = weights(seed)
    if form.element == "UINT8":
        if form.grey:
            images = np.einsum("nchw,c->nhw", images, _LUMA).round()[:, None].repeat(3, 1)
        images = (images - 127.5) / 128
    elif form.grey:
        images = np.einsum("nchw,c->nhw", images, _LUMA)[:, None].repeat(3, 1)
    patches = images.reshape(len(images), 3, 4, 4, 4, 4)
    found = np.einsum("nchiwj,ocij->nohw", patches, held["w"]) + held["b"].reshape(1, -1, 1, 1)
    if form.norm:
        gamma, beta, mean, var = (
            held[name].reshape(1, -1, 1, 1) for name in ("gamma", "beta", "mean", "var")
        )
        found = (found - mean) / np.sqrt(var + 1e-5) * gamma + beta
    found = np.where(found > 0, found, found * held["slope"].reshape(1, -1, 1, 1))
    found = found.reshape(len(found), -1) @ held["dense"] + held["bias"]
    if form.normalized:
        found = found / np.maximum(np.linalg.norm(found, axis=1, keepdims=True), 1e-12)
    return found


def model(form: Form, seed: int = 0) -> onnx.ModelProto:
    """The network as a graph."""
    held, made = weights(seed), Made(form)
    name = form.named[0]
    if form.channels_last:
        name = made.then("Transpose", name, perm=[0, 3, 1, 2])
    if form.element != form.weights:
        name = made.then("Cast", name, to=getattr(TensorProto, form.weights))
    if form.element == "UINT8":
        name = made.then("Sub", name, made.weight("half", np.array(127.5)))
        name = made.then("Div", name, made.weight("range", np.array(128.0)))
    # The same channel thrice is one with the sum of the weights.
    kernel = held["w"].sum(1, keepdims=True) if form.grey else held["w"]
    name = made.then("Conv", name, made.weight("w", kernel), made.weight("b", held["b"]),
                     strides=[4, 4], kernel_shape=[4, 4])  # fmt: skip
    if form.norm:
        statistics = [made.weight(n, held[n]) for n in ("gamma", "beta", "mean", "var")]
        name = made.then("BatchNormalization", name, *statistics, epsilon=1e-5)
    name = made.then("PRelu", name, made.weight("slope", held["slope"].reshape(form.slope)))
    name = made.then("Flatten", name)
    dense, bias = made.weight("dense", held["dense"]), made.weight("bias", held["bias"])
    if form.dense == "Gemm":
        name = made.then("Gemm", name, dense, bias)
    else:
        name = made.then("Add", made.then("MatMul", name, dense), bias)
    if form.normalized:
        name = _normalized(made, name)
    outputs = {form.named[1]: name} | {other: made.then("Neg", name) for other in form.others}
    for output, source in outputs.items():
        shape = made.weight(f"{output}.shape", np.array([-1, *form.shape]), exact=True)
        made.nodes.append(helper.make_node("Reshape", [source, shape], [output]))
    side: int | str = "side" if form.free_size else SIZE
    places = [side, side] if not form.channels_last else []
    dims = [form.batch, 1 if form.grey else 3, *places]
    if form.channels_last:
        dims = [form.batch, side, side, dims[1]]
    kind = getattr(TensorProto, form.weights)
    graph = helper.make_graph(
        made.nodes,
        "network",
        [helper.make_tensor_value_info(form.named[0], getattr(TensorProto, form.element), dims)],
        [helper.make_tensor_value_info(one, kind, [form.batch, *form.shape]) for one in outputs],
        made.held,
    )
    return helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", form.opset)], ir_version=8
    )


def write(form: Form, path: Path, seed: int = 0) -> Path:
    """Save the network to a file."""
    onnx.save(model(form, seed), path)
    return path


def _normalized(made: Made, name: str) -> str:
    """As torch's exporter writes it: a Clip without a maximum."""
    if made.form.opset < 18:
        length = made.then("ReduceL2", name, axes=[1], keepdims=1)
    else:
        axes = made.weight("axes", np.array([1]), exact=True)
        length = made.then("ReduceL2", name, axes, keepdims=1)
    if made.form.opset < 11:
        length = made.then("Clip", length, min=1e-12)
    else:
        length = made.then("Clip", length, made.weight("least", np.array(1e-12)), "")
    return made.then("Div", name, made.then("Expand", length, made.then("Shape", name)))
