"""Shows the verification of templates, sets of a person's images."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from facebench.harness.records.record import Record
from facebench.harness.records.templates import TemplateVerification
from facebench.reports.by_dataset import ByDataset, Figure, counted
from facebench.reports.cells import NOTHING, bounded
from facebench.reports.evidence import Evidence
from facebench.reports.page import Block, Cell, Column, Notes, Paragraph, section
from facebench.reports.tables import of_measure

INTRODUCTION = (
    "A template is several images of one person: frames of a video are joined by their mean, each "
    "weighed by how sure the publisher’s detector was of its face, and videos and photographs by "
    "their sum. TAR is the share of genuine pairs of templates accepted at the threshold where at "
    "most the given share of impostor pairs (FAR) is. Intervals are 95 %, people and the threshold "
    "being chance."
)
TAR = "TAR, %, at a FAR of"


@section("templates", "Templates", order=73)
def templates(evidence: Evidence) -> Sequence[Block]:
    """Return a table for each data set."""
    found = ByDataset(TemplateVerification, _figures, _refused).tables(
        of_measure(evidence.records, "templates"), "templates"
    )
    return [Paragraph(INTRODUCTION), *found] if found else []


def _figures(results: Sequence[TemplateVerification]) -> list[Figure[TemplateVerification]]:
    fars = sorted({point.rate for one in results for point in one.tar}, reverse=True)
    return [
        *((Column(f"{far:g}", group=TAR), _tar_at(far)) for far in fars),
        counted("Templates", lambda one: one.templates),
        counted("Images", lambda one: one.images),
        counted("Genuine pairs", lambda one: one.genuine),
        counted("Impostor pairs", lambda one: one.impostor),
        counted("People", lambda one: one.people),
    ]


def _tar_at(far: float) -> Callable[[Record, TemplateVerification, Notes], Cell]:
    def cell(record: Record, one: TemplateVerification, notes: Notes) -> Cell:
        sure = {point.rate: bound for point, bound in zip(one.tar, one.bounds, strict=True)}
        return bounded(sure[far], record.kind, notes) if far in sure else NOTHING

    return cell


def _refused(results: Sequence[TemplateVerification]) -> list[str]:
    return list(dict.fromkeys(sentence for one in results for sentence in one.refused))
