"""Provides batch normalization with the rectifier that follows it, as one operation of torch."""

from __future__ import annotations

import math
from ctypes import c_double, c_float, c_int, c_long, c_void_p
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from facebench.harness.training.kernels.library import kernels

_TYPES = (torch.float32, torch.bfloat16)


@dataclass(frozen=True, eq=False)
class Rectifier:
    """It makes of z: slope * z below 0, z up to the limit, and the limit above it.

    Attributes:
        module: the layer that it stands for.
        limit: infinity, or 6 of ReLU6.
    """

    module: nn.Module
    limit: float = math.inf

    def slope(self, channels: int) -> Tensor:
        """Return the slopes, `(channels,)`."""
        weight = getattr(self.module, "weight", None)
        return torch.zeros(channels) if weight is None else weight.expand(channels).contiguous()


class FusedBatchNorm(nn.BatchNorm2d):
    """BN that in training computes the rectifier after it too; otherwise it is BN.

    Attributes:
        rectifier: None where there is none.
    """

    rectifier: Rectifier | None

    def forward(self, x: Tensor) -> Tensor:
        """Map `(N, C, H, W)` to the same shape."""
        if not self.training or x.numel() == x.shape[1]:
            return super().forward(x)
        x = x if x.dtype in _TYPES else x.float()
        mean, variance = torch.empty(2, self.num_features)
        slope = None if self.rectifier is None else self.rectifier.slope(self.num_features)
        limit = math.inf if self.rectifier is None else self.rectifier.limit
        y: Tensor = _Normalize.apply(
            x.contiguous(memory_format=torch.channels_last),
            *(self.weight, self.bias, slope, limit, self.eps, mean, variance),
        )
        self._keep(mean, variance, x.numel() // self.num_features)
        return y

    @torch.no_grad()
    def _keep(self, mean: Tensor, variance: Tensor, count: int) -> None:
        assert self.running_mean is not None
        assert self.running_var is not None
        assert self.num_batches_tracked is not None
        assert self.momentum is not None
        self.num_batches_tracked += 1
        self.running_mean.lerp_(mean, self.momentum)
        self.running_var.lerp_(variance * (count / (count - 1)), self.momentum)


class PassedOver(nn.Module):
    """It is a rectifier that the BN before it computes in training: a base beside the layer's own.

    A layer becomes one by its class alone, and keeps its weights and its name.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Map `(N, C, H, W)` to the same shape."""
        if self.training:
            return x
        y: Tensor = super().forward(x)
        return y


class PassedPReLU(PassedOver, nn.PReLU):
    """See `PassedOver`."""


class PassedReLU(PassedOver, nn.ReLU):
    """See `PassedOver`."""


class PassedReLU6(PassedOver, nn.ReLU6):
    """See `PassedOver`."""


class _Normalize(torch.autograd.Function):
    @staticmethod
    def forward(
        context: Any,
        x: Tensor,
        weight: Tensor,
        bias: Tensor,
        slope: Tensor | None,
        limit: float,
        eps: float,
        mean: Tensor,
        variance: Tensor,
    ) -> Tensor:
        y = torch.empty_like(x)
        _checked(
            kernels().normalize(
                *_pointers(x, y, weight, bias, slope),
                c_float(limit),
                *_pointers(mean, variance),
                c_double(eps),
                *_extent(x),
            )
        )
        context.save_for_backward(x, weight, bias, slope, mean, variance)
        context.limit, context.eps = limit, eps
        return y

    @staticmethod
    def backward(context: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        x, weight, bias, slope, mean, variance = context.saved_tensors
        gradient = gradient.contiguous(memory_format=torch.channels_last)
        to_x, to_weight, to_bias = map(torch.empty_like, (x, weight, bias))
        to_slope = None if slope is None else torch.empty_like(slope)
        _checked(
            kernels().normalize_back(
                *_pointers(x, gradient, to_x, weight, bias, slope),
                c_float(context.limit),
                *_pointers(mean, variance, to_weight, to_bias, to_slope),
                c_double(context.eps),
                *_extent(x),
            )
        )
        return to_x, to_weight, to_bias, to_slope, None, None, None, None


def _pointers(*tensors: Tensor | None) -> list[c_void_p]:
    return [c_void_p(None if tensor is None else tensor.data_ptr()) for tensor in tensors]


def _extent(x: Tensor) -> tuple[c_long, c_long, c_int, c_int]:
    """Rows, channels, whether they are bfloat16, and threads."""
    channels = x.shape[1]
    half = x.dtype == torch.bfloat16
    return (
        c_long(x.numel() // channels),
        c_long(channels),
        c_int(half),
        c_int(torch.get_num_threads()),
    )


def _checked(failed: int) -> None:
    if failed:
        raise MemoryError("batch normalization found no memory for its sums")
