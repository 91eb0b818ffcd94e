"""Makes safetensors files the same each time that they are written.

The library writes a file's metadata in chance order where there are several, so that the same
weights would have another hash, by which records know them.
"""

from __future__ import annotations

import json
import struct

_LENGTH = struct.Struct("<Q")
_METADATA = "__metadata__"

# The tensors begin at a multiple of it.
_ALIGNMENT = 8


def in_order(data: bytes) -> bytes:
    """Return a safetensors file's bytes with its metadata in alphabetical order."""
    (length,) = _LENGTH.unpack_from(data)
    start = _LENGTH.size + length
    header = json.loads(data[_LENGTH.size : start])
    header[_METADATA] = dict(sorted(header.get(_METADATA, {}).items()))
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % _ALIGNMENT)
    return _LENGTH.pack(len(text)) + text + data[start:]
