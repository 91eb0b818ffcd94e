"""This module draws weights from a seed that behave as trained ones do.

Untrained weights time unlike trained ones: activations that fade from layer
to layer end in denormal numbers, which slow some kernels several times, and
slopes or BN statistics that are all the same hide errors of export and
compilation.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from facebench.architectures.registry import find

# Images of the calibrating batch: enough for stable statistics in the layers
# whose maps are 1x1.
CALIBRATION_BATCH = 8


def create(name: str, seed: int = 0) -> nn.Module:
    """Return the network called `name` with trained-like weights, ready for inference.

    Convolutions are drawn by Kaiming's rule (arXiv 1502.01852, fan-out), PReLU
    slopes lie near 0.25 and differ by channel, BN weights and biases lie near
    one and differ by channel, and BN statistics are those of one batch of random images, so
    that activations keep their scale at every depth. The same seed gives the
    same bytes in any process on one machine; the global random state is left as
    it was.

    Raises:
        UnknownNameError: there is no such network.
        BadInputError: a timm backbone cannot serve as one.
    """
    architecture = find(name)
    with _deterministic(seed), torch.no_grad():
        network = architecture.build().eval().requires_grad_(False)
        for module in network.modules():
            _fill(module)
        _calibrate(network, _images(architecture.input_size))
    return network


@contextmanager
def _deterministic(seed: int) -> Iterator[None]:
    """Keep to one thread, as sums depend on how they are shared out, and a random state of its
    own.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            yield
    finally:
        torch.set_num_threads(threads)


def _fill(module: nn.Module) -> None:
    if isinstance(module, nn.Conv2d | nn.Linear):
        _fill_layer(module)
    elif isinstance(module, nn.PReLU):
        nn.init.normal_(module.weight, mean=0.25, std=0.05)
    elif isinstance(module, _BatchNorm) and module.affine:
        # A bias of one keeps most rectifiers open. About zero, BN and rectifier
        # together amplify rounding errors at every layer (arXiv 1902.08129),
        # until the outputs of the deepest networks differ by more than 1e-5.
        nn.init.uniform_(module.weight, 0.75, 1.25)
        nn.init.normal_(module.bias, mean=1.0, std=0.25)


def _fill_layer(layer: nn.Conv2d | nn.Linear) -> None:
    """Fill by Kaiming's fan-out rule, a group's own outputs counted."""
    outputs = layer.weight.shape[0] * layer.weight[0, 0].numel()
    groups = layer.groups if isinstance(layer, nn.Conv2d) else 1
    nn.init.normal_(layer.weight, std=math.sqrt(2.0 * groups / outputs))
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)


def _images(size: tuple[int, int]) -> torch.Tensor:
    """Return random patches of colour under noise, `(N, 3, *size)`, in -1 to 1.

    Noise alone looks the same to a network that pools over the whole map: the
    last BN would then divide by almost nothing and amplify rounding errors.
    """
    patches = torch.rand(CALIBRATION_BATCH, 3, 4, 4)
    smooth = nn.functional.interpolate(patches, size, mode="bilinear")
    return (1.5 * smooth + 0.5 * torch.rand_like(smooth)) - 1


def _calibrate(network: nn.Module, images: torch.Tensor) -> None:
    """Set BN statistics to those of `images`; dropout and the like stay off."""
    layers = [module for module in network.modules() if isinstance(module, _BatchNorm)]
    momenta = [layer.momentum for layer in layers]
    for layer in layers:
        layer.reset_running_stats()
        layer.momentum = None  # a plain average instead of a decaying one
        layer.train()
    network(images)
    for layer, momentum in zip(layers, momenta, strict=True):
        layer.momentum = momentum
        layer.eval()
