"""Reads an ONNX file with the weights that lie beside it, and says by what hash it is known."""

from __future__ import annotations

import hashlib
import math
import os
import stat
from collections import Counter
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from facebench.architectures.errors import BadInputError
from facebench.harness.storage.cache import file_digest
from facebench.harness.storage.reading import regular

if TYPE_CHECKING:
    from onnx import GraphProto, ModelProto, NodeProto, TensorProto

# Of a graph, weights and intermediate values of one image: 2 GB of single precision.
MOST_ELEMENTS = 2**29

_QUANTIZED = frozenset(
    (
        "QuantizeLinear",
        "DequantizeLinear",
        "DynamicQuantizeLinear",
        "QLinearConv",
        "QLinearMatMul",
        "ConvInteger",
        "MatMulInteger",
    )
)


def read(path: Path) -> ModelProto:
    """Return the model with all its weights in it, and its shapes not yet worked out.

    Raises:
        BadInputError: it is no ONNX file, or its weights are not where it says.
    """
    from onnx import inliner

    model = structure(path)
    for tensor in _external(model):
        tensor.raw_data = _bytes(path, tensor)
        tensor.ClearField("external_data")
        tensor.data_location = tensor.DEFAULT
    return inliner.inline_local_functions(model) if model.functions else model


def structure(path: Path) -> ModelProto:
    """Return the model without the weights that lie beside it.

    Raises:
        BadInputError: it is no ONNX file.
    """
    import onnx

    try:
        model = onnx.load(regular(path), load_external_data=False)
    except OSError as error:
        raise BadInputError(f"cannot read {path}: {error.strerror}; check the path") from error
    except BadInputError:
        raise
    except Exception as error:  # protobuf raises a dozen kinds
        raise _no_graph(path, error, "ONNX file") from error
    if not model.graph.node:
        raise BadInputError(f"{path} is no ONNX file: it holds no graph; export the network again")
    return model


def checked(model: ModelProto, path: Path) -> ModelProto:
    """Return the model with the shapes of its values, where these can be told.

    Raises:
        BadInputError: the graph makes no sense, or works out more numbers than anybody means.
    """
    import onnx

    try:
        onnx.checker.check_model(model)
        found = onnx.shape_inference.infer_shapes(model, data_prop=True)
    except Exception as error:  # onnx raises a dozen kinds
        raise _no_graph(path, error) from error
    graph = found.graph
    elements = sum(
        math.prod(max(dim, 1) for dim in shape(value))
        for value in (*graph.input, *graph.value_info, *graph.output)
    )
    elements += sum(math.prod(tensor.dims) for tensor in graph.initializer)
    if elements > MOST_ELEMENTS:
        raise BadInputError(
            f"{path} works out {elements:,} numbers for an image, more than {MOST_ELEMENTS:,}: "
            "give a smaller network"
        )
    return found


def shape(value: object) -> tuple[int, ...]:
    """Return the dimensions of an ONNX value; 0 where one is not fixed, for which some write -1."""
    return tuple(max(dim.dim_value, 0) for dim in value.type.tensor_type.shape.dim)  # type: ignore[attr-defined]


def identity(path: Path) -> tuple[str, str]:
    """Return the SHA-256 of the file, or of all files that hold its weights; and its precision.

    Raises:
        BadInputError: a file can't be read.
    """
    own = file_digest(path)
    try:
        model = structure(path)
    except BadInputError:
        return own, "fp32"  # what is wrong with it is said when it is used
    beside = sorted({_location(path, tensor) for tensor in _external(model)})
    if not beside:
        return own, precision(model)
    parts = [own, *(f"{name} {file_digest(_beside(path, name))}" for name in beside)]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest(), precision(model)


def precision(model: ModelProto) -> str:
    """Return in what precision a graph computes: `int8` where it is quantized, `fp16` or `fp32`."""
    import onnx

    if any(node.op_type in _QUANTIZED for node in nodes(model.graph)):
        return "int8"
    sizes: Counter[int] = Counter()
    for tensor in tensors(model):
        sizes[tensor.data_type] += math.prod(tensor.dims)
    half, single = onnx.TensorProto.FLOAT16, onnx.TensorProto.FLOAT
    return "fp16" if sizes[half] > sizes[single] else "fp32"


def tensors(model: ModelProto) -> Iterator[TensorProto]:
    """Yield all tensors that a model holds: initializers, and constants of nodes."""
    yield from _of_graph(model.graph)
    for function in model.functions:
        for node in function.node:
            yield from _of_node(node)


def nodes(graph: GraphProto) -> Iterator[NodeProto]:
    """Yield a graph's nodes, and those of the graphs inside them."""
    for node in graph.node:
        yield node
        for attribute in node.attribute:
            for inner in (attribute.g, *attribute.graphs):
                yield from nodes(inner)


def _of_graph(graph: GraphProto) -> Iterator[TensorProto]:
    yield from graph.initializer
    for node in graph.node:
        yield from _of_node(node)


def _of_node(node: NodeProto) -> Iterator[TensorProto]:
    for attribute in node.attribute:
        if attribute.HasField("t"):
            yield attribute.t
        yield from attribute.tensors
        for graph in (attribute.g, *attribute.graphs):
            yield from _of_graph(graph)


def _external(model: ModelProto) -> Iterator[TensorProto]:
    return (tensor for tensor in tensors(model) if tensor.data_location == tensor.EXTERNAL)


def _location(path: Path, tensor: TensorProto) -> str:
    name = str({entry.key: entry.value for entry in tensor.external_data}.get("location", ""))
    parts = PurePosixPath(name).parts
    if not parts or ".." in parts or PurePosixPath(name).is_absolute():
        raise BadInputError(
            f"{path} says that the weights {tensor.name} lie in {name!r}: give a model whose "
            "weights lie beside it"
        )
    return name


def _beside(path: Path, name: str) -> Path:
    """Return where a file of weights is; no link leads there."""
    found = path.parent
    for part in PurePosixPath(name).parts:
        found = found / part
        if found.is_symlink():
            raise BadInputError(f"{found} is a link, which is not followed: put the file there")
    if not found.is_file():
        raise BadInputError(
            f"{path} keeps its weights in {name}, which is not beside it: copy that file there too"
        )
    return found


def _bytes(path: Path, tensor: TensorProto) -> bytes:
    import onnx

    facts = {entry.key: entry.value for entry in tensor.external_data}
    where = _beside(path, _location(path, tensor))
    element = onnx.helper.tensor_dtype_to_np_dtype(tensor.data_type).itemsize
    try:
        offset = int(facts.get("offset", 0))
        length = int(facts.get("length", element * math.prod(tensor.dims)))
    except ValueError:
        offset = length = -1
    if min(offset, length) < 0 or length > 4 * MOST_ELEMENTS:
        raise BadInputError(
            f"{path} does not say where in {where.name} the weights {tensor.name} are: export "
            "the network again"
        )
    with open(os.open(where, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb") as file:
        size = os.fstat(file.fileno()).st_size
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode) or offset + length > size:
            raise BadInputError(
                f"{where} ends before the weights {tensor.name} of {path.name}: it is cut off, or "
                "of another model; export the network again"
            )
        file.seek(offset)
        return file.read(length)


def _no_graph(path: Path, error: Exception, kind: str = "graph") -> BadInputError:
    first: list[str] = str(error).strip().splitlines() or [type(error).__name__]
    return BadInputError(
        f"{path} is no {kind} that can be read ({first[0]}); export the network again"
    )
