"""Shows searches for templates in galleries."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from facebench.harness.records.accuracy import Bounded
from facebench.harness.records.record import Record
from facebench.harness.records.templates import TemplateSearch
from facebench.reports.by_dataset import ByDataset, Figure, counted
from facebench.reports.cells import NOTHING, bounded
from facebench.reports.evidence import Evidence
from facebench.reports.page import Block, Cell, Column, Notes, Paragraph, section
from facebench.reports.tables import of_measure

INTRODUCTION = (
    "Each probe is a template that is compared with all templates of a gallery, one a person. Rank "
    "k is the share of mated probes, whose person is there, that find them among the first k; FNIR "
    "the share that do not find them first and above the threshold that lets at most the given "
    "share of unmated probes (FPIR) find anybody. All are means over the galleries. Intervals are "
    "95 %, the probes’ people and the thresholds being chance."
)
FOUND, FNIR = "Found, %, at rank", "FNIR, %, at an FPIR of"


@section("galleries", "Searches of templates", order=76)
def galleries(evidence: Evidence) -> Sequence[Block]:
    """Return a table for each data set."""
    found = ByDataset(TemplateSearch, _figures).tables(
        of_measure(evidence.records, "galleries"), "galleries"
    )
    return [Paragraph(INTRODUCTION), *found] if found else []


def _figures(results: Sequence[TemplateSearch]) -> list[Figure[TemplateSearch]]:
    ranks = sorted({rank for one in results for rank in one.ranks})
    fpirs = sorted({fpir for one in results for fpir in one.fpirs}, reverse=True)
    return [
        *((Column(f"{rank}", group=FOUND), _found_at(rank)) for rank in ranks),
        *((Column(f"{fpir:g}", group=FNIR), _fnir_at(fpir)) for fpir in fpirs),
        counted("Probes", lambda one: one.probes),
        (Column("Galleries", kind="counted"), _galleries),
        counted("Images", lambda one: one.images),
        counted("People", lambda one: one.people),
    ]


def _found_at(rank: int) -> Callable[[Record, TemplateSearch, Notes], Cell]:
    return lambda record, one, notes: _share(one.ranks, one.found, rank, record, notes)


def _fnir_at(fpir: float) -> Callable[[Record, TemplateSearch, Notes], Cell]:
    return lambda record, one, notes: _share(one.fpirs, one.fnir, fpir, record, notes)


def _share(
    at: Sequence[float], shares: Sequence[Bounded], wanted: float, record: Record, notes: Notes
) -> Cell:
    found = dict(zip(at, shares, strict=True)).get(wanted)
    return bounded(found, record.kind, notes) if found else NOTHING


def _galleries(record: Record, one: TemplateSearch, notes: Notes) -> Cell:
    return Cell(" and ".join(f"{size:,}" for size in one.galleries), kind="counted")
