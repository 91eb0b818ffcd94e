"""Rows of outputs that are computed together, told apart by which rows of the input they read."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby

from tvm.tirx.script.builder import ir as T

from facebench.harness.compiler.kernels.emit import Expr
from facebench.harness.compiler.workload import Window


@dataclass(frozen=True)
class Strip:
    """It is rows of outputs whose taps fall alike; the window is not dilated where there are more.

    Attributes:
        window: whose taps.
        rows: how many.
        inside: of each row of the input from the first tap to the last, whether it is in the map.
    """

    window: Window
    rows: int
    inside: tuple[bool, ...]

    def emit(self, y: Expr, add: Callable[[Expr, list[tuple[int, Expr]]], None]) -> None:
        """Emit `add(line, taps)` for each row of the input that is inside.

        Its taps are the strip's rows that read it, each with the window's row.

        Args:
            y: the strip's first row.
            add: emits their products.
        """
        kernel, stride = self.window.kernel[0], self.window.stride[0]
        top = T.Bind(y * stride - self.window.padding[0])
        for number, inside in enumerate(self.inside):
            if inside:
                taps = [(row, number - row * stride) for row in range(self.rows)]
                add(top + number, [(row, ky) for row, ky in taps if 0 <= ky < kernel])


@dataclass(frozen=True)
class Strips:
    """It is all rows of outputs, in strips of at most `rows`.

    Attributes:
        window: whose taps.
        height: rows of the input.
        outputs: rows of the output.
        rows: of a strip; the last may have fewer.
    """

    window: Window
    height: int
    outputs: int
    rows: int

    @property
    def count(self) -> int:
        """Return how many strips an image has."""
        return -(-self.outputs // self.rows)

    def emit(self, strip: Expr, body: Callable[[Expr, Expr, Strip], None]) -> None:
        """Emit `body(image, y, kind)` for a strip whose number is known when it runs.

        Those at the edges of a map have code of their own, but where each is one row.

        Args:
            strip: its number, over all images.
            body: emits what is done, from row y on.
        """
        image, number = T.Bind(strip // self.count), T.Bind(strip % self.count)
        y = T.Bind(number * self.rows)
        if self.rows == 1:
            body(image, y, Strip(self.window, 1, ()))
            return

        def chosen(kinds: Sequence[tuple[Strip, int]], start: int) -> None:
            (kind, count), *others = kinds
            if not others:
                body(image, y, kind)
                return
            with T.If(number < start + count):
                with T.Then():
                    body(image, y, kind)
                with T.Else():
                    chosen(others, start + count)

        alike = groupby(self._strip(number * self.rows) for number in range(self.count))
        chosen([(kind, len(list(same))) for kind, same in alike], 0)

    def _strip(self, y: int) -> Strip:
        rows, stride = min(self.rows, self.outputs - y), self.window.stride[0]
        top = y * stride - self.window.padding[0]
        lines = range(top, top + (rows - 1) * stride + self.window.kernel[0])
        return Strip(self.window, rows, tuple(0 <= line < self.height for line in lines))


def share_rows(window: Window, outputs: int) -> bool:
    """Return whether two rows of so many outputs read rows of the input that are the same."""
    return outputs > 1 and window.dilation[0] == 1 and window.stride[0] < window.kernel[0]
