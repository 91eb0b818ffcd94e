"""Draws the report's figures: a registry, one file each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from matplotlib.figure import Figure

from facebench.architectures.registry import Registry
from facebench.reports.evidence import Evidence
from facebench.reports.figures.style import Theme

Draw = Callable[[Evidence, Theme], Figure]


@dataclass(frozen=True)
class Drawing:
    """It is a figure of the report.

    Attributes:
        name: of its file.
        order: on the page; the first figure is the one that the paper is about.
        title: what it shows, as a heading.
        draw: makes it in a theme.
        caption: how to read it, and what it is drawn from.
        kinds: of the figures in it.
        shows: whether the records hold anything for it.
        chart: the same as a Vega-Lite specification that readers can ask; None where there
            is none.
    """

    name: str
    order: int
    title: str
    draw: Draw
    caption: Callable[[Evidence], str]
    kinds: Callable[[Evidence], tuple[str, ...]]
    shows: Callable[[Evidence], bool]
    chart: Callable[[Evidence], dict[str, Any]] | None = None


FIGURES: Registry[Drawing] = Registry("figure", package="facebench.reports.figures")


def shown(evidence: Evidence) -> list[Drawing]:
    """Return the figures that the records hold anything for, in their order on the page."""
    return sorted((one for one in FIGURES if one.shows(evidence)), key=lambda one: one.order)
