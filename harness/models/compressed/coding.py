"""A layer's weights as two streams of symbols, and its file: what is left of zeros and values."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facebench.architectures.errors import BadInputError
from facebench.harness.models.compressed import huffman
from facebench.harness.models.compressed.pruning import nearest, prune, shared_values
from facebench.harness.stats.arrays import FloatArray
from facebench.harness.storage.serialization import convert, parse_json

# A gap's symbol that says so many zeros and no weight.
_LONG = huffman.SYMBOLS - 1

# Elements that a file may claim to hold; the largest network here has 145 million.
_MOST = 1 << 28

# Of half precision.
_LARGEST = float(np.finfo(np.float16).max)

# Axes of a tensor; numpy has no more than 64.
_MOST_AXES = 8


@dataclass(frozen=True)
class CodedTensor:
    """It describes one tensor of a file, whose bytes come in the order of the parts.

    Attributes:
        name: of the tensor.
        shape: its extents.
        kind: `coded`; or `float16` or `float32` as it is, such as biases.
        centres: values that weights share.
        values: weights that are no zero.
        value_bytes: of their codes.
        gaps: symbols that say where they are; 0 where no weight is zero.
        gap_bytes: of the gaps' codes.
    """

    name: str
    shape: tuple[int, ...]
    kind: str
    centres: int = 0
    values: int = 0
    value_bytes: int = 0
    gaps: int = 0
    gap_bytes: int = 0


@dataclass(frozen=True)
class CompressionSetting:
    """It says how much goes.

    Attributes:
        sparsity: share of each layer's weights that become zero, 0 to below 1.
        bits: 1 to 8; a layer's other weights share 2^bits values.
    """

    sparsity: float
    bits: int


def coded(state: Mapping[str, FloatArray], setting: CompressionSetting) -> tuple[bytes, str]:
    """Return the tensors of a network, each of a shape `(...)`, as bytes, and what describes them,
    in JSON.

    Tensors of two or more axes, the weights of layers, are pruned, shared and coded. Others stay,
    in half precision where that rounds each number by at most 2^-11 of it.
    """
    parts, pieces = [], []
    for name, tensor in state.items():
        part, piece = (_layer if tensor.ndim > 1 else _vector)(name, tensor, setting)
        parts.append(part)
        pieces += piece
    described = [
        [getattr(part, field) for field in CodedTensor.__dataclass_fields__] for part in parts
    ]
    return b"".join(pieces), json.dumps(described, separators=(",", ":"))


def expanded(content: bytes, described: str, most: int = _MOST) -> dict[str, FloatArray]:
    """Return the tensors, float32 of shapes `(...)`, by name.

    Args:
        content: what `coded` gave.
        described: what it gave beside that.
        most: numbers that they may hold; of more nothing is unpacked.

    Raises:
        BadInputError: the bytes are not what the description says, or hold too many numbers.
    """
    parts = [_part(fields) for fields in convert(parse_json(described), list[list[Any]])]
    claimed = sum(math.prod(part.shape) for part in parts)
    if claimed > min(most, _MOST):
        raise BadInputError(f"it claims to hold {claimed:,} numbers, where {most:,} are expected")
    reader = _ByteReader(content)
    found = {part.name: _tensor(part, reader) for part in parts}
    if reader.place != len(content):
        raise BadInputError(f"{len(content) - reader.place} of its bytes belong to no tensor")
    return found


def _layer(
    name: str, weights: FloatArray, setting: CompressionSetting
) -> tuple[CodedTensor, list[bytes]]:
    flat = prune(weights, setting.sparsity).ravel()
    places = np.flatnonzero(flat)
    if np.abs(flat).max(initial=0) > _LARGEST:
        raise BadInputError(
            f"{name} has weights of up to {np.abs(flat).max():.4g}, and shared values are kept in "
            f"half precision, which ends at {_LARGEST:,.0f}: these weights can't be compressed"
        )
    if not len(places):
        return _vector(name, flat.reshape(weights.shape), setting)
    centres = shared_values(flat[places], setting.bits)
    values = huffman.encode(nearest(flat[places], centres).astype(np.uint8))
    pieces = [centres.astype("<f2").tobytes(), *_stream(values, len(centres))]
    part = CodedTensor(name, weights.shape, "coded", len(centres), len(places), len(values.bits))
    if len(places) == flat.size:
        return part, pieces
    gaps = huffman.encode(_gaps(places))
    pieces += _stream(gaps, huffman.SYMBOLS)
    with_gaps = CodedTensor(
        name, weights.shape, "coded", len(centres), len(places), len(values.bits),
        gaps.count, len(gaps.bits),
    )  # fmt: skip
    return with_gaps, pieces


def _vector(
    name: str, values: FloatArray, setting: CompressionSetting
) -> tuple[CodedTensor, list[bytes]]:
    with np.errstate(over="ignore"):
        half = values.astype("<f2")
    near = np.all(np.abs(half.astype(np.float32) - values) <= 2.0**-11 * np.abs(values))
    kept = half if near else values.astype("<f4")
    return CodedTensor(name, values.shape, "float16" if near else "float32"), [kept.tobytes()]


def _stream(given: huffman.Coded, symbols: int) -> list[bytes]:
    return [
        given.lengths[:symbols].tobytes(),
        given.starts.astype("<u4").tobytes(),
        given.bits.tobytes(),
    ]


def _gaps(places: NDArray[np.intp]) -> NDArray[np.uint8]:
    """Return how many zeros come before each weight, in bytes."""
    zeros = np.diff(places, prepend=-1) - 1
    long, short = np.divmod(zeros, _LONG)
    ends = np.cumsum(long + 1)
    symbols = np.full(int(ends[-1]), _LONG, np.uint8)
    symbols[ends - 1] = short
    return symbols


def _places(gaps: NDArray[np.uint8]) -> NDArray[np.int64]:
    is_weight = gaps < _LONG
    return (np.cumsum(gaps.astype(np.int64) + is_weight) - 1)[is_weight]


class _ByteReader:
    """Takes bytes from the front."""

    def __init__(self, content: bytes) -> None:
        self._content = content
        self.place = 0

    def take(self, count: int, kind: str) -> NDArray[Any]:
        size = count * np.dtype(kind).itemsize
        if self.place + size > len(self._content):
            raise BadInputError("it ends before its tensors do")
        found = np.frombuffer(self._content, kind, count, self.place)
        self.place += size
        return found

    def stream(self, symbols: int, count: int, size: int) -> NDArray[np.uint8]:
        lengths = np.zeros(huffman.SYMBOLS, np.uint8)
        lengths[:symbols] = self.take(symbols, "u1")
        starts = self.take(-(-count // huffman.BLOCK), "<u4")
        return huffman.decode(huffman.Coded(lengths, self.take(size, "u1"), starts, count))


def _part(fields: list[Any]) -> CodedTensor:
    names = list(CodedTensor.__dataclass_fields__)
    if len(fields) != len(names):
        raise BadInputError(f"a tensor is described by {len(names)} fields, not {len(fields)}")
    part = convert(dict(zip(names, fields, strict=True)), CodedTensor)
    counts = (*part.shape, part.centres, part.values, part.value_bytes, part.gaps, part.gap_bytes)
    odd = part.centres > huffman.SYMBOLS or len(part.shape) > _MOST_AXES
    if odd or min(counts) < 0 or max(counts) > _MOST:
        raise BadInputError(f"tensor {part.name!r} has odd sizes")
    return part


def _tensor(part: CodedTensor, reader: _ByteReader) -> FloatArray:
    if part.kind in ("float16", "float32"):
        kept = reader.take(math.prod(part.shape), "<f2" if part.kind == "float16" else "<f4")
        return kept.astype(np.float32).reshape(part.shape)
    if part.kind != "coded":
        raise BadInputError(f"tensor {part.name!r} is of a kind that is not known: {part.kind!r}")
    centres = reader.take(part.centres, "<f2").astype(np.float32)
    values = reader.stream(part.centres, part.values, part.value_bytes)
    flat = np.zeros(math.prod(part.shape), np.float32)
    places: Any = slice(None)
    if part.gaps:
        places = _places(reader.stream(huffman.SYMBOLS, part.gaps, part.gap_bytes))
    held = flat[places] if not part.gaps or (len(places) and places[-1] < len(flat)) else ()
    if len(held) != len(values) or (len(values) and values.max() >= len(centres)):
        raise BadInputError(f"tensor {part.name!r} has other weights than its shape has places")
    flat[places] = centres[values]
    return flat.reshape(part.shape)
