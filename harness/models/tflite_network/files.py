"""Reads a TFLite file: the tensors of a graph, and the operators between them.

The format's schema comes with the runtime LiteRT (`ai_edge_litert.schema_py_generated`). What a
file says of lengths and places is not trusted: each is held against the file's own length.
"""

from __future__ import annotations

import importlib
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from facebench.architectures.errors import BadInputError, FacebenchError, UnavailableError
from facebench.harness.storage.reading import regular

Array = npt.NDArray[Any]

# Where the format's name stands in a file, and the one version that there is.
_NAME, _NAME_AT, _VERSION = b"TFL3", slice(4, 8), 3

# What no network has more of. The format itself ends at 2 GB.
_MOST_BYTES, _MOST_TENSORS, _MOST_OPERATORS, _MOST_NAMED = 2**31, 100_000, 20_000, 1000
_MOST_INPUTS, _MOST_RANK = 1000, 8
# A file may use a constant twice, but no network uses all of them this often.
_MOST_USES = 4

# Kinds of numbers that are read.
_ELEMENTS: dict[str, np.dtype[Any]] = {
    "FLOAT32": np.dtype("<f4"),
    "FLOAT16": np.dtype("<f2"),
    "INT32": np.dtype("<i4"),
    "INT64": np.dtype("<i8"),
    "INT8": np.dtype("i1"),
    "UINT8": np.dtype("u1"),
    "BOOL": np.dtype("?"),
}


@dataclass(frozen=True)
class TfliteTensor:
    """It is one tensor of a graph.

    Attributes:
        number: by which operators know it.
        kind: what its numbers are, as the format names it, such as `FLOAT32`.
        dims: its shape; -1 where a dimension is free.
        data: of a constant, of shape `dims`; else None.
        scales: of a quantized tensor, one or one a channel; else empty.
        zeros: likewise, the numbers that stand for zero.
        axis: of the channels that have a scale each.
    """

    number: int
    kind: str
    dims: tuple[int, ...]
    data: Array | None
    scales: Array
    zeros: Array
    axis: int
    _stored: Any = field(repr=False)

    @cached_property
    def name(self) -> str:
        """Return what the file calls it; empty where that cannot be read."""
        try:
            return _text(self._stored.Name())
        except Exception:  # whatever flatbuffers raises of a wrong place
            return ""

    @property
    def quantized(self) -> bool:
        """Say whether its small integers stand for real numbers."""
        return self.kind in ("INT8", "UINT8") and bool(self.scales.size)

    def __str__(self) -> str:
        return f"tensor {self.number} ({self.name})"


@dataclass(frozen=True)
class TfliteOperator:
    """It is one operator.

    Attributes:
        kind: as the format names it, such as `CONV_2D`; of one that its maker defined, `custom`
            and its name.
        inputs: numbers of tensors; -1 where one is left out.
        outputs: likewise.
        options: of the schema, or None.
    """

    kind: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    options: Any

    def option(self, name: str, default: Any = 0) -> Any:
        """Return an option by the schema's name of it."""
        return getattr(self.options, name, default)

    def given(self, place: int) -> int:
        """Return the input in this place; -1 where it is left out."""
        return self.inputs[place] if place < len(self.inputs) else -1


@dataclass(frozen=True)
class Signature:
    """It says how a graph is called.

    Attributes:
        name: of the signature; empty where a file has none.
        graph: number of the graph that it calls.
        inputs: tensors by their names.
        outputs: likewise.
    """

    name: str
    graph: int
    inputs: dict[str, int]
    outputs: dict[str, int]


@dataclass(frozen=True)
class TfliteGraph:
    """It is a graph: its tensors by their numbers, and its operators in order."""

    tensors: tuple[TfliteTensor, ...]
    operators: tuple[TfliteOperator, ...]


class TfliteFile:
    """It is a file whose graphs are read as they are asked for.

    Args:
        path: of the file.

    Raises:
        BadInputError: it is no TFLite file.
        UnavailableError: the package with the format's schema is not installed.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._bytes = _read(path)
        self._schema = _schema()
        with _Damage(path):
            self._model = self._schema.Model.GetRootAs(self._bytes, 0)
            self.signatures = self._read_signatures()
            version = self._model.Version()
        if version != _VERSION:
            raise BadInputError(f"{path} is of version {version} of TFLite, not {_VERSION}")

    def graph(self, number: int) -> TfliteGraph:
        """Return a graph with its constants.

        Raises:
            BadInputError: it is cut off or damaged.
        """
        with _Damage(self.path):
            stored = self._model.Subgraphs(number)
            count = stored.TensorsLength()
            self._require(count <= _MOST_TENSORS, f"{count:,} tensors")
            tensors = tuple(self._tensor(n, stored.Tensors(n)) for n in range(count))
            self._require_memory(tensors)
            return TfliteGraph(tensors, self._operators(stored))

    def _read_signatures(self) -> tuple[Signature, ...]:
        """Return the file's signatures; where it has none, the first graph's own names."""
        model = self._model
        graphs, count = model.SubgraphsLength(), model.SignatureDefsLength()
        self._require(graphs > 0, "no graph")
        self._require(count <= _MOST_NAMED, f"{count:,} signatures")
        found = []
        for stored in map(model.SignatureDefs, range(count)):
            number = stored.SubgraphIndex()
            self._require(number < graphs, f"a signature of graph {number:,}, which is not there")
            inputs = self._named(stored.Inputs, stored.InputsLength())
            outputs = self._named(stored.Outputs, stored.OutputsLength())
            found.append(Signature(_text(stored.SignatureKey()), number, inputs, outputs))
        return tuple(found) or (self._unnamed(),)

    def _named(self, stored: Any, count: int) -> dict[str, int]:
        self._require(count <= _MOST_NAMED, f"{count:,} inputs or outputs")
        return _distinct(
            [(_text(one.Name()), one.TensorIndex()) for one in map(stored, range(count))]
        )

    def _unnamed(self) -> Signature:
        graph = self._model.Subgraphs(0)
        found = []
        for stored, count in (
            (graph.Inputs, graph.InputsLength()),
            (graph.Outputs, graph.OutputsLength()),
        ):
            self._require(count <= _MOST_NAMED, f"{count:,} inputs or outputs")
            numbers = [stored(place) for place in range(count)]
            self._require_tensors(numbers, graph.TensorsLength())
            found.append(_distinct([(_text(graph.Tensors(n).Name()), n) for n in numbers]))
        return Signature("", 0, found[0], found[1])

    def _operators(self, stored: Any) -> tuple[TfliteOperator, ...]:
        count = stored.OperatorsLength()
        self._require(count <= _MOST_OPERATORS, f"{count:,} operators")
        kinds: dict[int, str] = {}
        found = []
        for one in map(stored.Operators, range(count)):
            code = one.OpcodeIndex()
            if code not in kinds:
                kinds[code] = self._kind(code)
            joined = max(one.InputsLength(), one.OutputsLength())
            self._require(joined <= _MOST_INPUTS, f"an operator of {joined:,} inputs or outputs")
            inputs = tuple(one.Inputs(place) for place in range(one.InputsLength()))
            outputs = tuple(one.Outputs(place) for place in range(one.OutputsLength()))
            self._require_tensors([n for n in inputs if n != -1], stored.TensorsLength())
            self._require_tensors(outputs, stored.TensorsLength())
            options = self._schema.BuiltinOptionsCreator(
                one.BuiltinOptionsType(), one.BuiltinOptions()
            )
            found.append(TfliteOperator(kinds[code], inputs, outputs, options))
        return tuple(found)

    def _kind(self, number: int) -> str:
        self._require(number < self._model.OperatorCodesLength(), f"no operator code {number:,}")
        code = self._model.OperatorCodes(number)
        # Codes that were given before they took more than seven bits stand in a field of their own.
        builtin = max(code.BuiltinCode(), code.DeprecatedBuiltinCode())
        names = self._schema.BuiltinOperator
        if builtin == names.CUSTOM:
            return f"custom {_text(code.CustomCode())}"
        known = (name for name, value in vars(names).items() if value == builtin)
        return next(known, f"operator {builtin}")

    def _tensor(self, number: int, stored: Any) -> TfliteTensor:
        self._require(
            max(stored.ShapeLength(), stored.ShapeSignatureLength()) <= _MOST_RANK,
            f"a tensor of {stored.ShapeLength():,} dimensions",
        )
        shape = tuple(stored.Shape(place) for place in range(stored.ShapeLength()))
        self._require(all(size >= 0 for size in shape), f"a tensor of shape {shape}")
        free = [stored.ShapeSignature(place) for place in range(stored.ShapeSignatureLength())]
        dims = shape
        if len(free) == len(shape):
            dims = tuple(-1 if one < 0 else size for one, size in zip(free, shape, strict=True))
        types = vars(self._schema.TensorType).items()
        kind = next((name for name, value in types if value == stored.Type()), str(stored.Type()))
        if stored.Sparsity() is not None:
            kind = f"sparse {kind}"
        data = self._data(kind, shape, stored)
        scales, zeros, axis = self._quantization(stored.Quantization())
        return TfliteTensor(
            number, kind, dims if data is None else shape, data, scales, zeros, axis, stored
        )

    def _data(self, kind: str, shape: tuple[int, ...], stored: Any) -> Array | None:
        """Return the numbers of a constant of a kind that is read; of others, None."""
        place = stored.Buffer()
        self._require(place < self._model.BuffersLength(), f"no buffer {place:,}")
        buffer = self._model.Buffers(place)
        start, size = buffer.Offset(), buffer.Size()
        if buffer.DataLength():
            held = buffer.DataAsNumpy()
        elif start > 1 and size:  # what would make the file's own tables too large lies after them
            self._require(start + size <= len(self._bytes), "a constant behind its end")
            held = np.frombuffer(self._bytes, np.uint8, size, start)
        else:
            return None
        if kind not in _ELEMENTS:
            return None
        asked = math.prod(shape) * _ELEMENTS[kind].itemsize
        self._require(
            len(held) == asked, f"a constant of {len(held):,} bytes where its shape needs {asked:,}"
        )
        numbers: Array = held.view(_ELEMENTS[kind]).reshape(shape)
        return numbers

    def _quantization(self, stored: Any) -> tuple[Array, Array, int]:
        """Return scales (C,), zeros (C,) and the axis of the C channels."""
        if stored is None or not stored.ScaleLength():
            return np.zeros(0, np.float32), np.zeros(0, np.int64), 0
        scales = stored.ScaleAsNumpy()
        zeros = stored.ZeroPointAsNumpy() if stored.ZeroPointLength() else np.zeros_like(scales)
        if len(zeros) != len(scales):  # of old writers, one for all
            zeros = np.broadcast_to(zeros[:1], scales.shape)
        return scales, zeros, stored.QuantizedDimension()

    def _require_memory(self, tensors: Sequence[TfliteTensor]) -> None:
        held = sum(one.data.nbytes for one in tensors if one.data is not None)
        self._require(held <= _MOST_USES * len(self._bytes), f"{held:,} bytes of constants")

    def _require_tensors(self, numbers: Sequence[int], count: int) -> None:
        for number in numbers:
            self._require(0 <= number < count, f"no tensor {number:,}")

    def _require(self, holds: bool, what: str) -> None:
        if not holds:
            raise _damaged(self.path, f"it holds {what}")


class _Damage:
    """It makes one sentence of what reading a damaged file raises."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        # Flatbuffers trusts what a file says of itself, and raises a dozen kinds.
        if isinstance(error, Exception) and not isinstance(error, FacebenchError):
            said = str(error).strip().splitlines() or [type(error).__name__]
            raise _damaged(self._path, said[0]) from error


def _damaged(path: Path, why: str) -> BadInputError:
    return BadInputError(
        f"{path} is no TFLite file that can be read ({why}): it is cut off or damaged; export the "
        "network again"
    )


def _read(path: Path) -> bytes:
    try:
        with open(regular(path), "rb") as file:
            data = file.read(_MOST_BYTES + 1)
    except OSError as error:
        raise BadInputError(f"cannot read {path}: {error.strerror}; check the path") from error
    if data[_NAME_AT] != _NAME:
        raise BadInputError(f"{path} is no TFLite file: it does not begin as one; give another")
    if len(data) > _MOST_BYTES:
        raise BadInputError(f"{path} has more than 2 GB: give a smaller network")
    return data


def _schema() -> Any:
    try:
        return importlib.import_module("ai_edge_litert.schema_py_generated")
    except ImportError as error:
        raise UnavailableError(
            "the package ai-edge-litert, which has the schema of TFLite files, is not installed: "
            "'pip install '.[litert]'' installs it"
        ) from error


def _text(stored: bytes | None) -> str:
    return (stored or b"").decode(errors="replace")


def _distinct(named: Sequence[tuple[str, int]]) -> dict[str, int]:
    """Return tensors by their names, numbered where two have one."""
    found: dict[str, int] = {}
    for name, number in named:
        name = name or "tensor"
        found[f"{name}_{len(found)}" if name in found else name] = number
    return found
