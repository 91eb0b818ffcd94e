"""Draws accuracy by size: what `compress` made of a network's weights."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from facebench.harness.comparison.compression import CompressedFile, Compression
from facebench.harness.records.accuracy import Accuracy
from facebench.harness.records.record import Record
from facebench.harness.verification.intervals import accuracy
from facebench.reports.digits import Estimate
from facebench.reports.figures.labels import Bar, name_points
from facebench.reports.figures.style import LINES, MARKERS, Theme, new, settle, short, sides


def draw(found: Compression, theme: Theme) -> Figure:
    """Draw each file's accuracy, with its 95 % interval, by its bytes, a line a number of bits."""
    figure = new(theme, 5.6, 3.6)
    axes = figure.subplots()
    _whole(axes, found.records[0], found.single_bytes, theme)
    scored = [one for one in found.files if one.agreement]
    for index, bits in enumerate(sorted({one.setting.bits for one in scored})):
        _line(axes, [one for one in scored if one.setting.bits == bits], index, theme)
    dataset = short(found.records[0].case.dataset or "")
    axes.set_title(short(found.network.name))
    axes.set_xlabel("size of the file, kB")
    axes.set_ylabel(f"accuracy on {dataset}, %")
    axes.legend(loc="lower right")
    # Where names may go is known only once the panel has its final size.
    settle(figure)
    named = [(f"{one.setting.sparsity:.0%} zeros", *_place(one)) for one in scored]
    name_points(axes, named, theme, bars=[_bar(one) for one in scored])
    return figure


def _whole(axes: Axes, record: Record, single_bytes: int, theme: Theme) -> None:
    """Draw the weights as they were, which are farther right than there is room for."""
    score = _score(record)
    label = f"as they were: {single_bytes / 1e3:,.0f} kB (interval shaded)"
    axes.axhline(score.value, color=theme.ink, linestyle="dashed", linewidth=1.0, label=label)
    axes.axhspan(score.low, score.high, color=theme.faint, alpha=0.2, linewidth=0)


def _line(axes: Axes, files: Sequence[CompressedFile], index: int, theme: Theme) -> None:
    ordered = sorted(files, key=lambda one: one.size_bytes)
    scores = [_score(one.record) for one in ordered]
    axes.errorbar(
        [one.size_bytes / 1e3 for one in ordered],
        [score.value for score in scores],
        yerr=sides(scores),
        color=theme.colour(index),
        marker=MARKERS[index % len(MARKERS)],
        linestyle=LINES[index % len(LINES)],
        label=f"{ordered[0].setting.bits} bits",
        zorder=3,
    )


def _score(record: Record | None) -> Estimate:
    """Return a score with its interval, in percent; where that is refused, with none."""
    assert record is not None
    assert isinstance(record.result, Accuracy)
    found = accuracy(record.result)
    value = record.result.accuracy
    low, high = (found and found.interval) or (value, value)
    return Estimate(100 * value, 100 * low, 100 * high)


def _place(one: CompressedFile) -> tuple[float, float]:
    return one.size_bytes / 1e3, _score(one.record).value


def _bar(one: CompressedFile) -> Bar:
    score, size = _score(one.record), one.size_bytes / 1e3
    return size, score.low, size, score.high
