"""Puts a network in int8 for OpenVINO by NNCF: a process of its own, which ends with it.

NNCF imports torch where that is installed, which takes seconds and starts threads, and draws bars
on standard output: none of that is to be in a process that is timed.
"""

from __future__ import annotations

import logging
import sys
from pathlib import Path

import numpy as np

from facebench.harness.runtimes.openvino_cpu import EMBEDDINGS, GRAPH, IMAGES, QUANTIZED, compiled


def main() -> None:
    """Quantize `ONNX` by the images in `EXCHANGE`, and write it to `FOLDER`."""
    onnx, exchange, folder = map(Path, sys.argv[1:])
    images = np.load(exchange / IMAGES)
    made = folder / QUANTIZED
    made.mkdir()
    quantize(onnx, images, made)
    request = compiled(made, 1).create_infer_request()
    np.save(
        exchange / EMBEDDINGS,
        np.concatenate([request.infer({0: image[None]})[0].copy() for image in images]),
    )


def quantize(onnx: Path, images: np.ndarray, folder: Path) -> None:
    """Write a network in int8, weights by output channel, their ranges set by images (N, 3, H, W).

    Activations are symmetric but where a layer's own are not (NNCF's preset `MIXED`), and biases
    are corrected for what rounding shifts. Its dimensions are those of one image, as NNCF wants
    them; they are set free again, so that batches of any size may follow.
    """
    import nncf
    import openvino

    nncf.set_log_level(logging.ERROR)
    model = openvino.Core().read_model(onnx)
    free = model.input(0).get_partial_shape()
    model.reshape({0: list(images[:1].shape)})
    made = nncf.quantize(
        model,
        nncf.Dataset([image[None] for image in images]),
        preset=nncf.QuantizationPreset.MIXED,
        subset_size=len(images),
    )
    made.reshape({0: free})
    openvino.save_model(made, folder / GRAPH, compress_to_fp16=False)


if __name__ == "__main__":
    main()
