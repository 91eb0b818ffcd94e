"""Makes a face network of any timm backbone: `timm:<backbone>` or `timm:<backbone>:<head>`.

timm is imported at the first use: it takes seconds, and the paper's networks
do not need it.
"""

from __future__ import annotations

import difflib
from collections import OrderedDict
from typing import Any

import torch
from torch import nn

from facebench.architectures.embedding import HEADS
from facebench.architectures.errors import BadInputError, UnknownNameError
from facebench.architectures.registry import Architecture, register_family

EMBEDDING_SIZE = 128
INPUT_SIZE = (112, 112)
MAP_SIZE = (7, 7)


@register_family("timm")
def from_timm(rest: str) -> Architecture:
    """Return the architecture of timm's `<backbone>` with the head `gdconv` (default), `gap` or
    `fc`.

    Its name always has the head spelled out. What timm puts before its
    classifier, such as MobileNetV3's last 1x1 convolution, is kept.

    Raises:
        UnknownNameError: timm has no such backbone, or there is no such head.
    """
    backbone, colon, head = rest.partition(":")
    head = head if colon else "gdconv"
    if head not in HEADS:
        raise UnknownNameError(f"unknown embedding head {head!r} (known: {', '.join(HEADS)})")
    _require_backbone(backbone)
    return Architecture(
        name=f"timm:{backbone}:{head}",
        build=lambda: build(backbone, head),
        input_size=INPUT_SIZE,
        embedding_size=EMBEDDING_SIZE,
        reference=f"timm {_version()}, {backbone}",
        note="the first stride is 1 where that is what makes the last map 7x7",
    )


def _require_backbone(name: str) -> None:
    import timm

    known = timm.list_models()
    if name in known:
        return
    near = difflib.get_close_matches(name, known, n=3, cutoff=0.5)
    hint = f"did you mean {' or '.join(near)}?" if near else "see timm.list_models()"
    raise UnknownNameError(f"unknown timm backbone {name!r}: {hint}")


def _version() -> str:
    import timm

    return str(timm.__version__)


def build(backbone: str, head: str) -> nn.Module:
    """Return the backbone and head: `(N, 3, 112, 112)` to `(N, 128)`.

    Raises:
        BadInputError: the backbone does not give a 7x7 map.
    """
    import timm

    network = timm.create_model(backbone, pretrained=False, num_classes=0, global_pool="").eval()
    _split_activations(network)
    channels = _fit_map(network)
    if channels is None:
        raise BadInputError(
            f"timm backbone {backbone!r} cannot give a 7x7 map for a 112x112 input, not with "
            "stride 1 in its first convolution either: choose a convolutional one of total stride "
            "16, or 32 with a first stride of 2"
        )
    layers = {
        "backbone": network.train(),
        "head": HEADS[head](channels, MAP_SIZE, EMBEDDING_SIZE),
    }
    return nn.Sequential(OrderedDict(layers))


def _split_activations(network: nn.Module) -> None:
    """Part timm's joint BN and activation, so that every tool sees a plain BN."""
    from timm.layers.norm_act import BatchNormAct2d

    for parent in list(network.modules()):
        for name, child in parent.named_children():
            if type(child) is BatchNormAct2d:
                plain = nn.BatchNorm2d(child.num_features, eps=child.eps, affine=child.affine)
                setattr(parent, name, nn.Sequential(plain, child.drop, child.act))


def _fit_map(network: nn.Module) -> int | None:
    """Channels of the 7x7 map, the first stride reduced if need be; None where there is none."""
    channels = _map_channels(network)
    first = next((m for m in network.modules() if _is_strided(m)), None)
    if channels is None and isinstance(first, nn.Conv2d):
        first.stride = (1, 1)
        channels = _map_channels(network)
    return channels


def _is_strided(module: nn.Module) -> bool:
    return isinstance(module, nn.Conv2d) and module.stride == (2, 2)


def _map_channels(network: nn.Module) -> int | None:
    """Channels of the last map where it is 7x7, else None."""
    try:
        with torch.no_grad():
            output: Any = network(torch.zeros(1, 3, *INPUT_SIZE))
    except (AssertionError, RuntimeError, ValueError):
        # Networks of a fixed size refuse another one in their own ways.
        return None
    if not isinstance(output, torch.Tensor) or output.ndim != 4 or output.shape[2:] != MAP_SIZE:
        return None
    return int(output.shape[1])


def imagenet(backbone: str) -> nn.Module:
    """Return timm's network as it was published, with ImageNet's 1000 classes."""
    import timm

    network: nn.Module = timm.create_model(backbone, pretrained=False)
    return network
