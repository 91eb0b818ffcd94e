"""Provides a layer whose weights are each place's own, as convolutions that share none."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class LocallyConnected(nn.Module):
    """It is a convolution without padding whose every place has weights of its own.

    Written as places under the window beside each other, and one matrix product for each place:
    operators that every exporter knows.

    Args:
        channels_in: of the map.
        channels_out: of what it gives.
        kernel: height and width of the window.
        map_size: height and width of the map.
        stride: between windows.
        shared: height and width of the squares of places that do share their weights.
    """

    def __init__(
        self,
        channels_in: int,
        channels_out: int,
        kernel: int,
        map_size: tuple[int, int],
        stride: int = 1,
        shared: int = 1,
    ) -> None:
        super().__init__()
        self.kernel, self.stride = kernel, stride
        self.size = [(side - kernel) // stride + 1 for side in map_size]
        rows, columns = (-(-side // shared) for side in self.size)
        read = kernel**2 * channels_in
        self.weight = nn.Parameter(torch.empty(rows * columns, read, channels_out))
        self.bias = nn.Parameter(torch.zeros(rows * columns, 1, channels_out))
        nn.init.normal_(self.weight, std=(2 / read) ** 0.5)
        # The square of each place, row by row.
        self.square = [
            y // shared * columns + x // shared
            for y in range(self.size[0])
            for x in range(self.size[1])
        ]
        self.apart = shared == 1

    def forward(self, x: Tensor) -> Tensor:
        """Map `(N, C_in, *map_size)` to `(N, C_out, H, W)`, H and W of `size`."""
        weight: Tensor = self.weight
        bias: Tensor = self.bias
        if not self.apart:
            weight, bias = weight[self.square], bias[self.square]
        windows = nn.functional.unfold(x, self.kernel, stride=self.stride)
        given = windows.permute(2, 0, 1) @ weight + bias
        return given.permute(1, 2, 0).reshape(-1, weight.shape[2], *self.size)
