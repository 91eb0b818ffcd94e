"""Layers without a counterpart in torch: shifts, and convolutions that share no weights."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from facebench.architectures.locally_connected import LocallyConnected
from facebench.architectures.shiftnet import Shift
from facebench.harness.models.cost import count


@pytest.mark.parametrize(("channels", "kernel"), [(9, 3), (32, 3), (11, 3), (60, 5), (4, 3)])
def test_a_shift_is_a_convolution_with_one_weight_a_channel(channels: int, kernel: int) -> None:
    weights = torch.zeros(channels, 1, kernel, kernel)
    share = channels // kernel**2
    for channel in range(channels):
        tap = channel // share if channel < kernel**2 * share else kernel**2 // 2
        weights[channel, 0, tap // kernel, tap % kernel] = 1
    x = torch.randn(2, channels, 6, 5)
    expected = nn.functional.conv2d(x, weights, padding=kernel // 2, groups=channels)
    assert torch.equal(Shift(channels, kernel, (6, 5))(x), expected)


def test_a_shift_takes_neither_parameters_nor_multiply_adds() -> None:
    found = count(nn.Sequential(nn.Conv2d(3, 18, 1), Shift(18, 3, (8, 6))), (8, 6), 0)
    assert found.parameters == 3 * 18 + 18
    assert found.madds["+activation"] == 3 * 18 * 8 * 6


@pytest.mark.parametrize(("kernel", "stride", "shared"), [(3, 1, 1), (3, 2, 1), (2, 1, 2)])
def test_each_place_is_a_convolution_of_its_own(kernel: int, stride: int, shared: int) -> None:
    layer = LocallyConnected(4, 5, kernel, (8, 7), stride, shared)
    nn.init.normal_(layer.bias)
    x = torch.randn(2, 4, 8, 7)
    found = layer(x)
    squares = -(-layer.size[1] // shared)
    for y in range(layer.size[0]):
        for column in range(layer.size[1]):
            square = y // shared * squares + column // shared
            weight = layer.weight[square].T.reshape(5, 4, kernel, kernel)
            top, left = y * stride, column * stride
            patch = x[:, :, top : top + kernel, left : left + kernel]
            one = nn.functional.conv2d(patch, weight, layer.bias[square].flatten())
            torch.testing.assert_close(found[:, :, y, column], one[:, :, 0, 0])
