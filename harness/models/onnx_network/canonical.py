"""Wraps a user's graph once: what leaves takes `image` (N, 3, H, W) and gives `embedding` (N, E).

The graph itself stays as it is. Around it come what the image needs (its layout, its type, its
grey) and what the embedding needs (its shape, its type), so that no runtime needs to know.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from facebench.architectures.errors import BadInputError
from facebench.harness.models.onnx_network import files, unfused
from facebench.harness.models.onnx_network.interface import Interface
from facebench.harness.models.onnx_network.unfused import EMBEDDING, IMAGE
from facebench.harness.stats.arrays import FloatArray

if TYPE_CHECKING:
    from onnx import GraphProto, ModelProto, NodeProto

# A prefix for what is added, of which no exporter makes names.
_OURS = "facebench."


def wrap(model: ModelProto, found: Interface, channels: str = "RGB") -> ModelProto:
    """Return the wrapped graph; its batch is free where the graph then answers the same.

    Args:
        model: with its weights.
        found: its interface.
        channels: their order in the image, `RGB` or `BGR`, which a grey image is worked out of.

    Raises:
        BadInputError: it takes several images at once and no other number.
    """
    wrapped = _wrapped(model, replace(found, batch=0), channels)
    if not found.batch or _same_alone(wrapped, model, found):
        return wrapped
    if found.batch == 1:
        return _wrapped(model, found, channels)
    raise BadInputError(
        f"its input {found.image} takes {found.batch} images at once and no other number: export "
        "it for one image, or for any number"
    )


def adapted(images: FloatArray, found: Interface, channels: str = "RGB") -> FloatArray:
    """Return what a graph's own input takes of images (N, 3, H, W): its layout, type and grey."""
    given = images.astype(np.float64)
    if found.channels == 1:
        given = np.einsum("nchw,c->nhw", given, luma(channels))[:, None]
    if found.raw:
        given = given.round()
    if found.channels_last:
        given = given.transpose(0, 2, 3, 1)
    return given.astype(found.element)


def luma(channels: str) -> tuple[float, ...]:
    """Return what a grey image has of each channel, in their order: `RGB` or `BGR`."""
    from facebench.architectures.light_cnn import LUMA  # loads torch

    return LUMA if channels == "RGB" else LUMA[::-1]


def _wrapped(model: ModelProto, found: Interface, channels: str) -> ModelProto:
    import onnx

    made = onnx.ModelProto()
    made.CopyFrom(model)
    # Weights that are no inputs came with version 4 of the format.
    made.ir_version = max(made.ir_version, 4)
    graph = made.graph
    taken = {name for node in files.nodes(graph) for name in (*node.input, *node.output)}
    clash = {name: f"{_OURS}own.{name}" for name in (IMAGE, EMBEDDING) if name in taken}
    _rename(graph, clash)
    before = _before(found, clash.get(found.image, found.image), channels)
    after = _after(found, clash.get(found.embedding, found.embedding))
    own = list(graph.node)
    del graph.node[:], graph.input[:], graph.output[:], graph.value_info[:]
    graph.node.extend([*before[0], *own, *after[0]])
    graph.initializer.extend(
        onnx.numpy_helper.from_array(value, name) for name, value in (before[1] | after[1]).items()
    )
    count = found.batch or "batch"
    kind = onnx.TensorProto.FLOAT
    graph.input.append(onnx.helper.make_tensor_value_info(IMAGE, kind, [count, 3, *found.size]))
    graph.output.append(
        onnx.helper.make_tensor_value_info(EMBEDDING, kind, [count, found.embedding_size])
    )
    return made


_Step = tuple[str, list[str], dict[str, Any]]
_Part = tuple[list["NodeProto"], dict[str, np.ndarray]]


def _before(found: Interface, name: str, channels: str) -> _Part:
    """Return nodes from `image` to the graph's own input, and their constants."""
    steps: list[_Step] = []
    constants: dict[str, np.ndarray] = {}
    if found.channels == 1:
        constants[f"{_OURS}luma"] = np.asarray(luma(channels), np.float32).reshape(1, 3, 1, 1)
        steps.append(("Conv", [f"{_OURS}luma"], {"kernel_shape": [1, 1]}))
    if found.raw and found.channels == 1:
        steps.append(("Round", [], {}))
    if found.element != "float32":
        steps.append(("Cast", [], {"to": _type(found.element)}))
    if found.channels_last:
        steps.append(("Transpose", [], {"perm": [0, 2, 3, 1]}))
    return _chain(IMAGE, steps or [("Identity", [], {})], name, "image"), constants


def _after(found: Interface, name: str) -> _Part:
    """Return nodes from the graph's own output to `embedding`, and their constants."""
    steps: list[_Step] = []
    constants: dict[str, np.ndarray] = {}
    if len(found.shape) != 2:
        constants[f"{_OURS}shape"] = np.array([-1, found.embedding_size], np.int64)
        steps.append(("Reshape", [f"{_OURS}shape"], {}))
    if found.given != "float32":
        steps.append(("Cast", [], {"to": _type("float32")}))
    return _chain(name, steps or [("Identity", [], {})], EMBEDDING, "embedding"), constants


def _chain(start: str, steps: list[_Step], end: str, what: str) -> list[NodeProto]:
    import onnx

    nodes, name = [], start
    for number, (kind, more, attributes) in enumerate(steps):
        last = number == len(steps) - 1
        output = end if last else f"{_OURS}{what}.{number}"
        label = f"{_OURS}{what}.{kind}"
        nodes.append(onnx.helper.make_node(kind, [name, *more], [output], label, **attributes))
        name = output
    return nodes


def _type(element: str) -> int:
    import onnx

    return int(onnx.helper.np_dtype_to_tensor_dtype(np.dtype(element)))


def _rename(graph: GraphProto, names: Mapping[str, str]) -> None:
    """Rename values, in the graphs inside nodes too, which see those outside."""
    if not names:
        return
    for node in files.nodes(graph):
        for values in (node.input, node.output):
            values[:] = [names.get(name, name) for name in values]
    for value in (*graph.input, *graph.output, *graph.initializer):
        value.name = names.get(value.name, value.name)


def _same_alone(free: ModelProto, model: ModelProto, found: Interface) -> bool:
    """Return whether the freed graph answers on one image and on several as the fixed one."""
    count = max(found.batch, 2)
    images = np.random.default_rng(0).normal(size=(count, 3, *found.size)).astype(np.float32)
    if found.raw:
        images = np.abs(images * 64).round().clip(0, 255)
    try:
        alone = unfused.embed(free, images)
        together = unfused.answers(free, {IMAGE: images})[EMBEDDING]
        known = [
            unfused.answers(model, {found.image: adapted(images[i : i + found.batch], found)})
            for i in range(0, count, found.batch)
        ]
    except Exception:  # ONNX Runtime raises a dozen kinds
        return False
    expected = np.concatenate([one[found.embedding].reshape(found.batch, -1) for one in known])
    scale = float(np.abs(expected).max()) * 1e-3
    return alone.shape == together.shape == expected.shape and all(
        bool((np.abs(given - expected) <= scale).all()) for given in (alone, together)
    )
