"""Draws how far genuine and impostor pairs lie apart, and where the thresholds fell."""

from __future__ import annotations

import math

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from facebench.harness.verification.metrics import histogram
from facebench.reports.cells import percent
from facebench.reports.digits import percentage
from facebench.reports.evidence import Evidence
from facebench.reports.figures import FIGURES, Drawing
from facebench.reports.figures import curve_texts as texts
from facebench.reports.figures.style import Theme, new, short
from facebench.reports.scores import Scored

MOST_BINS = 60


def draw(evidence: Evidence, theme: Theme) -> Figure:
    """Draw a panel for each network shown, on common axes."""
    shown = _shown(evidence)
    figure = new(theme, 1.2 + 3.9 * len(shown), 3.6)
    panels = figure.subplots(1, len(shown), sharex=True, sharey=True, squeeze=False)
    for axes, one in zip(panels.flat, shown, strict=True):
        _panel(axes, one, theme)
    panels[0, 0].set_ylabel("share of the pairs of a kind, % a bin")
    panels[0, 0].set_ylim(bottom=0.0)
    figure.suptitle(texts.entitled(texts.pooled(evidence)), fontsize="medium", fontweight="bold")
    handles, labels = panels[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=3)
    return figure


def caption(evidence: Evidence) -> str:
    """Return how to read it."""
    found, shown = texts.pooled(evidence), _shown(evidence)
    second = (
        f" and of {shown[1].record.case.network}, the highest mean accuracy of "
        f"{len(found.scored)} networks (which alone does not prove it the best)"
        if len(shown) > 1
        else ""
    )
    return (
        f"Scores of genuine and impostor pairs of data set {found.dataset}, of "
        f"{shown[0].record.case.network}{second}. Upright lines are the thresholds of the folds; "
        "what lies on their wrong side is decided wrongly. Where scores of the two kinds overlap, "
        "no threshold tells them apart."
    )


def _shown(evidence: Evidence) -> list[Scored]:
    """Return the baseline, or else the first network, and the most accurate where that is
    another.
    """
    found = texts.pooled(evidence).scored
    best = max(found, key=lambda one: one.accuracy.accuracy)
    return [found[0]] if best is found[0] else [found[0], best]


def _panel(axes: Axes, one: Scored, theme: Theme) -> None:
    # The more pairs, the finer the bins that are not mostly noise.
    bins = min(MOST_BINS, math.isqrt(len(one.pairs)) + 1)
    counted = histogram(one.pairs.scores, one.pairs.same, bins)
    for label, counts, colour, line in (
        ("impostor pairs", counted.impostor, theme.colour(1), "dashed"),
        ("genuine pairs", counted.genuine, theme.colour(0), "solid"),
    ):
        shares = 100.0 * counts / np.sum(counts)
        axes.stairs(shares, counted.edges, fill=True, color=colour, alpha=0.25)
        axes.stairs(shares, counted.edges, color=colour, linestyle=line, linewidth=1.3, label=label)
    for number, threshold in enumerate(one.accuracy.fold_thresholds):
        label = "" if number else "thresholds of the folds"
        axes.axvline(threshold, color=theme.ink, linewidth=0.7, alpha=0.7, label=label or None)
    name = short(one.record.case.network, 26)
    axes.set_title(f"{name}, {percentage(percent(one.accuracy))[0]} %")
    axes.set_xlabel("score: cosine of the two embeddings")


FIGURES.add(
    "scores",
    Drawing(
        "scores",
        120,
        "How far genuine and impostor pairs lie apart",
        draw,
        caption,
        texts.kinds,
        texts.shows,
    ),
)
