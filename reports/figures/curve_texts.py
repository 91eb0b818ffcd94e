"""Holds the texts that figures drawn from scores of pairs share."""

from __future__ import annotations

from facebench.reports.evidence import Evidence
from facebench.reports.figures.style import MOST_LINES, short
from facebench.reports.scores import Curves, curves, summarised


def shows(evidence: Evidence) -> bool:
    """Return whether any network has scores of pairs of both kinds."""
    return curves(evidence) is not None


def pooled(evidence: Evidence) -> Curves:
    """Return what is drawn; call where `shows` holds."""
    found = curves(evidence)
    assert found is not None
    return found


def kinds(evidence: Evidence) -> tuple[str, ...]:
    """Return how the scores drawn were obtained."""
    return tuple(dict.fromkeys(one.record.kind for one in pooled(evidence).scored))


def entitled(found: Curves) -> str:
    """Return the data set, and what limits the meaning of its scores."""
    # A label that begins with the data set's name says it once.
    named = found.label.startswith(found.dataset)
    parts = [found.label] if named else [f"Data set {found.dataset}", found.label]
    return short(": ".join(filter(None, parts)), 90)


def over(found: Curves) -> str:
    """Say what the intervals of the first network take for chance."""
    summary = summarised(found.scored[0].accuracy).summary
    if summary is None or summary.over == "pairs":
        return "independent pairs"
    return "people" if summary.over == "identities" else "groups of images"


def cut(found: Curves) -> str:
    """Say so where not all networks are drawn."""
    count = len(found.scored)
    return f" The first {MOST_LINES} of {count} networks." if count > MOST_LINES else ""
