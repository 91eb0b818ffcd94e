"""Provides batch normalization over the batches of all processes.

Torch's own needs a GPU; with it, several processes train on a CPU what one
process would.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from facebench.harness.training.ranks import Ranks


def synchronized(network: nn.Module, ranks: Ranks) -> nn.Module:
    """Return the network, with BN that counts the images of all processes; the same state dict."""
    if ranks.world == 1:
        return network
    if ranks.device != "cpu":
        converted: nn.Module = nn.SyncBatchNorm.convert_sync_batchnorm(network)  # type: ignore[no-untyped-call]
        return converted
    for parent in list(network.modules()):
        for name, child in parent.named_children():
            if isinstance(child, nn.BatchNorm1d | nn.BatchNorm2d):
                setattr(parent, name, _joint(child, ranks))
    return network


class JointBatchNorm(_BatchNorm):
    """BN whose mean and variance in training are those of the images of all processes."""

    ranks: Ranks

    def forward(self, x: Tensor) -> Tensor:
        """Map `(N, C)` or `(N, C, H, W)` to the same shape."""
        if not self.training:
            return super().forward(x)
        axes = [axis for axis in range(x.ndim) if axis != 1]
        shape = [1, -1, *[1] * (x.ndim - 2)]
        world = self.ranks.world
        mean = self.ranks.joint(x.mean(axes)) / world
        centred = x - mean.view(shape)
        variance = self.ranks.joint(centred.square().mean(axes)) / world
        self._keep(mean.detach(), variance.detach(), x.numel() // x.shape[1] * world)
        normal = centred * (variance + self.eps).rsqrt().view(shape)
        return normal if self.weight is None else _affine(normal, self.weight, self.bias, shape)

    def _check_input_dim(self, input: Tensor) -> None:
        pass

    def _keep(self, mean: Tensor, variance: Tensor, count: int) -> None:
        if self.running_mean is None or self.running_var is None:
            return
        assert self.num_batches_tracked is not None
        self.num_batches_tracked += 1
        share = self.momentum or 1 / int(self.num_batches_tracked)
        with torch.no_grad():
            self.running_mean.lerp_(mean, share)
            self.running_var.lerp_(variance * count / (count - 1), share)


def _affine(normal: Tensor, weight: Tensor, bias: Tensor, shape: list[int]) -> Tensor:
    return normal * weight.view(shape) + bias.view(shape)


def _joint(layer: _BatchNorm, ranks: Ranks) -> JointBatchNorm:
    made = JointBatchNorm(
        layer.num_features, layer.eps, layer.momentum, layer.affine, layer.track_running_stats
    )
    made.load_state_dict(layer.state_dict())
    made.ranks = ranks
    return made
