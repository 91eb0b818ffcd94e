"""Defines the house style: one matplotlib rc, one palette, light and dark."""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from facebench.reports.digits import Estimate
from facebench.reports.text import plain

# More rows than this do not fit a page; the CSV files hold all.
MOST_ROWS = 30
MARKERS = ("o", "s", "^", "v", "P", "X", "D")
LINES = ("solid", "dashed", "dotted")
DOTS_PER_INCH = 200

# More lines than this cannot be told apart.
MOST_LINES = 14


@dataclass(frozen=True)
class Theme:
    """It holds colours of one appearance. The series are Okabe and Ito's, safe for colour-blind
    readers.
    """

    name: str
    background: str
    ink: str
    faint: str
    grid: str
    accent: str
    series: tuple[str, ...]

    @property
    def colours(self) -> tuple[str, ...]:
        """Return all colours, in an order that is the same for every theme."""
        return (self.background, self.ink, self.faint, self.grid, self.accent, *self.series)

    def colour(self, index: int) -> str:
        """Return the colour of the series with that index."""
        return self.series[index % len(self.series)]

    def line(self, index: int) -> dict[str, Any]:
        """Return how to draw the line with that index; the first, the baseline's, stands out."""
        return {
            "color": self.colour(index),
            "linestyle": LINES[index // len(self.series) % len(LINES)],
            "linewidth": 1.1 if index else 2.0,
            "zorder": 3.0 if index else 4.0,
        }


LIGHT = Theme(
    "light",
    background="#ffffff",
    ink="#1b1f24",
    faint="#5b6570",
    grid="#e3e7eb",
    accent="#0072b2",
    series=("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#a07800", "#3d9fd6", "#555555"),
)
DARK = Theme(
    "dark",
    background="#14181d",
    ink="#e8ebee",
    faint="#9aa5b1",
    grid="#2a323b",
    accent="#56b4e9",
    series=("#56b4e9", "#ff8a3d", "#2fd1a0", "#e79ac6", "#f0c95a", "#9fc7ff", "#c4cbd2"),
)


# Widths for papers, in inches: a column and a page of two columns.
SIZES = {"column": 3.4, "page": 7.0}
FORMATS = ("pdf", "svg", "png")
_LEAST_HEIGHT = 2.2

# Of the figure that is being drawn for a paper; None on a page of a report.
_width: ContextVar[float | None] = ContextVar("width", default=None)


def new(theme: Theme, width: float, height: float) -> Figure:
    """Return an empty figure of that size in inches, or of a paper's width in the same
    proportions.
    """
    if (chosen := _width.get()) is not None:
        width, height = chosen, max(height * chosen / width, _LEAST_HEIGHT)
    figure = ShownFigure(figsize=(width, height), layout="constrained", facecolor=theme.background)
    # Without a canvas of its own a renderer is made anew whenever a text's size is asked for.
    FigureCanvasAgg(figure)
    return figure


def for_paper(draw: Callable[[Theme], Figure], size: str, form: str) -> bytes:
    """Return a figure of a paper's width, one of `SIZES`, in small type and in one of `FORMATS`.

    The same records give the same bytes, and type is embedded as type.
    """
    token = _width.set(SIZES[size])
    try:
        with _drawing(_rc(LIGHT) | _PAPER):
            figure = draw(LIGHT)
            settle(figure)
            dates = {"pdf": {"CreationDate": None}, "svg": {"Date": None}}
            return _saved(figure, form, dates.get(form, {}))
    finally:
        _width.reset(token)


class ShownFigure(Figure):
    """It is a figure that a notebook shows, whatever backend matplotlib has there."""

    def _repr_png_(self) -> bytes:
        return _saved(self, "png", {})


@dataclass(frozen=True)
class Image:
    """It is a drawn figure in the forms that a report needs. The same records give the same
    bytes.
    """

    png: bytes
    svg: bytes
    svg_dark: bytes


def to_restyle(draw: Callable[[Theme], Figure], size: str = "") -> Figure:
    """Return a figure to be changed further and saved by whoever asked for it.

    Args:
        draw: makes it.
        size: one of `SIZES`, in a paper's small type; where empty, as on a report's page.
    """
    token = _width.set(SIZES[size] if size else None)
    try:
        with _drawing(_rc(LIGHT) | (_PAPER if size else {})):
            figure = draw(LIGHT)
            settle(figure)
            return figure
    finally:
        _width.reset(token)


def image(draw: Callable[[Theme], Figure]) -> Image:
    """Draw once in the light theme; the dark form is the same drawing in other colours."""
    with _drawing(_rc(LIGHT)):
        figure = draw(LIGHT)
        settle(figure)
        svg = _compact(_saved(figure, "svg", {"Date": None}))
        return Image(_saved(figure, "png", {}), svg, _recoloured(svg, LIGHT, DARK))


@contextmanager
def _drawing(rc: dict[str, Any]) -> Iterator[None]:
    with mpl.rc_context(), warnings.catch_warnings():
        mpl.rcParams.update(rc)  # type: ignore[arg-type]
        # A network's name may hold characters that the font lacks; a box is drawn then.
        warnings.filterwarnings("ignore", message="Glyph .* missing")
        yield


def settle(figure: Figure) -> None:
    """Lay the figure out for good, so that no later drawing does it again."""
    if figure.get_layout_engine() is not None:
        figure.draw_without_rendering()
        # matplotlib's engine "none" would have the figure drawn twice whenever it is saved.
        figure.set_layout_engine(None)


def short(name: str, most: int = 34) -> str:
    """Return a name that fits an axis."""
    clean = plain(name)
    return clean if len(clean) <= most else f"{clean[: most - 1]}…"


def name_rows(axes: Axes, names: Sequence[str]) -> None:
    """Put the names down the vertical axis, the first on top."""
    axes.set_yticks(range(len(names)), [short(name) for name in names])
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.tick_params(axis="y", length=0)


def sides(estimates: Sequence[Estimate]) -> list[list[float]]:
    """Return intervals as the lengths that matplotlib's error bars take."""
    return [[e.value - e.low for e in estimates], [e.high - e.value for e in estimates]]


def _saved(figure: Figure, form: str, metadata: dict[str, Any]) -> bytes:
    stream = io.BytesIO()
    figure.savefig(stream, format=form, dpi=DOTS_PER_INCH, metadata=metadata)
    return stream.getvalue()


def _compact(svg: bytes) -> bytes:
    """Return the same drawing in little more than half the bytes: a page holds each figure twice.

    Text is drawn as shapes, so a figure is mostly their names and places. Tenths of a point
    are enough for places; the scales of shapes keep their digits.
    """
    text = re.sub(rb"<!--.*?-->|<!DOCTYPE.*?>|<metadata>.*?</metadata>", b"", svg, flags=re.DOTALL)
    text = re.sub(rb"DejaVuSans-", b"", text)
    text = re.sub(
        rb'(?<= d=")[^"]*|(?<=translate\()[^)]*|(?<= x=")[^"]*|(?<= y=")[^"]*',
        lambda found: re.sub(rb"(\.\d)\d+", rb"\1", found[0]),
        text,
    )
    used = set(re.findall(rb"#([\w-]+)", text))
    text = re.sub(rb' id="([^"]*)"', lambda found: found[0] if found[1] in used else b"", text)
    return re.sub(rb">\s+<", b"><", re.sub(rb"\s*\n\s*", b" ", text))


def _recoloured(svg: bytes, old: Theme, new: Theme) -> bytes:
    pairs = zip(old.colours, new.colours, strict=True)
    table = {before.encode(): after.encode() for before, after in pairs}
    return re.sub(b"|".join(table), lambda found: table[found.group()], svg)


_PAPER = {
    "font.size": 7.0,
    "axes.titlesize": 7.5,
    "axes.labelsize": 7.0,
    "xtick.labelsize": 6.5,
    "ytick.labelsize": 6.5,
    "legend.fontsize": 6.5,
    "lines.markersize": 4.0,
    "axes.linewidth": 0.6,
    "grid.linewidth": 0.5,
    # Type 3 fonts are refused by many publishers.
    "pdf.fonttype": 42,
}


def _rc(theme: Theme) -> dict[str, Any]:
    return {
        "font.family": "DejaVu Sans",
        "figure.autolayout": False,
        "figure.constrained_layout.use": False,
        "font.size": 9.0,
        "axes.titlesize": 9.5,
        "axes.titleweight": "bold",
        "axes.titlelocation": "left",
        "axes.labelsize": 9.0,
        "axes.facecolor": theme.background,
        "axes.edgecolor": theme.faint,
        "axes.labelcolor": theme.ink,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.grid": True,
        "axes.axisbelow": True,
        "grid.color": theme.grid,
        "grid.linewidth": 0.8,
        "text.color": theme.ink,
        "xtick.color": theme.faint,
        "ytick.color": theme.faint,
        "xtick.labelcolor": theme.ink,
        "ytick.labelcolor": theme.ink,
        "legend.frameon": False,
        "legend.fontsize": 8.5,
        "lines.markersize": 5.5,
        "errorbar.capsize": 2.0,
        # Names come from users: a dollar sign is no formula.
        "text.parse_math": False,
        "svg.hashsalt": "facebench",
        "svg.fonttype": "path",
    }
