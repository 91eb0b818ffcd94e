"""A file of compressed weights is what docs/compression.md says: read here by that page alone."""

from __future__ import annotations

import json
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from facebench.architectures.errors import BadInputError
from facebench.harness.models.compressed import file
from facebench.harness.models.compressed.coding import CompressionSetting


class Bytes:
    def __init__(self, content: bytes) -> None:
        self.content, self.place = content, 0

    def take(self, count: int) -> bytes:
        self.place += count
        return self.content[self.place - count : self.place]

    def numbers(self, letter: str, count: int) -> list[Any]:
        form = f"<{count}{letter}"
        return list(struct.unpack(form, self.take(struct.calcsize(form))))


def symbols(data: Bytes, codes: int, count: int, size: int) -> list[int]:
    lengths = data.take(codes)
    code, table, before = -1, {}, 0
    for length, symbol in sorted((length, s) for s, length in enumerate(lengths) if length):
        code = (code + 1) << (length - before)
        table[f"{code:0{length}b}"], before = symbol, length
    starts = data.numbers("I", -(-count // 512))
    bits = "".join(f"{byte:08b}" for byte in data.take(size))
    found, place, begun = [], 0, []
    while len(found) < count:
        if len(found) % 512 == 0:
            begun.append(place)
        end = place + 1
        while bits[place:end] not in table:
            end += 1
        found.append(table[bits[place:end]])
        place = end
    assert begun == starts
    assert -(-place // 8) == size
    return found


def tensor(data: Bytes, entry: list[Any]) -> np.ndarray:
    _, shape, kind, centres, values, value_bytes, gaps, gap_bytes = entry
    count = int(np.prod(shape, dtype=int))
    if kind != "coded":
        letter = {"float16": "e", "float32": "f"}[kind]
        return np.array(data.numbers(letter, count), np.float32).reshape(shape)
    shared = data.numbers("e", centres)
    chosen = [shared[symbol] for symbol in symbols(data, centres, values, value_bytes)]
    if not gaps:
        return np.array(chosen, np.float32).reshape(shape)
    flat: list[float] = []
    left = iter(chosen)
    for symbol in symbols(data, 256, gaps, gap_bytes):
        flat += [0.0] * symbol
        if symbol < 255:
            flat.append(next(left))
    assert next(left, None) is None
    return np.array(flat + [0.0] * (count - len(flat)), np.float32).reshape(shape)


def read(content: bytes) -> dict[str, np.ndarray]:
    header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
    told = header["__metadata__"]
    begin, end = header["coded"]["data_offsets"]
    data = content[8 + int.from_bytes(content[:8], "little") :][begin:end]
    described = told["facebench_coded"]
    assert told["facebench_coded_crc32"] == f"{zlib.crc32(described.encode() + data):08x}"
    reader = Bytes(data)
    found = {entry[0]: tensor(reader, entry) for entry in json.loads(described)}
    assert reader.place == len(data)
    return found


def state() -> dict[str, np.ndarray]:
    draw = np.random.default_rng(4)
    return {
        "sparse": draw.standard_normal((40, 7, 3, 3)).astype(np.float32),
        "one value": np.full((20, 30), 0.5, np.float32),
        "nothing": np.zeros((3, 3), np.float32),
        "bias": draw.standard_normal(40).astype(np.float32),
        "variance": (1e6 * draw.random(5)).astype(np.float32),
        "scalar": np.float32(3.7).reshape(()),
    }


@pytest.mark.parametrize(("sparsity", "bits"), [(0.0, 8), (0.6, 5), (0.995, 1)])
def test_another_reader_finds_the_same_weights(tmp_path: Path, sparsity: float, bits: int) -> None:
    path = tmp_path / "w.safetensors"
    size = file.save(path, state(), CompressionSetting(sparsity, bits), {"of": "a test"})
    assert size == path.stat().st_size
    found, other = file.load(path), read(path.read_bytes())
    assert found is not None
    assert list(found) == list(other) == list(state())
    for name, array in found.items():
        np.testing.assert_array_equal(array, other[name])


def test_whatever_byte_of_the_weights_changes_the_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    file.save(path, state(), CompressionSetting(0.6, 5), {})
    whole = path.read_bytes()
    first = 8 + int.from_bytes(whole[:8], "little")
    for place in np.random.default_rng(0).integers(first, len(whole), 50).tolist():
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        with pytest.raises(BadInputError, match="checksum"):
            file.load(path)


def test_weights_beyond_half_precision_are_refused(tmp_path: Path) -> None:
    large = {"layer": np.full((4, 4), 1e5, np.float32)}
    with pytest.raises(BadInputError, match=r"layer has weights of up to 1e\+05"):
        file.save(tmp_path / "w.safetensors", large, CompressionSetting(0, 4), {})


def test_more_numbers_than_are_wanted_are_not_unpacked(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    file.save(path, state(), CompressionSetting(0.6, 5), {})
    numbers = sum(array.size for array in state().values())
    assert file.load(path, numbers) is not None
    with pytest.raises(BadInputError, match=f"{numbers:,} numbers"):
        file.load(path, numbers - 1)
