"""Draws accuracy against the time of one face's embedding, a panel for each runtime."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from facebench.harness.records.accuracy import Accuracy
from facebench.reports.cells import percent
from facebench.reports.digits import Estimate
from facebench.reports.embedding_time import (
    EmbeddingPoint,
    mixed,
    plotted_settings,
    points,
    real_dataset,
)
from facebench.reports.evidence import BASELINE, Evidence
from facebench.reports.figures import FIGURES, Drawing
from facebench.reports.figures.labels import name_points
from facebench.reports.figures.style import Theme, new, settle, short, sides
from facebench.reports.tables import Setting

COLUMNS = 3
MOST_PANELS = 12


def draw(evidence: Evidence, theme: Theme) -> Figure:
    """Draw small panels with common axes, so that runtimes compare too."""
    panels = _panels(evidence)[:MOST_PANELS]
    columns = min(COLUMNS, len(panels))
    lines = -(-len(panels) // columns)
    figure = new(theme, max(1.0 + 3.1 * columns, 5.6), 0.9 + 2.6 * lines)
    grid = figure.subplots(lines, columns, sharex=True, sharey=True, squeeze=False)
    flat = list(grid.flat)
    for axes, (setting, found) in zip(flat, panels, strict=False):
        _panel(axes, setting, found, theme)
    for axes in flat[len(panels) :]:
        axes.set_visible(False)
    figure.supxlabel("time of one face’s embedding, ms, 1 thread (log scale)", fontsize="medium")
    figure.supylabel(f"accuracy on {short(real_dataset(evidence) or '')}, %", fontsize="medium")
    # Where names may go is known only once the panels have their final size.
    settle(figure)
    for axes, (_, found) in zip(flat, panels, strict=False):
        name_points(axes, [(p.network, p.time.value, _accuracy(p).value) for p in found], theme)
    return figure


def caption(evidence: Evidence) -> str:
    """Return how to read it."""
    panels = _panels(evidence)
    drawn = [point for _, found in panels for point in found]
    cut = f" The first {MOST_PANELS} of {len(panels)}." if len(panels) > MOST_PANELS else ""
    return (
        f"Accuracy on data set {real_dataset(evidence)} against the time of one face’s "
        "embedding; up and left is better. "
        f"{_charged(drawn)} Only records with the same weights meet here. Bars are 95 % intervals; "
        f"hollow markers are untuned code.{_elsewhere(drawn)}{cut}"
    )


def kinds(evidence: Evidence) -> tuple[str, ...]:
    """Return how the times and the scores were obtained."""
    drawn = [point for _, found in _panels(evidence) for point in found]
    return tuple(dict.fromkeys(kind for p in drawn for kind in (p.row.setting.kind, p.score.kind)))


def shows(evidence: Evidence) -> bool:
    """Return whether any network has a time and a score on real faces with the same weights."""
    return bool(_panels(evidence))


def _panels(evidence: Evidence) -> list[tuple[Setting, list[EmbeddingPoint]]]:
    dataset = real_dataset(evidence)
    if dataset is None:
        return []
    found = plotted_settings(evidence, dataset)
    return [(setting, points(evidence, dataset, setting)) for setting in found]


def _charged(drawn: Sequence[EmbeddingPoint]) -> str:
    """Return how many inferences the times stand for."""
    if mixed(point.score for point in drawn):
        return (
            "Circles were scored with an image and its mirror: their time is that of two "
            "inferences. Squares were scored without, and take one."
        )
    if drawn[0].inferences == 2:
        return (
            "All were scored with an image and its mirror, so each time is that of two inferences, "
            "twice the latency under Latency."
        )
    return "All were scored without mirror images: each time is that of one inference."


def _elsewhere(drawn: Sequence[EmbeddingPoint]) -> str:
    others = {p.score.case.runtime for p in drawn if p.score.case.runtime != p.row.setting.runtime}
    if not others:
        return ""
    return (
        f" Where a runtime was timed but not scored, the accuracy is that of the same weights in "
        f"{', '.join(sorted(others))}, in single precision."
    )


def _accuracy(point: EmbeddingPoint) -> Estimate:
    assert isinstance(point.score.result, Accuracy)
    return percent(point.score.result)


def _panel(axes: Axes, setting: Setting, found: Sequence[EmbeddingPoint], theme: Theme) -> None:
    for point in found:
        colour = theme.accent if point.network == BASELINE else theme.faint
        accuracy = _accuracy(point)
        axes.errorbar(
            [point.time.value],
            [accuracy.value],
            xerr=sides([point.time]),
            yerr=sides([accuracy]),
            fmt="o" if point.inferences == 2 else "s",
            color=colour,
            markerfacecolor=theme.background if point.row.untuned else colour,
            elinewidth=0.9,
            zorder=3,
        )
    axes.set_xscale("log")
    untuned = " (untuned)" if any(point.row.untuned for point in found) else ""
    axes.set_title(f"{short(setting.label)}{untuned}")
    axes.margins(x=0.2)
    axes.xaxis.set_major_locator(LogLocator(10, (1, 2, 3, 5)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())


FIGURES.add(
    "accuracy_latency",
    Drawing(
        "accuracy_latency",
        "What accuracy on real faces costs in time",
        draw,
        caption,
        kinds,
        shows,
    ),
)
