"""The drawn figures, all of the registry; the first of them stands at the top of the page."""

from __future__ import annotations

from collections.abc import Sequence

from facebench.reports.evidence import Evidence
from facebench.reports.figures import Drawing, shown
from facebench.reports.page import Block, Picture, section

# The figure that the paper is about stands beside what the records say.
_LEADING = "pareto"


@section("figures", "Figures", order=30)
def figures(evidence: Evidence) -> Sequence[Block]:
    """Return each figure that has something to show, but the leading one."""
    return [_picture(one, evidence) for one in shown(evidence) if one.name != _LEADING]


def leading(evidence: Evidence) -> list[Block]:
    """Return the leading figure, where the records hold anything for it."""
    return [_picture(one, evidence) for one in shown(evidence) if one.name == _LEADING]


def _picture(one: Drawing, evidence: Evidence) -> Picture:
    return Picture(
        one.name,
        one.title,
        one.caption(evidence),
        one.kinds(evidence),
        one.chart(evidence) if one.chart else None,
    )
