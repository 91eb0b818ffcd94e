"""Computes gradients of single units of the last map, and the global operator's weights."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from facebench.architectures.errors import RefusedError
from facebench.harness.records.receptive_fields import Fields, Map

# Images of a batch of random pixels, and how many blocks a side of the picture is cut into.
_IMAGES, _BLOCKS = 16, 28


def compute(module: nn.Module, input_size: tuple[int, int], seed: int = 0) -> Fields:
    """Return fields of the units in the centre and the upper left corner of the last map.

    The last map is the last output, in order of execution, that has more than one place;
    a GDConv is a depthwise convolution whose kernel is that whole map.

    Args:
        module: in evaluation mode, images (N, 3, H, W) to embeddings.
        input_size: height and width.
        seed: of the random images.

    Raises:
        RefusedError: the network has no map of more than one place.
    """
    images = torch.randn(_IMAGES, 3, *input_size, generator=torch.Generator().manual_seed(seed))
    images.requires_grad_()
    last, operators = _last_map(module, images)
    height, width = last.shape[2:]
    fields = [_field(last, images, place) for place in ((height // 2, width // 2), (0, 0))]
    largest = max(float(field.max()) for field in fields)
    centre, corner = (_plain(field / largest if largest else field) for field in fields)
    return Fields((height, width), centre, corner, _weights(operators, (height, width)), _IMAGES)


def _last_map(module: nn.Module, images: Tensor) -> tuple[Tensor, list[nn.Module]]:
    """Return the map, and the modules that come after it."""
    seen: list[tuple[nn.Module, Tensor]] = []

    def note(which: nn.Module, inputs: Any, output: Any) -> None:
        if isinstance(output, Tensor):
            seen.append((which, output))

    leaves = [one for one in module.modules() if not list(one.children())]
    hooks = [leaf.register_forward_hook(note) for leaf in leaves]
    try:
        module(images)
    finally:
        for hook in hooks:
            hook.remove()
    maps = [i for i, (_, out) in enumerate(seen) if out.ndim == 4 and out[0, 0].numel() > 1]
    if not maps:
        raise RefusedError("the network has no map with more than one place to look at")
    return seen[maps[-1]][1], [one for one, _ in seen[maps[-1] + 1 :]]


def _field(last: Tensor, images: Tensor, place: tuple[int, int]) -> Tensor:
    """Mean size of the gradient by each block of pixels `(blocks, blocks)`."""
    unit = last[:, :, place[0], place[1]].sum()
    (gradient,) = torch.autograd.grad(unit, images, retain_graph=True)
    size = gradient.abs().mean((0, 1), keepdim=True)
    return nn.functional.adaptive_avg_pool2d(size, _BLOCKS)[0, 0].detach()


def _weights(operators: Sequence[nn.Module], map_size: tuple[int, int]) -> Map | None:
    first = operators[0] if operators else None
    if not isinstance(first, nn.Conv2d) or first.kernel_size != map_size or first.groups == 1:
        return None
    size = first.weight.detach().abs().mean((0, 1))
    return _plain(size / size.mean())


def _plain(values: Tensor) -> Map:
    return tuple(tuple(round(float(value), 5) for value in row) for row in values)
