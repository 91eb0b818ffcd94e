"""Fits a timm backbone to faces of 112x112 pixels: its first stride, and what its last map is."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from facebench.architectures.errors import BadInputError, FacebenchError

# Places a side that the last map has at least, where the first stride can be halved for it.
MAP_SIDE = 7


class ChannelsFirst(nn.Module):
    """Turns maps `(N, H, W, C)` into `(N, C, H, W)`, and tokens `(N, L, C)` into `(N, C, L, 1)`."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map `(N, H, W, C)` or `(N, L, C)` to a map whose channels come first."""
        return x.permute(0, 3, 1, 2) if x.ndim == 4 else x.transpose(1, 2).unsqueeze(3)


def fitted(
    backbone: str, image: torch.Tensor, pooled: bool
) -> tuple[nn.Module, nn.Module | None, tuple[int, int, int]]:
    """Return timm's network without its classifier, for images like `image`.

    Args:
        backbone: a name that timm knows.
        image: of the size that it will see, `(1, 3, H, W)`.
        pooled: whether to keep timm's own pooling, and what follows it.

    Returns:
        The network in evaluation mode; what turns its output into a map `(N, C, H, W)`, None
        where it is one, or a vector; and the map's channels, height and width, 1 for a vector.

    Raises:
        BadInputError: it takes no images of this size, or gives several outputs.
    """
    try:
        network = _of_this_size(backbone, image, pooled)
        output = _run(network, image)
    except FacebenchError:
        raise
    except Exception as error:  # a thousand networks fail in their own ways
        raise BadInputError(
            f"timm backbone {backbone!r} cannot be made a face network ({_said(error)}): choose "
            "another"
        ) from error
    if not isinstance(output, torch.Tensor) or output.ndim not in (2, 3, 4):
        what = f"{len(output)} outputs" if isinstance(output, list | tuple) else "no map"
        raise BadInputError(
            f"timm backbone {backbone!r} gives {what} where one map or a list of tokens is "
            "expected: choose another"
        )
    layout = None if _has_channels_first(output) else ChannelsFirst()
    as_map = output if layout is None else layout(output)
    channels, height, width = (*as_map.shape[1:], 1, 1)[:3]
    return network, layout, (channels, height, width)


def _has_channels_first(output: torch.Tensor) -> bool:
    """Say it of vectors too; the map of a square image is square."""
    if output.ndim == 4:
        return output.shape[2] == output.shape[3] or output.shape[1] != output.shape[2]
    return output.ndim == 2


def _of_this_size(backbone: str, image: torch.Tensor, pooled: bool) -> nn.Module:
    """Return the network as it was published, with its first stride halved, or made anew."""
    network = _created(backbone, pooled)
    if _side(_features(network, image)) >= MAP_SIDE:
        return network
    first = _first_strided(network, image)
    strides = [layer.stride for layer in first]
    for layer in first:
        _set_stride(network, layer, (max(1, layer.stride[0] // 2), max(1, layer.stride[1] // 2)))
    if first and not isinstance(_features(network, image), Exception):
        return network
    for layer, stride in zip(first, strides, strict=True):
        _set_stride(network, layer, stride)
    refused = _features(network, image)
    if not isinstance(refused, Exception):
        return network
    try:
        # Networks whose tables of positions are made for one size take it by this name.
        resized = _created(backbone, pooled, img_size=tuple(image.shape[2:]))
        _run(resized, image)
        return resized
    except Exception:
        size = "x".join(map(str, image.shape[2:]))
        raise BadInputError(
            f"timm backbone {backbone!r} takes no images of {size} ({_said(refused)}): choose one "
            "that was not made for a fixed size"
        ) from refused


def _said(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def _set_stride(network: nn.Module, layer: nn.Conv2d, stride: tuple[int, ...]) -> None:
    """Set it in the blocks around the layer too, which make one layer of branches by it."""
    old, layer.stride = layer.stride, stride
    for block in network.modules():
        if block is layer or not any(module is layer for module in block.modules()):
            continue
        if getattr(block, "stride", None) in (old, old[0]):
            block.stride = stride[0]  # type: ignore[assignment]


def _created(backbone: str, pooled: bool, **options: Any) -> nn.Module:
    import timm

    options |= {"pretrained": False, "num_classes": 0}
    if pooled:
        network: nn.Module = timm.create_model(backbone, **options).eval()
        return network
    try:
        unpooled: nn.Module = timm.create_model(backbone, global_pool="", **options).eval()
        return unpooled
    except Exception:
        # Some cannot leave out their pooling alone, but all can end before it.
        return Unpooled(timm.create_model(backbone, **options).eval()).eval()


class Unpooled(nn.Module):
    """It is a network of timm that ends before its pooling and all that follows."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network
        for name in ("head", "head_drop", "head_dist", "fc_norm"):
            if hasattr(network, name):
                setattr(network, name, nn.Identity())

    def forward(self, x: torch.Tensor) -> Any:
        """Map `(N, 3, H, W)` to the last map or tokens."""
        return self.forward_features(x)

    def forward_features(self, x: torch.Tensor) -> Any:
        """Map `(N, 3, H, W)` to the last map or tokens."""
        return self.network.forward_features(x)  # type: ignore[operator]


def _run(network: nn.Module, image: torch.Tensor) -> Any:
    with torch.no_grad():
        return network(image)


def _features(network: nn.Module, image: torch.Tensor) -> Any:
    """Return the last map or tokens, or what the network raises of an image of this size."""
    try:
        with torch.no_grad():
            return network.forward_features(image)  # type: ignore[operator]
    except Exception as error:
        return error


def _side(output: Any) -> int:
    """Return the places a side of a square map; 0 of anything else."""
    if not isinstance(output, torch.Tensor) or output.ndim != 4:
        return 0
    return int(output.shape[2 if _has_channels_first(output) else 1])


def _first_strided(network: nn.Module, image: torch.Tensor) -> list[nn.Conv2d]:
    """Return the strided convolutions that read the image; failing that, the first of all."""
    strided = [m for m in network.modules() if isinstance(m, nn.Conv2d) and max(m.stride) > 1]
    reading: list[nn.Conv2d] = []
    hooks = [
        layer.register_forward_pre_hook(
            lambda layer, given: reading.append(layer) if given[0] is image else None
        )
        for layer in strided
    ]
    _features(network, image)
    for hook in hooks:
        hook.remove()
    return reading or strided[:1]
