"""Claims of papers: what the records say of each, and in which place."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from facebench.reports.cells import NOTHING
from facebench.reports.claims import REFUTED, SUPPORTED, ClaimFinding, Judged
from facebench.reports.claims.papers import Paper, judged, load, names
from facebench.reports.evidence import Evidence
from facebench.reports.page import (
    Block,
    Cell,
    Column,
    Details,
    Notes,
    Paragraph,
    RowGroup,
    Table,
    section,
)

_COLUMNS = [
    Column("Verdict", words=True),
    Column("Place", words=True),
    Column("Figure"),
    Column("Kind", words=True),
    Column("Why, below", words=True),
]
_TONES = {SUPPORTED: "good", REFUTED: "bad"}


@section("claims", "The paper’s claims", order=10)
def claims(evidence: Evidence) -> Sequence[Block]:
    """Return a line for each claim, which opens to a row for each place."""
    paper, *others = map(load, names())
    text = (
        f"Each claim of {paper.source} that records can speak to. A verdict is “supported” or "
        "“refuted” where the whole 95 % interval of the figure that it turns on lies on one side, "
        "or where a count decides, and “not decidable here” where it does not, or a record is "
        "missing. Of a claim that is judged in several places, the chance of any false verdict is "
        "5 %, by Holm’s procedure. A verdict holds for the runtime, device and threads beside it; "
        "where places differ, it “depends” on them. Modelled times decide only where their own "
        "interval does."
    )
    spoken = [block for other in others for block in _other(other, evidence)]
    return [Paragraph(text), *(_details(one, "") for one in judged(evidence, paper)), *spoken]


def _other(paper: Paper, evidence: Evidence) -> Iterator[Block]:
    """Yield those claims of another paper that records say anything of."""
    found = [one for one in judged(evidence, paper) if any(place.figure for place in one.findings)]
    if found:
        yield Paragraph(
            f"Claims of {paper.title} ({paper.source}) that these records speak to; "
            f"'facebench claims --paper {paper.name}' has all."
        )
        yield from (_details(one, f"{paper.name}-") for one in found)


def _details(one: Judged, prefix: str) -> Details:
    notes = Notes()
    rows = [RowGroup([_row(finding, notes) for finding in one.findings])]
    caption = f"Verdicts on: {one.claim.text}"
    table = Table(f"claim-{prefix}{one.claim.name}", caption, _COLUMNS, rows, notes.texts)
    summary = f"{one.claim.text} ({one.claim.where})"
    return Details(summary, one.verdict, _TONES.get(one.verdict, "plain"), [table])


def _row(one: ClaimFinding, notes: Notes) -> list[Cell]:
    figure = Cell(one.figure, one.interval, one.kinds[0]) if one.figure else NOTHING
    kind = one.kinds[0] if one.figure else NOTHING.text
    place = one.place or NOTHING.text
    why = Cell("", notes=notes.add(*one.reasons))
    return [Cell(one.verdict), Cell(place), figure, Cell(kind), why]
