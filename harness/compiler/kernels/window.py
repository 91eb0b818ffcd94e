"""Which taps of a window fall inside the input, told apart when code is emitted.

Rows are told apart when the code runs, by the bounds of a loop. Columns are told
apart when it is emitted: tiles at the edges get code of their own, so that no
element is padded, copied or compared.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import groupby

from tvm import tirx
from tvm.tirx.script.builder import ir as T

from facebench.harness.compiler.kernels.emit import Expr, spans
from facebench.harness.compiler.workload import Window


@dataclass(frozen=True)
class Rows:
    """Rows of a window over a map of `height` rows that gives `outputs` rows."""

    window: Window
    height: int
    outputs: int

    def emit(self, y: Expr, body: Callable[[Expr, Expr], None]) -> None:
        """Emit `body(tap, row)` for each row of taps of output row `y` that is inside."""
        kernel, stride = self.window.kernel[0], self.window.stride[0]
        padding, dilation = self.window.padding[0], self.window.dilation[0]
        top = y * stride - padding
        last = (self.outputs - 1) * stride - padding + (kernel - 1) * dilation
        if kernel == 1 and padding == 0 and last < self.height:
            body(0, top)
            return
        low: Expr = 0
        high: Expr = kernel
        if padding:
            low = tirx.max(0, tirx.floordiv(dilation - 1 - top, dilation))
        if last >= self.height:
            high = tirx.min(kernel, tirx.floordiv(self.height - top + dilation - 1, dilation))
        with T.serial(low, high) as tap:
            body(tap, top + tap * dilation)


@dataclass(frozen=True)
class Columns:
    """It holds neighbouring tiles whose taps fall alike.

    Attributes:
        start: the first tile's first output.
        count: tiles.
        pixels: outputs of a tile.
        window: whose taps.
        inside: for each tap and output, whether it is in the input.
    """

    start: int
    count: int
    pixels: int
    window: Window
    inside: tuple[tuple[bool, ...], ...]

    def taps(self, kx: int) -> list[int | None]:
        """Return each output's column of the tap from the tile's left edge; None outside."""
        stride, dilation = self.window.stride[1], self.window.dilation[1]
        return [
            i * stride + kx * dilation if self.inside[kx][i] else None for i in range(self.pixels)
        ]

    def reads(self) -> list[tuple[int | None, list[tuple[int, int]]]]:
        """Return each column under the tile, and the outputs and taps that read it.

        Columns are in order, behind what is outside of the map, where any tap is.
        """
        found: dict[int | None, list[tuple[int, int]]] = {}
        for kx in range(self.window.kernel[1]):
            for pixel, column in enumerate(self.taps(kx)):
                found.setdefault(column, []).append((pixel, kx))
        return sorted(found.items(), key=lambda item: (item[0] is not None, item[0] or 0))


def columns(window: Window, width: int, outputs: int, most: int) -> Iterator[Columns]:
    """Yield `outputs` outputs of a row of `width` elements in tiles of at most `most`."""
    tiles = [
        (start + number * pixels, pixels)
        for start, count, pixels in spans(outputs, most)
        for number in range(count)
    ]
    alike = groupby(tiles, key=lambda tile: (tile[1], _inside(window, width, *tile)))
    for (pixels, inside), group in alike:
        members = list(group)
        yield Columns(members[0][0], len(members), pixels, window, inside)


def _inside(window: Window, width: int, start: int, pixels: int) -> tuple[tuple[bool, ...], ...]:
    left = start * window.stride[1] - window.padding[1]
    return tuple(
        tuple(
            0 <= left + i * window.stride[1] + kx * window.dilation[1] < width
            for i in range(pixels)
        )
        for kx in range(window.kernel[1])
    )
