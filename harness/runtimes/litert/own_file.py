"""Runs a user's TFLite file as it is: images in its layout and integers, embeddings out of them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from facebench.harness.models.tflite_network import calling
from facebench.harness.runtimes.registry import Infer
from facebench.harness.stats.arrays import FloatArray

# What a graph's tensor takes of images (N, C, H, W), and gives of embeddings.
_Digits = Callable[[FloatArray], Any]


def open_own(folder: Path, threads: int) -> Infer:
    """Open a file on so many threads.

    Args:
        folder: that `calling.write` wrote.
        threads: of the interpreter and of XNNPACK.
    """
    from ai_edge_litert.interpreter import Interpreter

    called = calling.read(folder)
    interpreter = Interpreter(str(folder / calling.FILE), num_threads=threads)
    details = (*interpreter.get_input_details(), *interpreter.get_output_details())
    known = {one["index"]: one for one in details}
    written, real = _written(known[called.image]), _real(known[called.embedding])
    given, made = (interpreter.tensor(one) for one in (called.image, called.embedding))
    if tuple(known[called.image]["shape"]) != called.shape:
        interpreter.resize_tensor_input(called.image, called.shape)
    interpreter.allocate_tensors()
    luma = np.asarray(called.luma, np.float32)

    def infer(images: FloatArray) -> FloatArray:
        if len(luma):
            images = np.tensordot(images, luma, (1, 0))[:, None]
        count, channels, height, width = images.shape
        if given().shape[0] != count:
            size = (height, width, channels) if called.channels_last else images.shape[1:]
            interpreter.resize_tensor_input(called.image, (count, *size))
            interpreter.allocate_tensors()
        digits = written(images)
        if called.channels_last:
            for channel in range(channels):  # quickest by channels
                given()[..., channel] = digits[:, channel]
        else:
            given()[...] = digits
        interpreter.invoke()
        embeddings: FloatArray = real(made()).reshape(count, -1)
        return embeddings

    return infer


def _written(details: dict[str, Any]) -> _Digits:
    """Return what puts real numbers into an input's own: its integers, by its scale."""
    kind, (scale, zero) = details["dtype"], details["quantization"]
    if kind == np.float32:
        return lambda images: images
    limits = np.iinfo(kind)

    def written(images: FloatArray) -> Any:
        whole = np.rint(images / np.float32(scale)) + zero if scale else np.rint(images)
        return whole.clip(limits.min, limits.max).astype(kind)

    return written


def _real(details: dict[str, Any]) -> _Digits:
    """Return what gives an output's real numbers, in memory of their own."""
    scale, zero = details["quantization"]
    if details["dtype"] == np.float32:
        return lambda made: made.copy()
    return lambda made: (made.astype(np.float32) - np.float32(zero)) * np.float32(scale)
