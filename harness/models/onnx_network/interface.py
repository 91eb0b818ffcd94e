"""Finds the image that a graph takes and the embedding that it gives, or says why it has none."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from facebench.architectures.errors import BadInputError
from facebench.harness.models.onnx_network import files, slopes, unfused

if TYPE_CHECKING:
    from onnx import ModelProto, ValueInfoProto

# Of `onnx.TensorProto`: what an image's numbers may be.
_ELEMENTS = {1: "float32", 10: "float16", 11: "float64", 2: "uint8"}

_FLOATS = (1, 10, 11)


@dataclass(frozen=True)
class Interface:
    """It says how images go into a graph, and where embeddings come out.

    Attributes:
        image: name of the graph's input.
        element: `float32`, `float16`, `float64`, or `uint8`: raw pixels.
        channels_last: whether the image is (N, H, W, C), as TensorFlow has it.
        channels: 3, or 1 of a grey image.
        size: height and width in pixels.
        batch: images in one inference; 0 where the graph takes any number.
        embedding: name of the graph's output.
        shape: of that output for one batch; 0 where it is not fixed.
        embedding_size: elements of an embedding.
        given: type of the output, as that of the image.
    """

    image: str
    element: str
    channels_last: bool
    channels: int
    size: tuple[int, int]
    batch: int
    embedding: str = ""
    shape: tuple[int, ...] = ()
    embedding_size: int = 0
    given: str = "float32"

    @property
    def raw(self) -> bool:
        """Say whether the graph takes pixels as they are, 0 to 255."""
        return self.element == "uint8"

    def __str__(self) -> str:
        layout = "NHWC" if self.channels_last else "NCHW"
        grey = ", grey" if self.channels == 1 else ""
        return f"takes {self.image}, {self.element} in {layout}{grey}; gives {self.embedding}"

    @property
    def image_shape(self) -> tuple[int, ...]:
        """Return the shape of the graph's input, for one image where it takes any number."""
        height, width = self.size
        count = self.batch or 1
        if self.channels_last:
            return (count, height, width, self.channels)
        return (count, self.channels, height, width)


def find(
    model: ModelProto, where: str, size: tuple[int, int] | None = None, output: str = ""
) -> Interface:
    """Return the interface of a model.

    Args:
        model: with its weights; slopes that are no slopes of channels are mended in it.
        where: the file, for sentences.
        size: height and width, of a graph that leaves them free; else None.
        output: name of the output that holds the embedding; where empty, there is but one.

    Raises:
        BadInputError: its input is no image, or no output or several hold an embedding.
    """
    found, value = _image(model, where, size)
    fixed = _fixed(model, value.name, found.image_shape)
    inferred = files.checked(fixed, Path(where))
    if slopes.mend(model, inferred, where):
        fixed = _fixed(model, value.name, found.image_shape)
        inferred = files.checked(fixed, Path(where))
    shapes = {value.name: files.shape(value) for value in inferred.graph.output}
    if not all(shape and all(shape) for shape in shapes.values()):
        shapes = _run(fixed, found, where)
    return _embedding(found, inferred.graph.output, shapes, where, output)


def _image(
    model: ModelProto, where: str, size: tuple[int, int] | None
) -> tuple[Interface, ValueInfoProto]:
    weights = {tensor.name for tensor in model.graph.initializer}
    inputs = [value for value in model.graph.input if value.name not in weights]
    if len(inputs) != 1:
        raise _refused(where, f"one input is expected, it has {_listed(inputs)}")
    (value,) = inputs
    said = _said(value)
    element = value.type.tensor_type.elem_type
    if element not in _ELEMENTS:
        raise _refused(where, f"its input {said} is of none of {', '.join(_ELEMENTS.values())}")
    dims = files.shape(value)
    if len(dims) != 4:
        raise _refused(where, f"its input {said} is no batch of images (N, 3, H, W)")
    last = dims[1] not in (1, 3) and dims[3] in (1, 3)
    batch, channels, *free = (dims[0], dims[3], *dims[1:3]) if last else dims
    if channels not in (1, 3):
        raise _refused(where, f"its input {said} must have 3 channels, or 1")
    height, width = _size(where, said, (free[0], free[1]), size)
    found = Interface(value.name, _ELEMENTS[element], last, channels, (height, width), batch)
    return found, value


def _size(
    where: str, said: str, declared: tuple[int, int], size: tuple[int, int] | None
) -> tuple[int, int]:
    if size is None:
        if not all(declared):
            raise BadInputError(
                f"{where} takes images of any size (its input is {said}): say which with --size "
                "HEIGHTxWIDTH, such as 112x112"
            )
        return declared
    if any(one and one != asked for one, asked in zip(declared, size, strict=True)):
        raise BadInputError(
            f"{where} cannot take images of {size[0]}x{size[1]}, its input is {said}: leave "
            "--size out"
        )
    return size


def _fixed(model: ModelProto, name: str, dims: Sequence[int]) -> ModelProto:
    """Return a copy whose image has these dimensions; what shapes it says inside is left out."""
    import onnx

    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    graph = copy.graph
    del graph.value_info[:]
    weights = {tensor.name for tensor in graph.initializer}
    kept = [value for value in graph.input if value.name not in weights]
    for value in kept:
        if value.name == name:
            for dim, number in zip(value.type.tensor_type.shape.dim, dims, strict=True):
                dim.dim_value = number
    del graph.input[:]
    graph.input.extend(kept)
    # Weights that are no inputs came with version 4 of the format.
    copy.ir_version = max(copy.ir_version, 4)
    for value in graph.output:
        for dim in value.type.tensor_type.shape.dim:
            dim.Clear()
    return copy


def _run(model: ModelProto, found: Interface, where: str) -> dict[str, tuple[int, ...]]:
    """Return the shapes of the outputs as a black image gives them: some depend on values."""
    try:
        outputs = unfused.answers(model, {found.image: np.zeros(found.image_shape, found.element)})
    except Exception as error:  # ONNX Runtime raises a dozen kinds
        raise _refused(where, f"it does not run ({unfused.first_line(error)})") from error
    return {name: np.shape(answer) for name, answer in outputs.items()}


def _embedding(
    found: Interface,
    outputs: Sequence[ValueInfoProto],
    shapes: Mapping[str, tuple[int, ...]],
    where: str,
    output: str,
) -> Interface:
    known = {value.name: value for value in outputs}
    if output and output not in known:
        raise BadInputError(
            f"{where} has no output {output!r}: its outputs are {_shaped(known, shapes)}"
        )
    named = [output] if output else list(known)
    held = [
        name
        for name in named
        if known[name].type.tensor_type.elem_type in _FLOATS
        and _vector(shapes[name], found.batch or 1) > 1
    ]
    if not held:
        raise _refused(
            where,
            "an output of one vector an image is expected, such as (N, 128), it has "
            f"{_shaped(named, shapes)}",
        )
    if len(held) > 1:
        raise BadInputError(
            f"{where} has several outputs that may be the embedding: name one with --output, of "
            f"{_shaped(held, shapes)}"
        )
    shape = shapes[held[0]]
    size = _vector(shape, found.batch or 1)
    given = _ELEMENTS[known[held[0]].type.tensor_type.elem_type]
    return replace(found, embedding=held[0], shape=shape, embedding_size=size, given=given)


def _shaped(names: Iterable[str], shapes: Mapping[str, tuple[int, ...]]) -> str:
    return ", ".join(f"{name} ({', '.join(map(str, shapes[name]))})" for name in names)


def _vector(shape: tuple[int, ...], batch: int) -> int:
    """Return how many elements an image's vector has; 0 where a shape holds no vector each."""
    if shape and shape[0] == batch and len(shape) in (2, 3, 4):
        shape = shape[1:]
    elif not (len(shape) == 1 and batch == 1):
        return 0
    large = [dim for dim in shape if dim != 1]
    return large[0] if len(large) == 1 else 0


def _said(value: ValueInfoProto) -> str:
    dims = value.type.tensor_type.shape.dim
    texts = [str(dim.dim_value) if dim.dim_value > 0 else dim.dim_param or "?" for dim in dims]
    return f"{value.name} ({', '.join(texts)})"


def _listed(values: Sequence[ValueInfoProto]) -> str:
    return ", ".join(map(_said, values)) or "none"


def _refused(where: str, why: str) -> BadInputError:
    return BadInputError(f"{where} is no embedding network: {why}")
