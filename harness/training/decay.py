"""Chooses which parameters weight decay holds for, and how much of it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import nn

from facebench.harness.training.recipe import Recipe

_LAYERS = (nn.modules.conv._ConvNd, nn.Linear)


def parameter_groups(
    network: nn.Module, input_size: tuple[int, int], others: nn.Module, recipe: Recipe
) -> list[dict[str, Any]]:
    """Return an optimizer's groups: the backbone's weights, those after it, what is not decayed.

    Args:
        network: the network that is trained.
        input_size: height and width in pixels.
        others: what comes after the network: a projection, or class centres.
        recipe: says how much decay.
    """
    late = set(after_global(network, input_size))
    decay: dict[float, list[nn.Parameter]] = {}
    for layer, parameter in [*_parameters(network), *_parameters(others)]:
        amount = recipe.weight_decay
        if parameter.ndim < 2:
            amount = 0.0
        elif layer in late or layer not in set(network.modules()):
            amount = recipe.weight_decay_after_global
        decay.setdefault(amount, []).append(parameter)
    return [{"params": group, "weight_decay": amount} for amount, group in decay.items()]


def after_global(network: nn.Module, input_size: tuple[int, int]) -> list[nn.Module]:
    """Return layers with weights that come after the global operator, in the order of execution.

    The global operator is the last layer that turns a map into a vector: a
    global depthwise convolution, a pooling, or the flattening before a fully
    connected layer.
    """
    seen: list[tuple[nn.Module, int, int]] = []

    def look(layer: nn.Module, inputs: tuple[torch.Tensor, ...], output: torch.Tensor) -> None:
        seen.append((layer, _places(inputs[0]), _places(output)))

    leaves = [layer for layer in network.modules() if not list(layer.children())]
    hooks = [layer.register_forward_hook(look) for layer in leaves]
    training = network.training
    try:
        device = next(network.parameters()).device
        with torch.no_grad():
            network.eval()(torch.zeros(1, 3, *input_size, device=device))
    finally:
        network.train(training)
        for hook in hooks:
            hook.remove()
    last = max((i for i, (_, before, after) in enumerate(seen) if before > after == 1), default=-1)
    return [layer for layer, _, _ in seen[last + 1 :] if isinstance(layer, _LAYERS)]


def _places(tensor: torch.Tensor) -> int:
    """Places of a map `(N, C, H, W)`; a vector `(N, C)` has one."""
    return tensor.shape[2:].numel() if tensor.ndim == 4 else 1


def _parameters(module: nn.Module) -> Iterator[tuple[nn.Module, nn.Parameter]]:
    for layer in module.modules():
        for parameter in layer.parameters(recurse=False):
            yield layer, parameter
