"""A file of compressed weights: what `--weights NETWORK=FILE` takes as it takes any other."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from facebench.architectures.errors import BadInputError
from facebench.harness.models.compressed.coding import CompressionSetting, coded, expanded
from facebench.harness.stats.arrays import FloatArray
from facebench.harness.storage import writing
from facebench.harness.storage.reading import regular
from facebench.harness.storage.tensor_files import in_order

# Of a safetensors file's metadata: what its only tensor holds.
METADATA = "facebench_coded"
# Their CRC-32, after that of what METADATA says, in hexadecimal digits.
CHECKSUM = "facebench_coded_crc32"
_TENSOR = "coded"


def save(
    path: Path,
    state: Mapping[str, FloatArray],
    setting: CompressionSetting,
    kept: Mapping[str, str],
) -> int:
    """Write tensors by name, compressed.

    Args:
        path: the file, which should end in `.safetensors`.
        state: tensors of any shape `(...)`, float32.
        setting: how much goes.
        kept: other metadata of the weights, such as how they were trained.

    Returns:
        The file's bytes.

    Raises:
        BadInputError: it can't be written.
    """
    from safetensors.numpy import save as serialised

    content, described = coded(state, setting)
    metadata = dict(kept) | {METADATA: described, CHECKSUM: _checksum(content, described)}
    data = in_order(serialised({_TENSOR: np.frombuffer(content, np.uint8)}, metadata))
    try:
        writing.write(path, data)
    except OSError as error:
        raise BadInputError(
            f"cannot write {path}: {error.strerror}; make room, or name another folder"
        ) from error
    return len(data)


def load(path: Path, most: int | None = None) -> dict[str, FloatArray] | None:
    """Return the tensors, float32 of shapes `(...)`, by name; None where the file is no compressed
    one.

    Args:
        path: the file.
        most: numbers that it may hold, where that is known; of more nothing is unpacked.

    Raises:
        BadInputError: it is, and is damaged, or holds too many numbers.
        SafetensorError: it is no safetensors file.
        OSError: it can't be read.
    """
    from safetensors import safe_open

    with safe_open(regular(path), "numpy") as file:
        said = file.metadata() or {}
        described = said.get(METADATA)
        if described is None:
            return None
        if list(file.keys()) != [_TENSOR]:
            raise BadInputError(f"it says that it is compressed, and has no tensor {_TENSOR!r}")
        content = file.get_tensor(_TENSOR)
    if _checksum(content.tobytes(), described) != said.get(CHECKSUM):
        raise BadInputError("its checksum is that of other bytes: the file is damaged")
    if most is None:
        return expanded(content.tobytes(), described)
    return expanded(content.tobytes(), described, most)


def _checksum(content: bytes, described: str) -> str:
    return f"{zlib.crc32(content, zlib.crc32(described.encode())):08x}"


def metadata(path: Path | None) -> dict[str, str]:
    """Return what a safetensors file says of its weights; nothing where it is none."""
    from safetensors import SafetensorError, safe_open

    if path is None:
        return {}
    try:
        with safe_open(regular(path), "numpy") as file:
            return {
                k: v for k, v in (file.metadata() or {}).items() if k not in (METADATA, CHECKSUM)
            }
    except (OSError, SafetensorError):
        return {}
