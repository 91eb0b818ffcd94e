"""Finds between which ends the values of an ONNX file lie on images, but for the outermost few."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from facebench.harness.stats.arrays import FloatArray

if TYPE_CHECKING:
    import onnx

# Share of a value's elements that is cut at each end.
_CUT = 2e-5


def ends_of(
    model: onnx.ModelProto, names: Sequence[str], images: FloatArray
) -> dict[str, tuple[np.float32, np.float32]]:
    """Return the lowest and the highest element of each value that are not cut, by its name.

    Both are elements as they were found: nothing is counted in bins. No more than a few of each
    value are in memory at once, whatever the number of images.

    Args:
        model: takes `image`; its outputs do not matter.
        names: of its values of real numbers, or of its input.
        images: (N, 3, H, W), computed one after the other.
    """
    import onnx
    import onnxruntime

    own = onnx.ModelProto()
    own.CopyFrom(model)
    inputs = {one.name for one in own.graph.input}
    computed = [name for name in names if name not in inputs]
    del own.graph.output[:]
    own.graph.output.extend(onnx.ValueInfoProto(name=name) for name in computed)
    session = onnxruntime.InferenceSession(
        own.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    ends = {name: _Ends(len(images)) for name in names}
    for image in images:
        fed = {"image": image[None]}
        found = zip(computed, session.run(computed, fed), strict=True) if computed else ()
        for name, value in (fed | dict(found)).items():
            if name in ends:
                ends[name].add(value.ravel())
    return {name: end.both() for name, end in ends.items()}


class _Ends:
    """It keeps the lowest and the highest elements of a value over all images."""

    def __init__(self, images: int) -> None:
        self._images = images
        self._lowest = self._negated = np.zeros(0, np.float32)

    def add(self, elements: FloatArray) -> None:
        kept = int(_CUT * elements.size * self._images) + 1
        self._lowest = _lowest(self._lowest, elements, kept)
        self._negated = _lowest(self._negated, -elements, kept)

    def both(self) -> tuple[np.float32, np.float32]:
        return np.float32(self._lowest.max()), np.float32(-self._negated.max())


def _lowest(held: FloatArray, elements: FloatArray, kept: int) -> FloatArray:
    """Return the lowest of elements (N,) and of those held, as many as are kept, in any order."""
    if len(held) == kept:
        elements = elements[elements < held.max()]
    both = np.append(held, elements)
    return np.partition(both, kept - 1)[:kept] if len(both) > kept else both
