"""Holds a network of integers: its maps, its steps, and the files they are kept in.

What each step computes, to the last bit, is in docs/int8.md; `reference` computes it in numpy.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray

from facebench.harness.stats.arrays import FloatArray
from facebench.harness.storage import cache

Integers = NDArray[np.integer[Any]]
Pair = tuple[int, int]

# Sums stay below it in magnitude, whatever part of them is summed: 32 bits hold them, and what
# kernels add to them on the way (1.5 * 2^23 as bits, where a map is added).
LARGEST_SUM = 1 << 30

# So do products of sums and multipliers: an addition can then round them to integers.
LARGEST_PRODUCT = 1 << 22

# Bits of the parts in which a pixel is scaled, so that any of them may be the middle of a step.
FRACTION = 8

# So much four `alternate` weights have at most: products with bytes can be added in 16 bits.
LARGEST_FOUR = 255


def alternate(weights: NDArray[Any], groups: int) -> NDArray[np.float64]:
    """Return the largest sum of magnitudes of four weights whose products are added first, (F,).

    They are of one place of the window and of every other of eight channels: of those from a
    multiple of eight on, where a group's channels are eights. Zero where they are an odd number of
    fours, which no kernel adds so. Other groups may be put together, so that any eight channels
    can be the ones.

    Args:
        weights: (F, C, KH, KW), of real numbers or integers.
        groups: in which the filters are.
    """
    filters, channels, *kernel = weights.shape
    sizes = np.abs(weights.astype(np.float64))
    if channels % 8 == 4 and (groups == 1 or filters // groups % 4 == 0):
        return np.zeros(filters)
    if channels % 8 == 0:
        fours = sizes.reshape(filters, -1, 4, 2, *kernel).sum(axis=2).reshape(filters, -1)
    else:
        padded = np.pad(sizes, [(0, 0), (0, 6), (0, 0), (0, 0)])
        each = [padded[:, first : first + channels] for first in (0, 2, 4, 6)]
        fours = np.sum(each, axis=0).reshape(filters, -1)
    largest: NDArray[np.float64] = fours.max(axis=1)
    return largest


@dataclass(frozen=True)
class IntegerMap:
    """It says which real numbers the integers of a map stand for: scale * (q - zero).

    Attributes:
        shape: channels, height and width.
        scale: what one step is.
        zero: the integer that stands for zero, 0 to 255.
    """

    shape: tuple[int, int, int]
    scale: float
    zero: int


@dataclass(frozen=True)
class ImageStep:
    """It makes integers of the image.

    Attributes:
        result: name of the map.
        limits: what pixels are cut to first, two float32 numbers.
        multiplier: of a pixel, float32; the product is in parts of `FRACTION` bits.
        offset: what is added to the product before its parts are dropped.
    """

    result: str
    limits: tuple[float, float]
    multiplier: float
    offset: int


@dataclass(frozen=True, eq=False)
class SumsStep:
    """It is a convolution, with an addition and an activation.

    Attributes:
        source: name of the map that is read.
        result: name of the map, or of the embedding.
        weights: (F, C / groups, KH, KW), -127 to 127.
        bias: (F,).
        multipliers: of positive sums, (F,), float32.
        negative: of the others, (F,), float32.
        stride: between windows.
        padding: rows above and columns to the left of the map.
        dilation: between taps.
        groups: of channels.
        added: name of the map that is added; empty for none.
        added_multipliers: of its elements, (F,), float32; empty for none.
        limits: of the result's integers.
        real: the result is the products themselves, in single precision.
    """

    source: str
    result: str
    weights: Integers
    bias: Integers
    multipliers: FloatArray
    negative: FloatArray
    stride: Pair = (1, 1)
    padding: Pair = (0, 0)
    dilation: Pair = (1, 1)
    groups: int = 1
    added: str = ""
    added_multipliers: FloatArray = field(default_factory=lambda: np.zeros(0, np.float32))
    limits: Pair = (0, 255)
    real: bool = False


@dataclass(frozen=True)
class PoolStep:
    """It is the mean or the largest element under a window.

    Attributes:
        source: name of the map that is read.
        result: name of the map.
        kind: `mean`, over all taps, those outside included; or `max`.
        kernel: rows and columns of the window.
        stride: between windows.
        padding: rows above and columns to the left of the map.
        multiplier: of a sum, float32; a largest element keeps its scale and zero.
        limits: of the result's integers.
    """

    source: str
    result: str
    kind: str
    kernel: Pair
    stride: Pair = (1, 1)
    padding: Pair = (0, 0)
    multiplier: float = 1.0
    limits: Pair = (0, 255)


@dataclass(frozen=True)
class ShuffleStep:
    """It is a channel shuffle: of `groups` rows of channels it makes columns.

    Attributes:
        source: name of the map that is read.
        result: name of the map.
        groups: between which channels are shuffled.
    """

    source: str
    result: str
    groups: int


@dataclass(frozen=True)
class JoinStep:
    """It puts channels of maps one after the other.

    Attributes:
        sources: names of the maps, whose bytes stand for the same numbers as the result's.
        result: name of the map.
    """

    sources: tuple[str, ...]
    result: str


@dataclass(frozen=True)
class SliceStep:
    """It is some of a map's channels, as many as the result has.

    Attributes:
        source: name of the map that is read.
        result: name of the map.
        first: the first of them.
    """

    source: str
    result: str
    first: int


@dataclass(frozen=True, eq=False)
class TableStep:
    """It is a function of each element by itself.

    Attributes:
        source: name of the map that is read.
        result: name of the map.
        table: what each of 0 to 255 becomes, (256,), uint8.
    """

    source: str
    result: str
    table: Integers


@dataclass(frozen=True)
class PairStep:
    """It is the product or the larger one of two maps' elements.

    Attributes:
        sources: names of the maps; the second may have one pixel, which is that of all.
        result: name of the map.
        kind: `product`; or `max`, of maps whose bytes stand for the same numbers.
        multiplier: of a product, float32.
    """

    sources: tuple[str, str]
    result: str
    kind: str
    multiplier: float = 1.0


Step = ImageStep | SumsStep | PoolStep | ShuffleStep | JoinStep | SliceStep | TableStep | PairStep
_STEPS: dict[str, Any] = {one.__name__: one for one in get_args(Step)}

_STRUCTURE, _ARRAYS = "integers.json", "integers.npz"


@dataclass(frozen=True)
class IntegerNetwork:
    """It is a network that computes in integers.

    Attributes:
        maps: of integers, by their names.
        steps: in order; the first is the image's, and the last gives the embedding.
    """

    maps: dict[str, IntegerMap]
    steps: tuple[Step, ...]

    @property
    def embedding_size(self) -> int:
        """Return the numbers of an embedding."""
        last = self.steps[-1]
        assert isinstance(last, SumsStep)
        return len(last.bias)

    def save(self, folder: Path) -> None:
        """Write it into a folder."""
        arrays: dict[str, Any] = {}
        steps = []
        for number, step in enumerate(self.steps):
            values = {one.name: getattr(step, one.name) for one in fields(step)}
            held = {name: v for name, v in values.items() if isinstance(v, np.ndarray)}
            arrays |= {f"{number}.{name}": value for name, value in held.items()}
            plain = {name: v for name, v in values.items() if name not in held}
            steps.append({"step": type(step).__name__, **plain})
        maps = {name: vars(one) for name, one in self.maps.items()}
        (folder / _STRUCTURE).write_text(json.dumps({"maps": maps, "steps": steps}, indent=1))
        np.savez(folder / _ARRAYS, **arrays)


def is_in(folder: Path) -> bool:
    """Say whether a folder holds a network of integers."""
    return (folder / _STRUCTURE).exists()


def digest(folder: Path) -> str:
    """Hash of the network in a folder."""
    return cache.digest([cache.file_digest(folder / name) for name in (_STRUCTURE, _ARRAYS)])


def load(folder: Path) -> IntegerNetwork:
    """Return the network that `IntegerNetwork.save` wrote into a folder."""
    stored = json.loads((folder / _STRUCTURE).read_text())
    maps = {
        name: IntegerMap(tuple(one["shape"]), one["scale"], one["zero"])
        for name, one in stored["maps"].items()
    }
    with np.load(folder / _ARRAYS, allow_pickle=False) as arrays:
        held = {name: arrays[name] for name in arrays.files}
    steps = [_step(number, one, held) for number, one in enumerate(stored["steps"])]
    return IntegerNetwork(maps, tuple(steps))


def _step(number: int, stored: dict[str, Any], arrays: dict[str, Any]) -> Step:
    kind = _STEPS[stored.pop("step")]
    pairs = {name: tuple(v) if isinstance(v, list) else v for name, v in stored.items()}
    own = {
        name.partition(".")[2]: value
        for name, value in arrays.items()
        if name.partition(".")[0] == str(number)
    }
    made: Step = kind(**pairs, **own)
    return made
