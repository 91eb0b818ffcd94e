"""Builds MobileFaceNet and its variants (arXiv 1804.07573, tables 1 and 2)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import nn

from facebench.architectures.blocks import Activation, ConvBNAct, InvertedResidual, relu
from facebench.architectures.embedding import Head, gap, gdconv, global_depthwise
from facebench.architectures.registry import register

REFERENCE = "arXiv 1804.07573"


# Of channels in and out, stride, expansion and activation.
Block = Callable[[int, int, int, int, Activation], nn.Module]


@dataclass(frozen=True)
class Stage:
    """It is one bottleneck row of table 1: `repeats` blocks, the first with `stride`."""

    expansion: int
    channels: int
    repeats: int
    stride: int


STAGES = (
    Stage(expansion=2, channels=64, repeats=5, stride=2),
    Stage(expansion=4, channels=128, repeats=1, stride=2),
    Stage(expansion=2, channels=128, repeats=6, stride=1),
    Stage(expansion=4, channels=128, repeats=1, stride=2),
    Stage(expansion=2, channels=128, repeats=2, stride=1),
)
LAST_STAGE_X2 = (*STAGES[:-1], Stage(expansion=4, channels=128, repeats=2, stride=1))


def mobilefacenet(
    head: nn.Module,
    *,
    activation: Activation = nn.PReLU,
    stages: tuple[Stage, ...] = STAGES,
    expand_last: bool = True,
    block: Block = InvertedResidual,
) -> nn.Sequential:
    """Return the network of table 1: `(N, 3, H, W)` to embeddings.

    Args:
        head: maps the last map, `(N, 512, H / 16, W / 16)`, to embeddings; its
            channels are 128 without `expand_last`.
        block: makes each of the 15 bottlenecks.
        activation: of all convolutions but the linear ones.
        stages: the bottleneck rows.
        expand_last: whether a 1x1 convolution widens the last map to 512 channels.
    """
    layers = nn.Sequential(
        ConvBNAct(3, 64, stride=2, activation=activation),
        ConvBNAct(64, 64, groups=64, activation=activation),
    )
    channels = 64
    for stage in stages:
        for repeat in range(stage.repeats):
            stride = stage.stride if repeat == 0 else 1
            layers.append(block(channels, stage.channels, stride, stage.expansion, activation))
            channels = stage.channels
    if expand_last:
        layers.append(ConvBNAct(channels, 512, 1, activation=activation))
    return layers.append(head)


def _head(make: Head, map_size: tuple[int, int] = (7, 7)) -> nn.Module:
    """Return a 128-d head on the 512 channels of the primary network."""
    return make(512, map_size, 128)


def _bare_gdconv(channels: int) -> nn.Module:
    """GDConv whose output is the embedding."""
    return nn.Sequential(global_depthwise(channels, (7, 7)), nn.Flatten())


@register("mobilefacenet", reference=REFERENCE, paper_row="MobileFaceNet")
def _primary() -> nn.Module:
    return mobilefacenet(_head(gdconv))


@register(
    "mobilefacenet_112x96",
    input_size=(112, 96),
    reference=REFERENCE,
    paper_row="MobileFaceNet (112x96)",
)
def _112x96() -> nn.Module:
    return mobilefacenet(_head(gdconv, (7, 6)))


@register(
    "mobilefacenet_96x96",
    input_size=(96, 96),
    reference=REFERENCE,
    paper_row="MobileFaceNet (96x96)",
)
def _96x96() -> nn.Module:
    return mobilefacenet(_head(gdconv, (6, 6)))


@register(
    "mobilefacenet_m",
    embedding_size=512,
    reference=REFERENCE,
    paper_row="MobileFaceNet-M",
    note="without the linear 1x1 convolution after the GDConv",
)
def _m() -> nn.Module:
    return mobilefacenet(_bare_gdconv(512))


@register(
    "mobilefacenet_s",
    reference=REFERENCE,
    paper_row="MobileFaceNet-S",
    note="without the linear 1x1 convolution after the GDConv and the 1x1 convolution before it",
)
def _s() -> nn.Module:
    return mobilefacenet(_bare_gdconv(128), expand_last=False)


@register("mobilefacenet_relu", reference=REFERENCE, paper_row="MobileFaceNet (ReLU)")
def _relu() -> nn.Module:
    return mobilefacenet(_head(gdconv), activation=relu)


@register(
    "mobilefacenet_x2",
    reference=REFERENCE,
    paper_row="MobileFaceNet (expansion factor x2)",
    note=(
        "the expansion of the last bottleneck stage alone is doubled (1.13 M parameters, 1.03 "
        "times the multiply-adds): the paper does not say which is, and of the readings this is "
        "nearest to its 1.1 M and 1.13 times the latency; all doubled give 1.84 M and 1.95 "
        "times, the first stage alone 1.08 M and 1.40 times"
    ),
)
def _x2() -> nn.Module:
    return mobilefacenet(_head(gdconv), stages=LAST_STAGE_X2)


@register(
    "mobilefacenet_gap",
    reference=REFERENCE,
    note="the primary network with global average pooling in place of the GDConv",
)
def _gap() -> nn.Module:
    return mobilefacenet(_head(gap))
