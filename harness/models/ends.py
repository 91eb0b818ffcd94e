"""Finds between which ends the values of an ONNX file lie on images, but for the outermost few."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from facebench.harness.machine.environment import cores
from facebench.harness.stats.arrays import FloatArray

if TYPE_CHECKING:
    import onnx

# Share of a value's elements that is cut at each end.
_CUT = 2e-5


@dataclass(frozen=True, eq=False)
class Ends:
    """It says between which ends a value lies.

    Attributes:
        lowest: element that is not cut.
        highest: likewise.
        channels: the lowest and the highest element of each channel, nothing cut, (C, 2).
    """

    lowest: np.float32
    highest: np.float32
    channels: FloatArray


def ends_of(model: onnx.ModelProto, names: Sequence[str], images: FloatArray) -> dict[str, Ends]:
    """Return the ends of each value, by its name.

    They are elements as they were found: nothing is counted in bins. No more than a few of each
    value are in memory at once, whatever the number of images.

    Args:
        model: takes `image`; its outputs do not matter.
        names: of its values of real numbers, or of its input.
        images: (N, 3, H, W), computed one beside the other, each on one core.
    """
    import onnx
    import onnxruntime

    own = onnx.ModelProto()
    own.CopyFrom(model)
    inputs = {one.name for one in own.graph.input}
    computed = [name for name in names if name not in inputs]
    del own.graph.output[:]
    own.graph.output.extend(onnx.ValueInfoProto(name=name) for name in computed)
    options = onnxruntime.SessionOptions()
    # Threads of one image wait for one another, and keep a core busy by that.
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(
        own.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    ends = {name: _Outermost(len(images)) for name in names}

    def values(image: FloatArray) -> dict[str, FloatArray]:
        fed = {"image": image[None]}
        found = zip(computed, session.run(computed, fed), strict=True) if computed else ()
        return fed | dict(found)

    together = cores()
    with ThreadPoolExecutor(together) as pool:
        for first in range(0, len(images), together):
            for found in pool.map(values, images[first : first + together]):
                for name in ends:
                    ends[name].add(found[name])
    return {name: end.found() for name, end in ends.items()}


class _Outermost:
    """It keeps the lowest and the highest elements of a value over all images."""

    def __init__(self, images: int) -> None:
        self._images = images
        self._lowest = self._negated = np.zeros(0, np.float32)
        self._channels: list[FloatArray] = []

    def add(self, value: FloatArray) -> None:
        elements = value.ravel()
        kept = int(_CUT * elements.size * self._images) + 1
        self._lowest = _lowest(self._lowest, elements, kept)
        self._negated = _lowest(self._negated, -elements, kept)
        by_channel = value.reshape(value.shape[1] if value.ndim > 1 else 1, -1)
        self._channels.append(np.stack([by_channel.min(axis=1), by_channel.max(axis=1)], axis=1))

    def found(self) -> Ends:
        every = np.array(self._channels)
        return Ends(
            np.float32(self._lowest.max()),
            np.float32(-self._negated.max()),
            np.stack([every[..., 0].min(axis=0), every[..., 1].max(axis=0)], axis=1),
        )


def _lowest(held: FloatArray, elements: FloatArray, kept: int) -> FloatArray:
    """Return the lowest of elements (N,) and of those held, as many as are kept, in any order."""
    if len(held) == kept:
        elements = elements[elements < held.max()]
    both = np.append(held, elements)
    return np.partition(both, kept - 1)[:kept] if len(both) > kept else both
