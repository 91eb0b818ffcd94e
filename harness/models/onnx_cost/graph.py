"""Reads an ONNX model into operators, shapes and tables, as a count wants them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
import onnx
from onnx import inliner, numpy_helper

from facebench.architectures.errors import BadInputError

# What they give is what they are given, in digits of another type.
SAME_VALUES = frozenset({"Identity", "Cast", "CastLike", "Dropout"})
# Or in fewer digits: a quantized graph is its float graph.
_TRANSPARENT = SAME_VALUES | {"QuantizeLinear", "DequantizeLinear"}
# Which of their inputs are weights in digits of their own.
_QUANTIZED = {"DequantizeLinear": (0,), "QLinearConv": (3, 8), "QLinearMatMul": (0, 3)}
# Their values depend on the image's size alone.
_SIZES = frozenset({"Shape", "Size"})


@dataclass(frozen=True)
class Operator:
    """It is one node, its inputs those of the nodes before it that do more than pass on."""

    kind: str
    name: str
    inputs: tuple[str, ...]
    output: str
    outputs: tuple[str, ...]
    attributes: dict[str, Any] = field(default_factory=dict)


@dataclass
class OnnxGraph:
    """It is a graph without nodes that only pass on, and without what the output does not need.

    Attributes:
        image: name of the input.
        output: name of the output.
        operators: in execution order.
        shapes: of values, by their names.
        tables: initializers and constants, by their names.
        quantized: tables of integers that stand for real numbers.
        batch: images that the input holds.
    """

    image: str
    output: str
    operators: list[Operator]
    shapes: dict[str, tuple[int, ...]]
    tables: dict[str, Any]
    quantized: set[str]
    batch: int

    @cached_property
    def makers(self) -> dict[str, Operator]:
        """Return the operator that gives a value, by the value's name."""
        return {name: one for one in self.operators for name in one.outputs}

    @cached_property
    def readers(self) -> Counter[str]:
        """Return how often a value is read; the output is read once more, by the caller.

        Who asks for its size alone does not read it.
        """
        reading = (one for one in self.operators if one.kind not in _SIZES)
        return Counter([self.output, *(name for one in reading for name in one.inputs)])

    @cached_property
    def mapped(self) -> set[str]:
        """Return the values that depend on the image, not on its size alone."""
        found = {self.image}
        for one in self.operators:
            if one.kind not in _SIZES and found.intersection(one.inputs):
                found.update(one.outputs)
        return found

    def elements(self, name: str) -> int:
        """Return how many elements of a value belong to one image."""
        return int(np.prod(self.shapes[name], dtype=np.int64)) // self.batch

    def is_real(self, name: str) -> bool:
        """Say whether the value is a table of real numbers."""
        if name not in self.tables:
            return False
        table = self.tables[name]
        real = name in self.quantized or np.issubdtype(_type(table), np.inexact)
        return bool(real or table.data_type in _SMALL_FLOATS)

    def is_uniform(self, name: str) -> bool:
        """Say whether all elements of a table are the same number, as after initialization."""
        values = numpy_helper.to_array(self.tables[name])
        return values.size == 0 or bool((values == values.flat[0]).all())


# numpy counts them as no numbers at all.
_SMALL_FLOATS = frozenset(
    number
    for name, number in onnx.TensorProto.DataType.items()
    if name.startswith(("BFLOAT", "FLOAT8", "FLOAT4"))
)


def _type(table: Any) -> Any:
    return onnx.helper.tensor_dtype_to_np_dtype(table.data_type)


def read(
    model: Any,
    shape: Sequence[int],
    output: str | None = None,
    passing: frozenset[str] = _TRANSPARENT,
) -> OnnxGraph:
    """Return the graph of a model whose input has this shape, its batch first.

    Args:
        model: with its weights; it stays as it was.
        shape: of the input.
        output: name of the one to count up to; the first where None.
        passing: operators that only pass values on, and are left out.

    Raises:
        BadInputError: the shapes cannot be worked out.
    """
    shaped = _with_shapes(model, shape)
    graph = shaped.graph
    tables = {table.name: table for table in graph.initializer}
    image = next(value.name for value in graph.input if value.name not in tables)
    tables |= {n.output[0]: _constant(n) for n in graph.node if n.op_type == "Constant"}
    alias: dict[str, str] = {}
    sequences: dict[str, str] = {}
    quantized: set[str] = set()
    operators: list[Operator] = []
    for number, node in enumerate(graph.node):
        inputs = tuple(alias.get(name, name) for name in node.input)
        quantized.update(inputs[at] for at in _QUANTIZED.get(node.op_type, ()) if at < len(inputs))
        if node.op_type in passing:
            alias[node.output[0]] = inputs[0]
        elif node.op_type == "SplitToSequence":
            sequences[node.output[0]] = inputs[0]
        elif node.op_type == "SequenceAt" and inputs[0] in sequences:
            # One part of a split: the sequence itself is no value that anything holds.
            part = _operator(node, number, (sequences[inputs[0]],))
            operators.append(replace(part, kind="Split"))
        elif node.op_type != "Constant":
            operators.append(_operator(node, number, inputs))
    last = output if output is not None else graph.output[0].name
    last = alias.get(last, last)
    shapes = _shapes(graph) | {name: tuple(table.dims) for name, table in tables.items()}
    batch = max(shape[0], 1)
    kept = needed(operators, last)
    return OnnxGraph(image, last, kept, shapes, tables, quantized, batch)


def _operator(node: Any, number: int, inputs: tuple[str, ...]) -> Operator:
    domain = "" if node.domain in ("", "ai.onnx") else f"{node.domain}::"
    outputs = tuple(name for name in node.output if name)
    attributes = {one.name: onnx.helper.get_attribute_value(one) for one in node.attribute}
    name = node.name.strip("/") or f"{node.op_type}_{number}"
    return Operator(domain + node.op_type, name, inputs, outputs[0], outputs, attributes)


def _constant(node: Any) -> Any:
    (attribute,) = node.attribute
    value = onnx.helper.get_attribute_value(attribute)
    if attribute.name == "value":
        return value
    if attribute.name in ("value_string", "value_strings", "sparse_value"):
        return numpy_helper.from_array(np.zeros((), np.int64))  # no table of numbers
    kind = np.float32 if "float" in attribute.name else np.int64
    return numpy_helper.from_array(np.asarray(value, kind))


def needed(operators: list[Operator], output: str) -> list[Operator]:
    """Return the operators without which the output cannot be worked out, in their order."""
    read, kept = {output}, []
    for one in reversed(operators):
        if read.intersection(one.outputs):
            read.update(one.inputs)
            kept.append(one)
    return kept[::-1]


def _with_shapes(model: Any, shape: Sequence[int]) -> Any:
    """Return a copy of the model whose values all have their shapes for this input."""
    fixed = onnx.ModelProto()
    fixed.CopyFrom(model)
    if fixed.functions:
        fixed = inliner.inline_local_functions(fixed)
    tables = {table.name for table in fixed.graph.initializer}
    image = next(value for value in fixed.graph.input if value.name not in tables)
    dims = image.type.tensor_type.shape
    dims.ClearField("dim")
    dims.dim.extend(onnx.TensorShapeProto.Dimension(dim_value=size) for size in shape)
    # They were worked out for another size of the image, or for a free one.
    del fixed.graph.value_info[:]
    for value in fixed.graph.output:
        value.type.tensor_type.ClearField("shape")
    try:
        inferred = onnx.shape_inference.infer_shapes(fixed, data_prop=True)
    except Exception as error:  # protobuf and onnx raise a dozen kinds
        first = str(error).strip().splitlines() or [type(error).__name__]
        raise BadInputError(
            f"the shapes in the ONNX graph cannot be worked out ({first[0]}); export it again"
        ) from error
    known = _shapes(inferred.graph)
    if missing := [name for node in inferred.graph.node for name in node.output
                   if name and name not in known]:  # fmt: skip
        _add_shapes(inferred, _run(fixed, missing, image, shape))
    return inferred


def _run(model: Any, names: Iterable[str], image: Any, shape: Sequence[int]) -> dict[str, Any]:
    """Return values that one inference of a black image gives, by their names.

    Shapes may hang on arithmetic that onnx does not follow.
    """
    import onnxruntime

    names = list(names)
    seen = onnx.ModelProto()
    seen.CopyFrom(model)
    del seen.graph.output[:]
    seen.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    kind = onnx.helper.tensor_dtype_to_np_dtype(image.type.tensor_type.elem_type)
    try:
        session = onnxruntime.InferenceSession(
            seen.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )
        made = session.run(names, {image.name: np.zeros(shape, kind)})
    except Exception as error:  # whatever ONNX Runtime raises of a wrong graph
        first = str(error).strip().splitlines() or [type(error).__name__]
        raise BadInputError(
            f"the shape of {names[0]} in the ONNX graph cannot be worked out ({first[0]}); "
            "export it with a fixed height and width"
        ) from error
    return dict(zip(names, made, strict=True))


def _add_shapes(model: Any, values: dict[str, Any]) -> None:
    for name, value in values.items():
        if isinstance(value, np.ndarray):
            kind = onnx.TensorProto.FLOAT
            model.graph.value_info.append(
                onnx.helper.make_tensor_value_info(name, kind, list(value.shape))
            )


def _shapes(graph: Any) -> dict[str, tuple[int, ...]]:
    """Return shapes of the values whose dimensions are all known."""
    found = {}
    for value in (*graph.value_info, *graph.input, *graph.output):
        kind = value.type.tensor_type
        dims = kind.shape.dim
        if kind.HasField("shape") and all(dim.HasField("dim_value") for dim in dims):
            found[value.name] = tuple(dim.dim_value for dim in dims)
    return found
