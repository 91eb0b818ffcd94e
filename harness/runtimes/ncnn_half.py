"""Has ncnn compute in half precision, but for layers that it computes something else of.

One of its kernels is wrong, from August 2020 to 1.0.20261020 at least: where two or three columns
are left over four, that of depthwise convolutions of 3x3 with a stride of 2 reads two numbers
of a column from the first row of the input, where it needs the second and the third
(`convdw3x3s2_pack8_fp16sa_neon`). Such layers compute in single precision, and are kept in half.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np

# What ncnn reads of a network, and the file beside it that asks for half precision.
NETWORK = PARAM, WEIGHTS = ("network.ncnn.param", "network.ncnn.bin")
MARK = "half"

# How far answers may be off, relative to the largest element. Every sum is rounded after each
# addition: MobileFaceNet with random weights is off by 0.03, and by 0.25 with the wrong kernel.
TOLERANCE = 6e-2

# Columns that the kernel computes at once, and what it leaves over where it is wrong.
_AT_ONCE, _WRONG = 4, (2, 3)

# Of a layer: what features it is not to use, here half precision in arithmetic.
_SINGLE = "31=1"

# Channels that lie side by side in half precision.
_PACKED = 8


def write(single: Path, folder: Path, size: tuple[int, int]) -> None:
    """Write what a session finds that is to compute in half precision; ncnn rounds the weights as
    it reads them.

    Args:
        single: the folder of the network in single precision.
        folder: where it is written.
        size: the input's height and width.
    """
    lines = (single / PARAM).read_text().splitlines()
    suspects = {line.split()[5]: number for number, line in enumerate(lines) if _suspect(line)}
    for blob, width in _widths(single, size, list(suspects)).items():
        if width % _AT_ONCE in _WRONG:
            lines[suspects[blob]] += f" {_SINGLE}"
    (folder / PARAM).write_text("\n".join(lines) + "\n")
    shutil.copy(single / WEIGHTS, folder)
    (folder / MARK).touch()


def _suspect(line: str) -> bool:
    """Say whether the kernel computes a layer: by its kind, names and blobs, and settings."""
    words = line.split()
    if not words or words[0] != "ConvolutionDepthWise":
        return False
    given = dict(word.split("=") for word in words if "=" in word)
    filters, groups = given["0"], given.get("7", "1")
    window, stride, dilation = (
        (given.get(x, "1"), given.get(y, given.get(x, "1")))
        for x, y in (("1", "11"), ("3", "13"), ("2", "12"))
    )
    shape = (window, stride, dilation) == (("3", "3"), ("2", "2"), ("1", "1"))
    return shape and filters == groups and int(filters) % _PACKED == 0


def _widths(folder: Path, size: tuple[int, int], blobs: list[str]) -> dict[str, int]:
    """Return the widths of maps, as they are here."""
    import ncnn

    net = ncnn.Net()
    net.load_param(str(folder / PARAM))
    net.load_model(str(folder / WEIGHTS))
    extractor = net.create_extractor()
    extractor.set_light_mode(False)
    image = ncnn.Mat(np.zeros((3, *size), np.float32))
    extractor.input("in0", image)
    return {blob: extractor.extract(blob)[1].w for blob in blobs}
