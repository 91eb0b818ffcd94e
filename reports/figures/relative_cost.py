"""Draws cost relative to the baseline: MAdds, parameters, activations."""

from __future__ import annotations

from collections.abc import Callable

from matplotlib.figure import Figure

from facebench.harness.records.cost import Cost
from facebench.reports.evidence import BASELINE, Evidence
from facebench.reports.figures import FIGURES, Drawing
from facebench.reports.figures.style import MOST_ROWS, Theme, name_rows, new

PANELS: tuple[tuple[str, Callable[[Cost], int]], ...] = (
    ("MAdds (conv+linear)", lambda cost: cost.madds.get("conv+linear", 0)),
    ("Parameters (BN folded)", lambda cost: cost.parameters_bn_folded),
    ("Activations written", lambda cost: cost.activations),
)


def draw(evidence: Evidence, theme: Theme) -> Figure:
    """Draw three panels of bars, the networks down the common axis."""
    names = [name for name in evidence.networks if name in evidence.costs][:MOST_ROWS]
    figure = new(theme, 9.6, 1.1 + 0.3 * len(names))
    for axes, (title, count) in zip(figure.subplots(1, 3, sharey=True), PANELS, strict=True):
        base = count(evidence.costs[BASELINE])
        values = [count(evidence.costs[name]) / base if base else 0.0 for name in names]
        colours = [theme.accent if name == BASELINE else theme.faint for name in names]
        bars = axes.barh(range(len(names)), values, color=colours, height=0.68)
        axes.axvline(1.0, color=theme.ink, linewidth=0.9, linestyle=":", zorder=1.5)
        behind = {"facecolor": theme.background, "edgecolor": "none", "pad": 0.8}
        texts = [f"{value:.2f}" for value in values]
        axes.bar_label(bars, texts, padding=3, fontsize=8, bbox=behind)
        axes.set_xlim(0.0, max(values) * 1.18)
        axes.set_title(title)
        axes.set_xlabel(f"× {BASELINE}")
        axes.grid(axis="y", visible=False)
        axes.spines["left"].set_visible(False)
        name_rows(axes, names)
    return figure


def caption(evidence: Evidence) -> str:
    """Return how to read it."""
    count = len(evidence.costs)
    cut = f" The first {MOST_ROWS} of {count} networks." if count > MOST_ROWS else ""
    base = evidence.costs[BASELINE]
    return (
        f"Exact counts over those of {BASELINE} ({base.madds.get('conv+linear', 0):,} MAdds, "
        f"{base.parameters_bn_folded:,} parameters, {base.activations:,} activations).{cut}"
    )


def kinds(evidence: Evidence) -> tuple[str, ...]:
    """Return how the figures were obtained: they are counted."""
    return ("counted",)


def shows(evidence: Evidence) -> bool:
    """Return whether the baseline and another network have a cost."""
    return BASELINE in evidence.costs and len(evidence.costs) > 1


FIGURES.add(
    "relative_cost",
    Drawing(
        "relative_cost",
        40,
        f"Cost relative to {BASELINE}",
        draw,
        caption,
        kinds,
        shows,
    ),
)
