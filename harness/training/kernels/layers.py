"""Exchanges layers of a network, while it trains on a CPU, for ones that compute the same faster.

Weights, names and the state dict stay as they are: a layer changes its class, and afterwards has
its own again.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise

from torch import nn

from facebench.harness.training.kernels.depthwise import HalfDepthwise
from facebench.harness.training.kernels.library import lacking
from facebench.harness.training.kernels.normalization import (
    FusedBatchNorm,
    PassedPReLU,
    PassedReLU,
    PassedReLU6,
    Rectifier,
)

# By a rectifier's class: the one it has while BN computes it, and its limit.
_RECTIFIERS: dict[type[nn.Module], tuple[type[nn.Module], float]] = {
    nn.PReLU: (PassedPReLU, math.inf),
    nn.ReLU: (PassedReLU, math.inf),
    nn.ReLU6: (PassedReLU6, 6.0),
}


@contextmanager
def faster_layers(network: nn.Module, half: bool) -> Iterator[None]:
    """Train with faster layers within this context.

    Args:
        network: on a CPU, in one process. Layers of other kinds than it knows stay as they are.
        half: whether it computes in bfloat16.

    Where the kernels cannot be built, nothing is exchanged.
    """
    if lacking():
        yield
        return
    layers = list(network.modules())
    own = {layer: type(layer) for layer in layers}
    try:
        for norm in layers:
            if type(norm) is nn.BatchNorm2d and _usual(norm):
                _fuse(norm, None)
        for norm, after in _followed(network):
            passed, limit = _RECTIFIERS[type(after)]
            after.__class__ = passed
            _fuse(norm, Rectifier(after, limit))
        if half:
            for layer in layers:
                if type(layer) is nn.Conv2d and _depthwise(layer):
                    layer.__class__ = HalfDepthwise
        yield
    finally:
        for layer, kind in own.items():
            layer.__class__ = kind
            vars(layer).pop("rectifier", None)


def _fuse(norm: nn.Module, rectifier: Rectifier | None) -> None:
    norm.__class__ = FusedBatchNorm
    # Not as an attribute of torch's, which would have the layer in two places of the network.
    vars(norm)["rectifier"] = rectifier


def _followed(network: nn.Module) -> Iterator[tuple[nn.Module, nn.Module]]:
    """Give each BN right before a rectifier in a plain sequence, where both occur only there."""
    places = Counter(layer for _, layer in network.named_modules(remove_duplicate=False))
    for sequence in network.modules():
        if type(sequence).forward is not nn.Sequential.forward:
            continue
        for norm, after in pairwise(sequence.children()):
            alone = places[norm] == places[after] == 1
            if alone and type(norm) is FusedBatchNorm and type(after) in _RECTIFIERS:
                yield norm, after


def _usual(norm: nn.BatchNorm2d) -> bool:
    return norm.affine and norm.track_running_stats and norm.momentum is not None


def _depthwise(layer: nn.Conv2d) -> bool:
    plain = layer.padding_mode == "zeros" and layer.dilation == (1, 1) and layer.bias is None
    single = layer.groups == layer.in_channels == layer.out_channels > 1
    return plain and single and not isinstance(layer.padding, str)
