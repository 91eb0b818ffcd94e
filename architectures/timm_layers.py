"""Layers of timm as those of torch that every tool knows."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import nn


class PaddedConvolution(nn.Conv2d):
    """It is a convolution after padding that differs by side, as TensorFlow's `SAME`."""

    # Left, right, top, bottom.
    amounts = (0, 0, 0, 0)

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        """Map `(N, C_in, H, W)` to `(N, C_out, H / stride, W / stride)`."""
        return super().forward(nn.functional.pad(input, self.amounts))

    def deployed(self) -> nn.Module:
        """Return padding, and a convolution that can take the BN after it."""
        return nn.Sequential(nn.ZeroPad2d(self.amounts), _convolution(nn.Conv2d, self, (0, 0)))


class ResponseNorm(nn.Module):
    """It is the global response normalization of ConvNeXt V2, its sum and product by themselves.

    timm writes both as one operator, which ncnn has not.
    """

    def __init__(self, like: Any) -> None:
        super().__init__()
        self.weight, self.bias, self.eps = like.weight, like.bias, like.eps
        self.places, self.channels, self.shape = like.spatial_dim, like.channel_dim, like.wb_shape

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map `(N, C, H, W)`, or with the channels last, to as much."""
        lengths = x.norm(p=2, dim=self.places, keepdim=True)
        ratios = lengths / (lengths.mean(dim=self.channels, keepdim=True) + self.eps)
        scaled = self.weight.view(self.shape) * (x * ratios)
        shifted: torch.Tensor = x + (self.bias.view(self.shape) + scaled)
        return shifted


def split_response_norms(network: nn.Module) -> None:
    """Write global response normalizations in operators that every runtime has."""
    from timm.layers.grn import GlobalResponseNorm

    for parent in list(network.modules()):
        for name, child in parent.named_children():
            if type(child) is GlobalResponseNorm:
                setattr(parent, name, ResponseNorm(child))


def split_activations(network: nn.Module) -> None:
    """Part timm's joint BN and activation, so that every tool sees a plain BN."""
    from timm.layers.norm_act import BatchNormAct2d

    for parent in list(network.modules()):
        for name, child in parent.named_children():
            if type(child) is BatchNormAct2d:
                plain = nn.BatchNorm2d(child.num_features, eps=child.eps, affine=child.affine)
                after = [m for m in (child.drop, child.act) if not isinstance(m, nn.Identity)]
                # One by itself is what timm joins with the branches beside it.
                setattr(
                    parent, name, nn.Sequential(plain, child.drop, child.act) if after else plain
                )


def pool_places(network: nn.Module) -> None:
    """Let LeViT take every n-th place of a map by a pooling: ncnn has no cut with steps."""
    from timm.models.levit import Downsample

    for module in network.modules():
        if isinstance(module, Downsample) and module.pool is None:
            setattr(module, "pool", nn.MaxPool2d(1, module.stride))  # noqa: B010


def fix_padding(network: nn.Module, image: torch.Tensor) -> None:
    """Give `SAME` convolutions the padding that they work out for maps of one size.

    Args:
        network: whose convolutions are replaced.
        image: of the size that it will see, `(1, 3, H, W)`.
    """
    from timm.layers.conv2d_same import Conv2dSame

    sizes: dict[nn.Module, list[int]] = {}
    hooks = [
        module.register_forward_pre_hook(
            lambda module, given: sizes.update({module: list(given[0].shape[2:])})
        )
        for module in network.modules()
        if type(module) is Conv2dSame
    ]
    with torch.no_grad():
        network(image)
    for hook in hooks:
        hook.remove()
    for parent in list(network.modules()):
        for name, child in parent.named_children():
            if child in sizes:
                setattr(parent, name, _of_size(child, sizes[child]))


def _of_size(layer: Any, size: list[int]) -> nn.Module:
    """Return a `SAME` convolution as one of maps of one size, with the same weights."""
    from timm.layers.padding import pad_same_arg

    left, right, top, bottom = pad_same_arg(size, layer.kernel_size, layer.stride, layer.dilation)
    if (left, top) == (right, bottom):
        return _convolution(nn.Conv2d, layer, (top, left))
    made = _convolution(PaddedConvolution, layer, (0, 0))
    made.amounts = (left, right, top, bottom)  # type: ignore[assignment]
    return made


def _convolution(kind: type[nn.Conv2d], like: Any, padding: tuple[int, int]) -> nn.Conv2d:
    """Return a convolution of another kind with the weights of one."""
    made = kind(
        like.in_channels,
        like.out_channels,
        like.kernel_size,
        like.stride,
        padding,
        like.dilation,
        like.groups,
        like.bias is not None,
        device="meta",
    )
    made.weight, made.bias = like.weight, like.bias
    return made


def deployed(network: nn.Module) -> nn.Module:
    """Return a copy with branches that were trained beside each other as one layer.

    The tables that timm works out from weights and keeps, such as those of attention by
    position, are worked out anew.
    """
    from timm.utils.model import reparameterize_model

    made: nn.Module = reparameterize_model(copy.deepcopy(network))
    return made.train().eval()
