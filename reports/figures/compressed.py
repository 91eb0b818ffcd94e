"""Draws accuracy by size: what `compress` made of a network's weights."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from facebench.harness.comparison.compression import CompressedFile, Compression
from facebench.harness.records.accuracy import Accuracy
from facebench.harness.records.record import Record
from facebench.harness.verification.intervals import accuracy
from facebench.reports.digits import Estimate
from facebench.reports.figures.labels import Bar, Named, name_points
from facebench.reports.figures.style import LINES, MARKERS, Theme, new, settle, short, sides

# Points of a line between two files, which names keep off.
_STEPS = 80
# Kilobytes, and percent.
Spot = tuple[float, float]


def draw(found: Compression, theme: Theme) -> Figure:
    """Draw each file's accuracy, with its 95 % interval, by its bytes, a line a number of bits."""
    figure = new(theme, 5.6, 4.0)
    axes = figure.subplots()
    whole = _whole(axes, found.records[0], found.single_bytes, theme)
    scored = sorted((one for one in found.files if one.agreement), key=lambda one: one.size_bytes)
    lines = [
        [one for one in scored if one.setting.bits == bits]
        for bits in sorted({one.setting.bits for one in scored})
    ]
    for index, files in enumerate(lines):
        _line(axes, files, index, theme)
    dataset = short(found.records[0].case.dataset or "")
    axes.set_title(short(found.network.name))
    axes.set_xlabel("size of the file, kB")
    axes.set_ylabel(f"accuracy on {dataset}, % (95 % intervals)")
    figure.legend(loc="outside lower center", ncols=3)
    # Where names may go is known only once the panel has its final size.
    settle(figure)
    level = [(edge, whole) for edge in axes.get_xlim()]
    corners = [level, *([_place(one) for one in files] for files in lines)]
    keep_free = [spot for each in corners for spot in _along(each)]
    bars = [_bar(one) for one in scored]
    name_points(axes, _named(scored), theme, keep_free=keep_free, bars=bars)
    return figure


def _whole(axes: Axes, record: Record, single_bytes: int, theme: Theme) -> float:
    """Draw the weights as they were, which are farther right than there is room for, and return
    their score.
    """
    score = _score(record)
    label = f"as they were: {single_bytes / 1e3:,.0f} kB"
    axes.axhline(score.value, color=theme.ink, linestyle="dashed", linewidth=1.0, label=label)
    axes.axhspan(score.low, score.high, color=theme.faint, alpha=0.2, linewidth=0)
    return score.value


def _line(axes: Axes, files: Sequence[CompressedFile], index: int, theme: Theme) -> None:
    scores = [_score(one.record) for one in files]
    bits = files[0].setting.bits
    axes.errorbar(
        [one.size_bytes / 1e3 for one in files],
        [score.value for score in scores],
        yerr=sides(scores),
        color=theme.colour(index),
        marker=MARKERS[index % len(MARKERS)],
        linestyle=LINES[index % len(LINES)],
        label=f"{bits} bits" if bits > 1 else "1 bit",
        zorder=3,
    )


def _named(files: Sequence[CompressedFile]) -> list[Named]:
    """Return how many zeros each file has; nothing where none has any."""
    if not any(one.setting.sparsity for one in files):
        return []
    shares = [100 * one.setting.sparsity for one in files]
    texts = [f"{share:.3g} % zeros" if share else "no zeros" for share in shares]
    return [(text, *_place(one)) for text, one in zip(texts, files, strict=True)]


def _along(corners: Sequence[Spot]) -> list[Spot]:
    """Return a line as points so near each other that no name fits between."""
    return [
        (left + (right - left) * step / _STEPS, low + (high - low) * step / _STEPS)
        for (left, low), (right, high) in pairwise(corners)
        for step in range(_STEPS + 1)
    ]


def _score(record: Record | None) -> Estimate:
    """Return a score with its interval, in percent; where that is refused, with none."""
    assert record is not None
    assert isinstance(record.result, Accuracy)
    found = accuracy(record.result)
    value = record.result.accuracy
    low, high = (found and found.interval) or (value, value)
    return Estimate(100 * value, 100 * low, 100 * high)


def _place(one: CompressedFile) -> Spot:
    return one.size_bytes / 1e3, _score(one.record).value


def _bar(one: CompressedFile) -> Bar:
    score, size = _score(one.record), one.size_bytes / 1e3
    return size, score.low, size, score.high
