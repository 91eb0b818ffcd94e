"""Finds the ranges of a network's values on images."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
from onnx import numpy_helper

from facebench.harness.models import quantize
from facebench.harness.stats.arrays import FloatArray

# Share of a value's elements that is cut at each end, as `quantize.quantize` does.
_CUT = 0.5e-5

# Elements of a source between whose results a range may end.
_GRID = 4096


@dataclass(frozen=True)
class Range:
    """It says which real numbers 0 to 255 stand for: scale * (q - zero)."""

    scale: float
    zero: int


def ranges(name: str, path: Path, images: FloatArray) -> dict[str, Range]:
    """Return the ranges that `quantize.quantize` gives the values of an ONNX file, by name.

    Images are (N, 3, H, W).
    """
    with tempfile.TemporaryDirectory() as temporary:
        made = Path(temporary) / "quantized.onnx"
        quantize.quantize(name, path, made, images)
        return ranges_of(onnx.load(made))


def ranges_of(model: onnx.ModelProto) -> dict[str, Range]:
    """Return the ranges in a quantized (QDQ) graph, by the names of values."""
    tables = {one.name: one for one in model.graph.initializer}

    def number(name: str) -> float:
        return float(numpy_helper.to_array(tables[name]).reshape(-1)[0])

    return {
        node.input[0]: Range(number(node.input[1]), int(number(node.input[2])))
        for node in model.graph.node
        if node.op_type == "QuantizeLinear"
    }


def ranges_of_values(path: Path, names: Sequence[str], images: FloatArray) -> dict[str, Range]:
    """Return ranges of values that `ranges` has none of, by name; images are (N, 3, H, W)."""
    import onnxruntime

    model = onnx.load(path)
    del model.graph.output[:]
    model.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names)
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    ends = [_Ends(len(images)) for _ in names]
    for image in images:
        for end, value in zip(ends, session.run(None, {"image": image[None]}), strict=True):
            end.add(value.ravel())
    return {name: end.range() for name, end in zip(names, ends, strict=True)}


class _Ends:
    """It keeps the lowest and the highest elements of a value over all images."""

    def __init__(self, images: int) -> None:
        self._images = images
        self._kept = 1
        self._lowest = self._highest = np.zeros(0, np.float32)

    def add(self, elements: FloatArray) -> None:
        self._kept = int(_CUT * elements.size * self._images) + 1
        self._lowest = np.sort(np.append(self._lowest, elements))[: self._kept]
        self._highest = np.sort(np.append(self._highest, elements))[-self._kept :]

    def range(self) -> Range:
        return range_between(self._lowest[-1], self._highest[0])


def range_between(low: float, high: float) -> Range:
    """Return the range from a number to another, and to zero if that is outside."""
    low, high = min(float(low), 0.0), max(float(high), 0.0)
    scale = (high - low) / 255 or 1.0
    return Range(scale, round(-low / scale))


def trimmed(given: Range, of: Callable[[FloatArray], FloatArray], tolerance: float) -> Range:
    """Return a range without the ends where a function of it changes by no more than a tolerance.

    What is below the range then stands for its end, and has the function's value there.
    """
    places = np.linspace(0, 255, _GRID, dtype=np.float32)
    elements: FloatArray = np.float32(given.scale) * (places - np.float32(given.zero))
    values = of(elements)
    first = _flat(values, tolerance, int((elements <= 0).sum()))
    last = _GRID - 1 - _flat(values[::-1], tolerance, int((elements >= 0).sum()))
    return range_between(elements[first], elements[last])


def _flat(values: FloatArray, tolerance: float, allowed: int) -> int:
    """Return the last of the allowed places up to which all values, (N,), are near to its own."""
    place = 0
    for end in range(1, allowed):
        if np.abs(values[:end] - values[end]).max() > tolerance:
            break
        place = end
    return place
