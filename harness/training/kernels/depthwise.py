"""Provides depthwise convolution in bfloat16, whose backward torch computes slowly on a CPU."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.grad import conv2d_input, conv2d_weight


class HalfDepthwise(nn.Conv2d):
    """A depthwise convolution whose images, weights and gradients are bfloat16."""

    def forward(self, x: Tensor) -> Tensor:
        """Map `(N, C, H, W)` to `(N, C, H', W')`."""
        if not self.training:
            return super().forward(x)
        y: Tensor = _Depthwise.apply(
            x.bfloat16(), self.weight.bfloat16(), self.stride, self.padding
        )
        return y


class _Depthwise(torch.autograd.Function):
    @staticmethod
    def forward(
        context: Any, x: Tensor, weight: Tensor, stride: tuple[int, int], padding: tuple[int, int]
    ) -> Tensor:
        context.save_for_backward(x, weight)
        context.steps = stride, padding, (1, 1), len(weight)
        return nn.functional.conv2d(x, weight, None, *context.steps)

    @staticmethod
    def backward(context: Any, gradient: Tensor) -> tuple[Tensor, Tensor, None, None]:
        x, weight = context.saved_tensors
        if x.shape[2:] == weight.shape[2:] and context.steps[1] == (0, 0):
            # Each weight of a global one meets one place: for oneDNN, 13 times the time.
            products = (x.float() * gradient.float()).sum(0)[:, None]
            return gradient * weight[:, 0], products.to(weight.dtype), None, None
        to_weight: Tensor = conv2d_weight(  # type: ignore[no-untyped-call]
            x, weight.shape, gradient, *context.steps
        )
        return _to_input(x, weight, gradient, context.steps), to_weight, None, None


def _to_input(x: Tensor, weight: Tensor, gradient: Tensor, steps: tuple[Any, ...]) -> Tensor:
    if steps[0] != (1, 1):
        # With a stride, oneDNN has vectors for single precision alone: without, 15 times the time.
        weight, gradient = weight.float(), gradient.float()
    found: Tensor = conv2d_input(  # type: ignore[no-untyped-call]
        x.shape, weight, gradient, *steps
    )
    return found.to(x.dtype)
