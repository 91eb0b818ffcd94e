"""Gives each channel of a map that a depthwise layer reads as much of a byte's range as it can use.

A channel is multiplied by a factor, by the weights that make it, and divided again, by those that
read it, which leaves the network of real numbers what it was and costs no filter any precision,
since each has a scale of its own and a depthwise one reads one channel (M. Nagel et al., "Data-free
quantization through weight equalization and bias correction", ICCV 2019, arXiv 1906.04721,
section 4.1). There factors make the weights of layers alike; here they make the channels' ends on
calibration faces alike.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from facebench.harness.models.ends import Ends
from facebench.harness.models.integer_network.calibrating import Range
from facebench.harness.models.integer_network.steps import (
    RealShuffle,
    RealStep,
    RealSums,
    reach,
    sources,
)
from facebench.harness.stats.arrays import FloatArray, Floats

# Steps of its result that a sum may come to: with rounded weights it still fits in 16 bits, which
# ARM's kernels narrow in fewer instructions.
_LARGEST = 30_000


def equalized(
    steps: Sequence[RealStep], found: Mapping[str, Range], ends: Mapping[str, Ends]
) -> list[RealStep]:
    """Return steps that compute the same, with channels' ends nearer to those of their maps.

    Args:
        steps: in order.
        found: the ranges of their results and of the image, by name.
        ends: what each channel comes to, by the same names.
    """
    made = list(steps)
    readers = defaultdict[str, list[int]](list)
    for place, step in enumerate(steps):
        for source in sources(step):
            readers[source].append(place)
    known = dict(found)
    for place, step in enumerate(steps):
        # A shuffle's, a slice's or a largest element's range is that of its source.
        if step.result not in known and len(sources(step)) == 1 and sources(step)[0] in known:
            known[step.result] = known[sources(step)[0]]
        if not isinstance(step, RealSums) or step.added or step.source not in known:
            continue
        order, reader = _reader(step, steps, readers)
        if reader is None:
            continue
        # Their weights may be others by now.
        writing, reading = made[place], made[reader]
        assert isinstance(writing, RealSums)
        assert isinstance(reading, RealSums)
        channels = ends[step.result].channels.astype(np.float64)
        factors = _factors(writing, known[step.source].scale, found[step.result], channels)
        made[place] = _multiplied(writing, factors)
        made[reader] = _divided(reading, factors[order])
    return made


def _reader(
    step: RealSums, steps: Sequence[RealStep], readers: Mapping[str, list[int]]
) -> tuple[NDArray[np.intp], int | None]:
    """Return the place of the depthwise layer that alone reads a step, and its channels' order.

    Shuffles may lie between; None where there is no such layer.
    """
    order, last = np.arange(len(step.bias)), step.result
    while len(readers[last]) == 1:
        (place,) = readers[last]
        reader = steps[place]
        if isinstance(reader, RealShuffle):
            order, last = order.reshape(reader.groups, -1).T.ravel(), reader.result
            continue
        alone = isinstance(reader, RealSums) and reader.source == last and _depthwise(reader)
        return order, place if alone else None
    return order, None


def _depthwise(step: RealSums) -> bool:
    return step.groups == len(step.bias) and step.weights.shape[1] == 1


def _factors(step: RealSums, given: float, result: Range, channels: Floats) -> FloatArray:
    """Return by what the channels, with ends (F, 2), are multiplied, (F,): one and more."""
    limits = result.scale * np.array([-result.zero, 255 - result.zero])
    with np.errstate(divide="ignore", invalid="ignore"):
        room = np.where(channels * limits > 0, limits / channels, np.inf).min(axis=1)
    room[np.isinf(room)] = 1  # nothing comes out of it
    reached = reach(step, given) * step.steepest
    allowed = _LARGEST * result.scale / np.maximum(reached, result.scale)
    factors: FloatArray = np.maximum(np.minimum(room, allowed), 1)
    return factors


def _multiplied(step: RealSums, factors: FloatArray) -> RealSums:
    weights = step.weights * factors[:, None, None, None]
    return replace(step, weights=weights, bias=step.bias * factors)


def _divided(step: RealSums, factors: FloatArray) -> RealSums:
    return replace(step, weights=step.weights / factors[:, None, None, None])
