"""What a kernel of numbers is given: random, to time it, and extreme, to hold it against its
definition.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facebench.harness.compiler.workload import Convolution, Pooling, Workload
from facebench.harness.stats.arrays import FloatArray, Reals

_SEED = 0


@dataclass(frozen=True)
class RealOperands:
    """It holds arrays of a workload, all of one type.

    Attributes:
        input: (N, H, W, C), or (N, C, H, W) where the workload is planar.
        weights: (F, C / groups, KH, KW), not packed; None where it is a pooling.
        bias: (F,); None where it is a pooling.
        slopes: (F,), where the epilogue has any.
        added: (N, H, W, F) of the output, where the epilogue adds a map.
    """

    input: FloatArray
    weights: FloatArray | None = None
    bias: FloatArray | None = None
    slopes: FloatArray | None = None
    added: FloatArray | None = None

    @property
    def maps(self) -> tuple[FloatArray, ...]:
        """Return the input, and the map that is added."""
        return (self.input,) if self.added is None else (self.input, self.added)

    def astype(self, element: str) -> RealOperands:
        """Return all arrays in another type."""
        arrays = {one.name: getattr(self, one.name) for one in fields(self)}
        held = {name: array for name, array in arrays.items() if array is not None}
        return RealOperands(**{name: array.astype(element) for name, array in held.items()})

    def arguments(self, pack: Callable[[FloatArray], FloatArray]) -> list[FloatArray]:
        """Return all there are in the order in which a kernel takes them, without its output.

        Args:
            pack: of the weights, as `kernels.provider.packing` makes it.
        """
        packed = None if self.weights is None else pack(self.weights)
        given = (self.input, packed, self.bias, self.slopes, self.added)
        return [array for array in given if array is not None]


def random(work: Workload) -> RealOperands:
    """Return values about as a trained network has them: sums as large as what is summed."""
    generator = np.random.default_rng(_SEED)
    drawn = _drawn(work, lambda *shape: generator.standard_normal(shape), generator)
    if drawn.weights is None:
        return drawn
    reduced = float(np.prod(drawn.weights.shape[1:]))
    return replace(drawn, weights=_single(drawn.weights / reduced**0.5))


def extreme(work: Workload, largest: float = 1e15) -> Iterator[tuple[str, RealOperands]]:
    """Yield values at the ends of what a type holds, each with a word for it; float32.

    Args:
        work: the workload.
        largest: about the largest value, and the inverse of the smallest. With the default,
            products of two of them, summed, stay finite in single precision: what overflows has
            no right answer there.
    """
    digits = np.log10(largest)
    generator = np.random.default_rng(_SEED)

    def signs(*shape: int) -> Reals:
        return generator.choice([-1.0, 1.0], shape)

    def spread(*shape: int) -> Reals:
        return signs(*shape) * 10.0 ** generator.uniform(-digits, digits, shape)

    ways: dict[str, Callable[..., Reals]] = {
        "large": lambda *shape: generator.standard_normal(shape) * largest,
        "small": lambda *shape: generator.standard_normal(shape) / largest,
        "from small to large": spread,
        "negative": lambda *shape: -generator.random(shape),
        "zero": lambda *shape: np.zeros(shape),
        "denormal": lambda *shape: signs(*shape) * generator.uniform(1e-42, 1e-39, shape),
    }
    for word, draw in ways.items():
        yield word, _drawn(work, draw, generator)


def _drawn(
    work: Workload, draw: Callable[..., Reals], generator: np.random.Generator
) -> RealOperands:
    height, width = work.input
    planar = isinstance(work, Convolution) and work.planar
    shape = (work.channels, height, width) if planar else (height, width, work.channels)
    out = output_shape(work)
    steps = set(work.epilogue)
    kernel = None if isinstance(work, Pooling) else work.weights
    # A slope of "leaky" is at most 1.
    slopes = generator.uniform(-1, 1 if "leaky" in steps else 2, out[3])
    return RealOperands(
        input=_single(draw(work.batch, *shape)),
        weights=_single(draw(*kernel)) if kernel else None,
        bias=_single(draw(out[3])) if kernel else None,
        slopes=_single(slopes) if steps & {"prelu", "leaky"} else None,
        added=_single(draw(*out)) if "add" in steps else None,
    )


def _single(values: NDArray[Any]) -> FloatArray:
    return np.ascontiguousarray(values, np.float32)


def output_shape(work: Workload) -> tuple[int, int, int, int]:
    """Return the shape of the output, (N, H, W, F)."""
    filters = work.filters if isinstance(work, Convolution) else work.channels
    return (work.batch, *work.output, filters)
