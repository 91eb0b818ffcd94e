"""Makes a face network of any timm backbone: `timm:<backbone>` or `timm:<backbone>:<head>`.

timm is imported at the first use: it takes seconds, and the paper's networks
do not need it.
"""

from __future__ import annotations

import difflib
from collections import OrderedDict

import torch
from torch import nn

from facebench.architectures.embedding import HEADS
from facebench.architectures.errors import UnknownNameError
from facebench.architectures.fit_timm import fitted
from facebench.architectures.registry import Architecture, register_family
from facebench.architectures.timm_layers import (
    deployed,
    fix_padding,
    pool_places,
    split_activations,
    split_response_norms,
)

EMBEDDING_SIZE = 128
INPUT_SIZE = (112, 112)


@register_family("timm")
def from_timm(rest: str) -> Architecture:
    """Return the architecture of timm's `<backbone>` with the head `gdconv` (default), `gap` or
    `fc`.

    Its name always has the head spelled out. `gap` pools where timm does: before the last 1x1
    convolution in MobileNetV3 and its like, the class token in some transformers. The others
    read the last map, with that convolution before them, or all tokens.

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
        note="the first stride is halved where the last map would be smaller than 7x7",
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


class FaceNetwork(nn.Sequential):
    """It is a backbone of timm and a head, from `(N, 3, 112, 112)` to `(N, 128)`."""

    def deployed(self) -> nn.Module:
        """Return what it deploys as: branches that were trained beside each other are one."""
        parts = OrderedDict(self.named_children())
        return FaceNetwork(parts | {"backbone": deployed(parts["backbone"])})


def build(backbone: str, head: str) -> nn.Module:
    """Return the backbone and head: `(N, 3, 112, 112)` to `(N, 128)`.

    Raises:
        BadInputError: the backbone takes no images of 112x112, or gives several outputs.
    """
    image = torch.zeros(1, 3, *INPUT_SIZE)
    network, layout, map_shape = fitted(backbone, image, pooled=head == "gap")
    for module in network.modules():
        if hasattr(module, "fused_attn"):
            # One operator hides two matrix products from every counter, and ncnn has none for it.
            setattr(module, "fused_attn", False)  # noqa: B010
    fix_padding(network, image)
    split_activations(network)
    split_response_norms(network)
    pool_places(network)
    channels, *places = map_shape
    # What is pooled already is read as a map of one place.
    made = HEADS["fc" if head == "gap" else head](channels, (places[0], places[1]), EMBEDDING_SIZE)
    layers: dict[str, nn.Module] = {"backbone": network.train()}
    layers |= {"layout": layout} if layout else {}
    return FaceNetwork(OrderedDict(layers | {"head": made}))


def imagenet(backbone: str) -> nn.Module:
    """Return timm's network as it was published, with ImageNet's 1000 classes."""
    import timm

    network: nn.Module = timm.create_model(backbone, pretrained=False)
    return network
