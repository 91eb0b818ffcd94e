"""The picture of what compressing costs: names cover no line, and tell zeros apart."""

from __future__ import annotations

from functools import cache
from itertools import pairwise
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from matplotlib.text import Annotation
from matplotlib.transforms import Bbox

from facebench.harness.comparison.compression import CompressedFile, Compression
from facebench.harness.comparison.pair_agreement import agreements
from facebench.harness.models.compressed.coding import CompressionSetting
from facebench.harness.models.networks import resolve
from facebench.reports.figures import compressed
from facebench.reports.figures.style import to_restyle
from tests.reports.report_records import pair_scores, scored

# By bits and sparsity: bytes, and how far apart genuine and impostor scores lie.
_FILES = {
    (4, 0.0): (602_000, 2.6), (4, 0.4): (490_000, 1.4), (5, 0.0): (688_000, 2.9),
    (5, 0.4): (560_000, 1.5), (8, 0.0): (1_040_000, 3.0), (8, 0.125): (960_000, 2.9),
    (8, 0.4): (780_000, 2.0),
}  # fmt: skip


@cache
def drawn(sparsities: tuple[float, ...]) -> Figure:
    first = scored("mobilefacenet", pair_scores(0))
    files = []
    for (bits, sparsity), (size, distance) in _FILES.items():
        if sparsity in sparsities:
            record = scored("mobilefacenet", pair_scores(1, distance))
            (agreement,) = agreements([first, record])
            setting = CompressionSetting(sparsity, bits)
            files.append(CompressedFile(Path("x"), setting, 1, size, record, agreement))
    found = Compression(resolve("mobilefacenet"), 4_090_880, files, [first])
    return to_restyle(lambda theme: compressed.draw(found, theme))


def names(figure: Figure) -> list[Annotation]:
    (axes,) = figure.axes
    return [text for text in axes.texts if isinstance(text, Annotation) and text.get_text()]


def crosses(box: Bbox, corners: np.ndarray) -> bool:
    """Say whether a line through corners (N, 2) passes through a box."""
    shares = np.linspace(0, 1, 500)[:, None]
    return any(
        bool(np.all((box.min < spots) & (spots < box.max), axis=1).any())
        for spots in (a + shares * (b - a) for a, b in pairwise(corners))
    )


def test_names_cover_neither_a_line_nor_an_interval_nor_each_other() -> None:
    figure = drawn((0.0, 0.125, 0.4))
    (axes,) = figure.axes
    boxes = [name.get_window_extent() for name in names(figure)]
    assert len(boxes) > 4
    lines = [
        axes.transData.transform(np.asarray(series[0].get_xydata())) for series in axes.containers
    ]
    lines += [axes.lines[0].get_transform().transform(np.asarray(axes.lines[0].get_xydata()))]
    bars = [
        axes.transData.transform(bar)
        for series in axes.containers
        for bar in series[2][0].get_segments()
    ]
    assert len(lines) == 4
    assert len(bars) == len(_FILES)
    for index, box in enumerate(boxes):
        assert not any(crosses(box, line) for line in lines + bars)
        assert not any(box.overlaps(other) for other in boxes[:index])


def test_names_tell_shares_of_zeros_apart_and_are_left_out_where_there_are_none() -> None:
    said = {name.get_text() for name in names(drawn((0.0, 0.125, 0.4)))}
    assert said <= {"no zeros", "12.5 % zeros", "40 % zeros"}
    assert "12.5 % zeros" in said
    assert names(drawn((0.0,))) == []


def test_the_picture_says_units_intervals_and_what_it_is_held_against() -> None:
    figure = drawn((0.0, 0.125, 0.4))
    (axes,) = figure.axes
    assert axes.get_xlabel() == "size of the file, kB"
    assert axes.get_ylabel() == "accuracy on lfw, % (95 % intervals)"
    (legend,) = figure.legends
    said = [text.get_text() for text in legend.get_texts()]
    assert said == ["as they were: 4,091 kB", "4 bits", "5 bits", "8 bits"]
