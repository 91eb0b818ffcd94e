"""Puts numbers of channels that four does not divide into ones that it does.

A pixel lies in memory with as many channels as four divides. Those beyond a map's own have
weights of zero, so that whatever they hold changes no sum.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facebench.harness.compiler.integers.lanes import QUAD
from facebench.harness.models.integer_network.network import SumsStep


def held(channels: int) -> int:
    """Return the channels with which a pixel lies in memory."""
    return -(-channels // QUAD) * QUAD


def padded(step: SumsStep) -> SumsStep:
    """Return a step whose groups have numbers of channels and filters that four divides."""
    filters, channels = len(step.bias), step.weights.shape[1]
    if step.groups == filters and channels == 1:
        return _longer(step, step.weights, held(filters))
    groups = step.groups
    merged = next(n for n in range(1, groups + 1) if _divided(n, groups, channels, filters))
    weights = _merged(step.weights, groups, merged)
    more = (0, held(weights.shape[1]) - weights.shape[1])
    weights = np.pad(weights, [(0, 0), more, (0, 0), (0, 0)])
    return _longer(step, weights, groups // merged)


def _divided(merged: int, groups: int, channels: int, filters: int) -> bool:
    """Say whether four divides the channels of so many groups, or there is but one then."""
    by_four = channels * merged % QUAD == 0 and filters // groups * merged % QUAD == 0
    return merged == groups or (groups % merged == 0 and by_four)


def _merged(weights: NDArray[Any], groups: int, merged: int) -> NDArray[Any]:
    """Return weights (F, C / groups, KH, KW) of fewer groups, zero between those merged."""
    if merged == 1:
        return weights
    filters, channels, *kernel = weights.shape
    split = weights.reshape(groups // merged, merged, filters // groups, channels, *kernel)
    made = np.zeros((*split.shape[:3], merged, channels, *kernel), weights.dtype)
    for group in range(merged):
        made[:, group, :, group] = split[:, group]
    return made.reshape(filters, merged * channels, *kernel)


def _longer(step: SumsStep, weights: NDArray[Any], groups: int) -> SumsStep:
    """Return a step with these weights, (F, C / groups, KH, KW), and filters up to a four."""
    more = (0, held(len(step.bias)) - len(step.bias))
    added = [np.pad(step.added_multipliers, more)] if step.added else [step.added_multipliers]
    return replace(
        step,
        weights=np.pad(weights, [more, (0, 0), (0, 0), (0, 0)]),
        bias=np.pad(step.bias, more),
        multipliers=np.pad(step.multipliers, more),
        negative=np.pad(step.negative, more),
        added_multipliers=added[0],
        groups=groups,
    )
