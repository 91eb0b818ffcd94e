"""MobileNetV3 as a face network (arXiv 1905.02244); the backbone is timm's."""

from __future__ import annotations

from functools import partial

from torch import nn

from facebench.architectures.from_timm import build, imagenet
from facebench.architectures.registry import Published, register

REFERENCE = "arXiv 1905.02244"
DIFFERS = "5.48 M parameters by our count: 5.4 is truncated"
NOTE = "timm's backbone with a GDConv head; the first stride is 1, so that the last map is 7x7"


@register(
    "mobilenet_v3_large",
    reference=REFERENCE,
    note=NOTE,
    published=Published(
        parameters="5.4",
        madds="217",
        source="arXiv 1905.02244, table 3, and the authors' release, of 217 M",
        differs=DIFFERS,
        build=partial(imagenet, "mobilenetv3_large_100"),
        input_size=(224, 224),
    ),
)
def _large() -> nn.Module:
    return build("mobilenetv3_large_100", "gdconv")


@register(
    "mobilenet_v3_small",
    reference=REFERENCE,
    note=NOTE,
    published=Published(
        parameters="2.5",
        madds="56",
        source="arXiv 1905.02244, table 3",
        differs="56.5 M by our count",
        build=partial(imagenet, "mobilenetv3_small_100"),
        input_size=(224, 224),
    ),
)
def _small() -> nn.Module:
    return build("mobilenetv3_small_100", "gdconv")
