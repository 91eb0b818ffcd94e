"""The drawn figures, all of the registry."""

from __future__ import annotations

from collections.abc import Sequence

from facebench.reports.evidence import Evidence
from facebench.reports.figures import FIGURES
from facebench.reports.page import Block, Picture, section


@section("figures", "Figures", order=30)
def figures(evidence: Evidence) -> Sequence[Block]:
    """Return each figure that has something to show."""
    return [
        Picture(
            one.name,
            one.title,
            one.caption(evidence),
            one.kinds(evidence),
            one.chart(evidence) if one.chart else None,
        )
        for one in FIGURES
        if one.shows(evidence)
    ]
