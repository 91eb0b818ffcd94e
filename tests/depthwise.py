"""A network of ncnn's with one depthwise convolution."""

from pathlib import Path

import numpy as np

from facebench.harness.runtimes import ncnn_half

SIZE = 28

# A pointwise convolution to sixteen channels, and a depthwise one with a stride.
NETWORK = """7767517
3 3
Input in0 0 1 in0
Convolution pointwise 1 1 in0 1 0=16 1=1 5=1 6=48
ConvolutionDepthWise depthwise 1 1 1 out0 0=16 {shape} 4=1 5=1 6={weights} 7=16
"""


def written(folder: Path, shape: str = "1=3 3=2", taps: int = 9) -> Path:
    """A network with random weights, as ncnn reads it."""
    folder.mkdir()
    draw = np.random.default_rng(0)
    text = NETWORK.format(shape=shape, weights=16 * taps)
    (folder / ncnn_half.PARAM).write_text(text)
    single = np.zeros(1, np.uint32).tobytes()
    parts = [
        single,
        *(draw.standard_normal(count).astype("<f4").tobytes() for count in (48, 16)),
        single,
        *(draw.standard_normal(count).astype("<f4").tobytes() for count in (16 * taps, 16)),
    ]
    (folder / ncnn_half.WEIGHTS).write_bytes(b"".join(parts))
    return folder
