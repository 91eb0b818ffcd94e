"""The paper's claims: what the records say of each, and in which place."""

from __future__ import annotations

from collections.abc import Sequence

from facebench.reports.cells import NOTHING
from facebench.reports.claims import REFUTED, SUPPORTED, ClaimFinding, Judged, judged
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
    text = (
        "Each claim of arXiv 1804.07573 that records can speak to. A verdict is “supported” or "
        "“refuted” where the whole 95 % interval of the figure that it turns on lies on one side, "
        "or where a count decides, and “not decidable here” where it does not, or a record is "
        "missing. Of a claim that is judged in several places, the chance of any false verdict is "
        "5 %, by Holm’s procedure. A verdict holds for the runtime, device and threads beside it; "
        "where places differ, it “depends” on them. Modelled times decide nothing."
    )
    return [Paragraph(text), *map(_details, judged(evidence))]


def _details(one: Judged) -> Details:
    notes = Notes()
    rows = [RowGroup([_row(finding, notes) for finding in one.findings])]
    caption = f"Verdicts on: {one.claim.text}"
    table = Table(f"claim-{one.claim.name}", caption, _COLUMNS, rows, notes.texts)
    summary = f"{one.claim.text} ({one.claim.where})"
    return Details(summary, one.verdict, _TONES.get(one.verdict, "plain"), [table])


def _row(one: ClaimFinding, notes: Notes) -> list[Cell]:
    figure = Cell(one.figure, one.interval, one.kinds[0]) if one.figure else NOTHING
    kind = one.kinds[0] if one.figure else NOTHING.text
    place = one.place or NOTHING.text
    why = Cell("", notes=notes.add(*one.reasons))
    return [Cell(one.verdict), Cell(place), figure, Cell(kind), why]
