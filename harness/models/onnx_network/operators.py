"""Operators of ONNX that torch works out: `onnx.reference` has them as loops, or not at all."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from onnx.reference.op_run import OpRun
from torch.nn import functional

Array = Any  # of numpy, of whatever type the graph computes in


def _pads(
    auto_pad: str | None,
    pads: Sequence[int] | None,
    sizes: Sequence[int],
    kernel: Sequence[int],
    strides: Sequence[int],
    dilations: Sequence[int],
) -> list[int]:
    """Return paddings as ONNX orders them: all beginnings, then all ends."""
    if auto_pad in ("SAME_UPPER", "SAME_LOWER"):
        whole = [
            max((-(-size // stride) - 1) * stride + (width - 1) * dilation + 1 - size, 0)
            for size, width, stride, dilation in zip(sizes, kernel, strides, dilations, strict=True)
        ]
        small, large = [one // 2 for one in whole], [one - one // 2 for one in whole]
        return [*small, *large] if auto_pad == "SAME_UPPER" else [*large, *small]
    return list(pads) if pads else [0] * (2 * len(sizes))


def _padded(values: torch.Tensor, pads: Sequence[int], fill: float = 0.0) -> torch.Tensor:
    half = len(pads) // 2
    # Torch begins with the last dimension.
    pairs = [(pads[i], pads[half + i]) for i in reversed(range(half))]
    return functional.pad(values, [one for pair in pairs for one in pair], value=fill)


class Conv(OpRun):
    """It is a convolution of one, two or three dimensions."""

    op_domain = ""

    def _run(  # type: ignore[no-untyped-def]
        self, x, w, b=None, auto_pad=None, dilations=None, group=None, kernel_shape=None,
        pads=None, strides=None,
    ):  # fmt: skip
        dims = x.ndim - 2
        strides, dilations = strides or [1] * dims, dilations or [1] * dims
        around = _pads(auto_pad, pads, x.shape[2:], w.shape[2:], strides, dilations)
        convolve = (functional.conv1d, functional.conv2d, functional.conv3d)[dims - 1]
        found = convolve(
            _padded(torch.tensor(x), around),
            torch.tensor(w),
            None if b is None else torch.tensor(b),
            tuple(strides),
            0,
            tuple(dilations),
            group or 1,
        )
        return (found.numpy(),)


class BatchNormalization(OpRun):
    """It is the normalization of an inference, by stored statistics."""

    op_domain = ""

    def _run(self, x, scale, bias, mean, variance, epsilon=None, **others):  # type: ignore[no-untyped-def]
        if others.get("training_mode"):
            raise NotImplementedError("batch normalization that is in training")
        shape = (1, -1, *[1] * (x.ndim - 2))
        factor = scale / np.sqrt(variance + epsilon)
        offset = bias - mean * factor
        return ((x * factor.reshape(shape) + offset.reshape(shape)).astype(x.dtype),)


def _along(values: Array, like: Array, axis: int | None) -> Array:
    """Return scales or zero points so that they broadcast over an array, along one axis."""
    if values.ndim == 0 or values.size == 1:
        return values.reshape(())
    shape = [1] * like.ndim
    shape[1 if axis is None else axis] = values.size
    return values.reshape(shape)


def _require_plain(attributes: dict[str, Any]) -> None:
    """Refuse scales of blocks and other types than 8-bit integers."""
    if any(attributes.get(name) for name in ("block_size", "output_dtype", "precision")):
        raise NotImplementedError(f"scales of {attributes}")


class QuantizeLinear(OpRun):
    """It rounds to integers, half to even, one scale a tensor or a channel."""

    op_domain = ""

    def _run(self, x, scale, zero=None, axis=None, **others):  # type: ignore[no-untyped-def]
        _require_plain(others)
        zero = np.zeros_like(scale, np.uint8) if zero is None else zero
        limits = np.iinfo(zero.dtype)
        found = np.rint(x / _along(scale, x, axis)) + _along(zero, x, axis).astype(np.float64)
        return (found.clip(limits.min, limits.max).astype(zero.dtype),)


class DequantizeLinear(OpRun):
    """It gives back what the integers stand for."""

    op_domain = ""

    def _run(self, x, scale, zero=None, axis=None, **others):  # type: ignore[no-untyped-def]
        _require_plain(others)
        shifted = x.astype(scale.dtype)
        if zero is not None:
            shifted = shifted - _along(zero, x, axis).astype(scale.dtype)
        return ((shifted * _along(scale, x, axis)).astype(scale.dtype),)


OPERATORS: list[type[OpRun]] = [Conv, BatchNormalization, QuantizeLinear, DequantizeLinear]
