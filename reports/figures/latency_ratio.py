"""Draws latency relative to the baseline, by runtime, with the paper's ratios."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from facebench.reports.comparison import THREADS, ComparisonRow, ComparisonTable, compare
from facebench.reports.evidence import BASELINE, PAPER_CONDITIONS, Evidence
from facebench.reports.figures import FIGURES, Drawing
from facebench.reports.figures.style import MARKERS, MOST_ROWS, Theme, name_rows, new, sides

# Each row's markers share this much of its height.
BAND = 0.84


def draw(evidence: Evidence, theme: Theme) -> Figure:
    """Draw one row for each network, one marker for each runtime, a diamond for the paper."""
    compared = compare(evidence)
    rows = _drawable(compared)[:MOST_ROWS]
    figure = new(theme, 8.6, 1.3 + 0.5 * len(rows))
    axes = figure.subplots()
    for y in range(0, len(rows), 2):
        axes.axhspan(y - 0.5, y + 0.5, color=theme.grid, alpha=0.4, linewidth=0, zorder=0)
    axes.axvline(1.0, color=theme.faint, linewidth=1.2, zorder=1)
    for index in range(len(compared.settings)):
        _runtime(axes, compared, rows, index, theme)
    _published(axes, rows, _lane(len(compared.settings), compared), theme)
    _axis(axes)
    name_rows(axes, [row.network or "" for row in rows])
    figure.legend(loc="outside upper left", ncols=4, handletextpad=0.3, columnspacing=1.4)
    return figure


def caption(evidence: Evidence) -> str:
    """Return how to read it."""
    count = len(_drawable(compare(evidence)))
    cut = f" The first {MOST_ROWS} of {count} networks." if count > MOST_ROWS else ""
    return (
        "Median time over that of the baseline under the same runtime, with 95 % intervals (many "
        "are narrower than the marker). Diamonds are the paper’s ratios, published "
        f"({PAPER_CONDITIONS}). Hollow markers are untuned code, which is not ranked.{cut}"
    )


def kinds(evidence: Evidence) -> tuple[str, ...]:
    """Return how the ratios drawn, and the paper's, were obtained."""
    return (*dict.fromkeys(one.kind for one in compare(evidence).settings), "published")


def shows(evidence: Evidence) -> bool:
    """Return whether a network other than the baseline has a ratio."""
    return bool(_drawable(compare(evidence)))


def _drawable(compared: ComparisonTable) -> list[ComparisonRow]:
    return [
        row
        for row in compared.rows
        if row.network != BASELINE and any(one.estimate for one in row.ratios)
    ]


def _runtime(
    axes: Axes, compared: ComparisonTable, rows: Sequence[ComparisonRow], index: int, theme: Theme
) -> None:
    setting = compared.settings[index]
    shift = _lane(index, compared)
    found = [(y, row.ratios[index]) for y, row in enumerate(rows)]
    drawn = [(y + shift, one.estimate, one.label) for y, one in found if one.estimate]
    untuned = any("untuned" in label for _, _, label in drawn)
    colour = theme.colour(index)
    axes.errorbar(
        [estimate.value for _, estimate, _ in drawn],
        [y for y, _, _ in drawn],
        xerr=sides([estimate for _, estimate, _ in drawn]),
        fmt=MARKERS[index % len(MARKERS)],
        color=colour,
        markersize=4.5,
        markerfacecolor=theme.background if untuned else colour,
        label=f"{setting.label}{' (untuned)' if untuned else ''}",
        zorder=3,
    )


def _lane(index: int, compared: ComparisonTable) -> float:
    """Return where in its row a runtime's marker goes; the paper's lane is the last."""
    return BAND * ((index + 0.5) / (len(compared.settings) + 1) - 0.5)


def _published(axes: Axes, rows: Sequence[ComparisonRow], shift: float, theme: Theme) -> None:
    points = [
        (row.paper_ratio, y + shift) for y, row in enumerate(rows) if row.paper_ratio is not None
    ]
    axes.scatter(
        [x for x, _ in points],
        [y for _, y in points],
        s=34,
        marker="D",
        facecolors="none",
        edgecolors=theme.ink,
        linewidths=1.2,
        zorder=2,
        label="paper (published)",
    )


def _axis(axes: Axes) -> None:
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(10, (1, 2, 5)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.grid(axis="y", visible=False)
    axes.set_xlabel(f"time ÷ time of {BASELINE}, {THREADS} thread (log scale, left is faster)")


FIGURES.add(
    "latency_ratio",
    Drawing(
        "latency_ratio",
        20,
        f"How much longer than {BASELINE} each network takes, runtime by runtime",
        draw,
        caption,
        kinds,
        shows,
    ),
)
