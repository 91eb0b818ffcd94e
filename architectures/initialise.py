"""This module draws weights from a seed that behave as trained ones do.

Untrained weights time unlike trained ones: activations that fade from layer
to layer end in denormal numbers, which slow some kernels several times, and
slopes or BN statistics that are all the same hide errors of export and
compilation.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from facebench.architectures.registry import find

LAYERS = (nn.Conv2d, nn.Linear)
# Images of the calibrating batch: enough for stable statistics in the layers
# whose maps are 1x1.
CALIBRATION_BATCH = 8
# Standard deviation of a BN's output on images unlike those of the calibration, at most.
MOST_SPREAD = 10.0
# Of a layer's output in a network without BN, whose residuals double what they are added to.
MOST_UNNORMALIZED = 50.0


def create(name: str, seed: int = 0) -> nn.Module:
    """Return the network called `name` with trained-like weights, ready for inference.

    Convolutions are drawn by Kaiming's rule (arXiv 1502.01852, fan-out), PReLU
    slopes lie near 0.25 and differ by channel, BN weights and biases lie near
    one and differ by channel, and BN statistics are those of one batch of random images, so
    that activations keep their scale at every depth. Where they would not on other images, as
    in networks that multiply maps with each other, images of extreme contrast are among them.
    A network without BN whose many residuals add up is scaled layer by layer instead.
    Other parameters that begin all alike, such as layer scales of 1e-6, differ too. The same
    seed gives the same bytes in any process on one machine; the global random state is left as
    it was.

    Raises:
        UnknownNameError: there is no such network.
        BadInputError: a timm backbone cannot serve as one.
    """
    architecture = find(name)
    with _deterministic(seed), torch.no_grad():
        network = architecture.build().eval().requires_grad_(False)
        return _filled(network, architecture.input_size)


def drawn(network: nn.Module, input_size: tuple[int, int], seed: int) -> nn.Module:
    """Return a copy of a network with weights as `create` draws them, ready for inference.

    Args:
        network: maps images `(N, 3, *input_size)`; in evaluation mode, without gradients.
        input_size: height and width in pixels.
        seed: of what is drawn.
    """
    with _deterministic(seed), torch.no_grad():
        return _filled(copy.deepcopy(network), input_size)


def untrained(name: str) -> nn.Module:
    """Return the network called `name` in evaluation mode, for weights from elsewhere.

    Raises:
        UnknownNameError: there is no such network.
        BadInputError: a timm backbone cannot serve as one.
    """
    with _deterministic(0):
        network: nn.Module = find(name).build().eval().requires_grad_(False)
        return network


def unfilled(name: str) -> nn.Module:
    """Return the network called `name` in evaluation mode, whose weights take no memory.

    Each is zero throughout, one element that is read everywhere: enough to see its shape.

    Raises:
        UnknownNameError: there is no such network.
        BadInputError: a timm backbone cannot serve as one.
        RuntimeError: what builds the network looks at its weights.
    """
    with _deterministic(0), torch.device("meta"):
        network: nn.Module = find(name).build().eval().requires_grad_(False)
    made: dict[int, torch.Tensor] = {}
    for module in network.modules():
        every: tuple[dict[str, Any], ...] = (module._parameters, module._buffers)
        for held in every:
            for key, tensor in held.items():
                if tensor is not None:
                    held[key] = made.setdefault(id(tensor), _zeros_like(tensor))
    return network


def _zeros_like(tensor: torch.Tensor) -> torch.Tensor:
    zeros = torch.zeros((), dtype=tensor.dtype).expand(tensor.shape)
    if isinstance(tensor, nn.Parameter):
        return nn.Parameter(zeros, requires_grad=False)
    return zeros


def _filled(network: nn.Module, input_size: tuple[int, int]) -> nn.Module:
    for module in network.modules():
        _fill(module)
    _fill_rest(network)
    plain = _images(input_size)
    _calibrate(network, plain)
    wide = _wide_images(input_size)
    if _spread(network, wide, _BatchNorm) > MOST_SPREAD:
        _calibrate(network, wide)
    if _without_bn(network) and _spread(network, plain, *LAYERS) > MOST_UNNORMALIZED:
        _level(network, plain)
    # Some of timm's layers keep what they worked out from weights, until they are trained again.
    return network.train().eval()


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


def _fill_rest(network: nn.Module) -> None:
    """Draw anew what begins as one number throughout: scales, tables of positions, norms."""
    filled = {
        parameter
        for module in network.modules()
        if isinstance(module, nn.Conv2d | nn.Linear | nn.PReLU | _BatchNorm)
        for parameter in module.parameters(recurse=False)
    }
    for parameter in network.parameters():
        if parameter in filled or parameter.numel() < 2 or parameter.min() < parameter.max():
            continue
        value = float(parameter.flatten()[0])
        if value == 0:
            nn.init.normal_(parameter, std=0.1)
        else:
            # A residual branch times 1e-6, with which training begins, would hide all errors in it.
            centre = max(value, 0.25)
            nn.init.uniform_(parameter, 0.75 * centre, 1.25 * centre)


def _images(size: tuple[int, int]) -> torch.Tensor:
    """Return random patches of colour under noise, `(N, 3, *size)`, in -1 to 1.

    Noise alone looks the same to a network that pools over the whole map: the
    last BN would then divide by almost nothing and amplify rounding errors.
    """
    patches = torch.rand(CALIBRATION_BATCH, 3, 4, 4)
    smooth = nn.functional.interpolate(patches, size, mode="bilinear")
    return (1.5 * smooth + 0.5 * torch.rand_like(smooth)) - 1


def _wide_images(size: tuple[int, int]) -> torch.Tensor:
    """Return more of them, among them noise, black, white and a checkerboard, in -1 to 1."""
    rows, columns = torch.meshgrid(*map(torch.arange, size), indexing="ij")
    board = ((rows + columns) % 2 * 2 - 1).float().expand(1, 3, *size)
    noise = torch.rand(CALIBRATION_BATCH // 2, 3, *size) * 2 - 1
    plain = torch.ones(1, 3, *size)
    return torch.cat([_images(size), noise, noise.sign(), board, plain, -plain])


def _without_bn(network: nn.Module) -> bool:
    return not any(isinstance(module, _BatchNorm) for module in network.modules())


def _spread(network: nn.Module, images: torch.Tensor, *kinds: type[nn.Module]) -> float:
    """Return the largest standard deviation of any such module's output; 0 where there is none."""
    spreads = [0.0]
    hooks = [
        module.register_forward_hook(
            lambda module, given, output: spreads.append(float(output.std()))
        )
        for module in network.modules()
        if isinstance(module, kinds)
    ]
    network(images)
    for hook in hooks:
        hook.remove()
    return max(spreads)


def _level(network: nn.Module, images: torch.Tensor) -> None:
    """Scale each layer's weights, in turn, so that its outputs have a standard deviation of one.

    As arXiv 1511.06422, section 2, without its orthogonal weights.
    """

    def scale(layer: nn.Module, given: object, output: torch.Tensor) -> torch.Tensor:
        spread = output.std()
        layer.weight.div_(spread)  # type: ignore[operator]
        return output / spread

    layers = [module for module in network.modules() if isinstance(module, LAYERS)]
    hooks = [layer.register_forward_hook(scale) for layer in layers]
    network(images)
    for hook in hooks:
        hook.remove()


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
