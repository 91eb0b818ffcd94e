"""Shows the comparison table: ours beside the paper's, row for row."""

from __future__ import annotations

from collections.abc import Sequence

from facebench.harness.records.accuracy import Accuracy
from facebench.harness.records.cost import Cost
from facebench.reports.cells import (
    NOTHING,
    OBTAINED,
    absent,
    estimated,
    in_percent,
    millions,
    obtained,
    sure,
)
from facebench.reports.comparison import ComparisonRow, ComparisonTable, RelativeLatency, compare
from facebench.reports.digits import agrees, percent_difference, percentage, significant
from facebench.reports.evidence import (
    BASELINE,
    PAPER,
    PAPER_CONDITIONS,
    PAPER_MADDS_MILLIONS,
    Evidence,
    PaperRow,
    real_faces,
)
from facebench.reports.page import Block, Cell, Column, Notes, Paragraph, RowGroup, Table, section
from facebench.reports.recorded import RECORDED, said_of

PARAMETERS, MADDS = "Parameters, millions", "MAdds, millions (conv+linear)"
LATENCY, LFW = f"Latency, relative to {BASELINE}", "LFW accuracy, %"


@section("comparison", "Ours beside the paper’s", order=20)
def comparison(evidence: Evidence) -> Sequence[Block]:
    """Return the table, what its columns mean, and what the counts agree with."""
    compared = compare(evidence)
    notes = Notes()
    rows = [(row.paper, _cells(row, compared, notes)) for row in compared.rows]
    table = Table(
        "comparison",
        f"Published figures are those of {PAPER}. ✓ marks a count of ours that, cut or rounded to "
        "the paper’s digits, is the paper’s figure; a percentage says how far ours is from it. "
        f"The paper states MAdds for MobileFaceNet only: {PAPER_MADDS_MILLIONS} M.",
        _columns(compared),
        [
            RowGroup([cells for paper, cells in rows if paper], "Rows of the paper’s Table 2"),
            RowGroup(
                [cells for paper, cells in rows if not paper], "Further networks, not in the paper"
            ),
        ],
        notes.texts,
    )
    warnings = [Paragraph(f"These {text}.", warning=True) for text in compared.warnings]
    return [*_explanations(compared), *warnings, table]


def _columns(compared: ComparisonTable) -> list[Column]:
    ratios = [Column(one.label, one.threads_text, one.kind, LATENCY) for one in compared.settings]
    return [
        Column("Network", words=True),
        Column("BN folded", "", "counted", PARAMETERS),
        Column("as trained", "", "counted", PARAMETERS),
        Column("paper", "", "published", PARAMETERS),
        Column("ours", "", "counted", MADDS),
        *ratios,
        Column("paper", "4 threads", "published", LATENCY),
        Column("ours", "", _obtained_by(compared), LFW),
        Column("paper", "", "published", LFW),
        OBTAINED,
    ]


def _obtained_by(compared: ComparisonTable) -> str:
    """Return the kind of all scores on LFW; empty where they are of several."""
    kinds = {row.lfw.kind for row in compared.rows if row.lfw is not None and real_faces(row.lfw)}
    return kinds.pop() if len(kinds) == 1 else "" if kinds else "measured"


def _cells(row: ComparisonRow, compared: ComparisonTable, notes: Notes) -> list[Cell]:
    paper = row.paper
    name = Cell(paper.network, row.network or "no record") if paper else Cell(row.network or "")
    ratios = [_ratio(one, notes) for one in row.ratios] or [NOTHING] * len(compared.settings)
    return [
        name,
        *_counts(row, notes),
        *ratios,
        Cell(f"{row.paper_ratio:.2f}", kind="published") if row.paper_ratio else NOTHING,
        _lfw(row, compared, notes),
        Cell(paper.lfw_percent, kind="published") if paper else NOTHING,
        _obtained(row),
    ]


def _obtained(row: ComparisonRow) -> Cell:
    """Return where a row's figures of ours come from, on demand."""
    sources = [(one.setting.label, one.record) for one in row.ratios if one.record]
    if row.lfw is not None and row.lfw.status == "ok":
        sources.append(("LFW", row.lfw))
    return Cell("", more=". ".join(f"{name}: {obtained(record).more}" for name, record in sources))


def _counts(row: ComparisonRow, notes: Notes) -> list[Cell]:
    paper, cost = row.paper, row.cost
    published = Cell(paper.parameters_millions, kind="published") if paper else NOTHING
    stated = paper is not None and paper.network == "MobileFaceNet"
    if cost is None:
        failed = row.cost_failure
        gap = absent(failed.status, failed.reason, notes) if failed else NOTHING
        return [gap, gap, published, gap]
    figure = paper.parameters_millions if paper else None
    madds = cost.madds.get("conv+linear")
    return [
        _count(cost.parameters_bn_folded, figure),
        _count(cost.parameters, figure),
        published,
        NOTHING if madds is None else _count(madds, PAPER_MADDS_MILLIONS if stated else None),
    ]


def _count(count: int, published: str | None) -> Cell:
    if published is None:
        return Cell(millions(count), kind="counted")
    mark = " ✓" if agrees(count / 1e6, published) else ""
    difference = percent_difference(count / 1e6, float(published))
    return Cell(millions(count), f"{difference}{mark}", "counted")


def _ratio(one: RelativeLatency, notes: Notes) -> Cell:
    if one.status == "missing":
        return NOTHING
    if one.estimate is None:
        return absent(one.status, one.reason, notes)
    badge = "untuned" if "untuned" in one.label else ""
    if one.estimate.half_width == 0.0:
        return Cell("1", kind=one.setting.kind, badge=badge)
    return estimated(one.estimate, one.setting.kind, badge=badge, notes=notes.add(one.warning))


def _lfw(row: ComparisonRow, compared: ComparisonTable, notes: Notes) -> Cell:
    record = row.lfw
    if record is None:
        return NOTHING
    if record.status != "ok":
        return absent(record.status, record.reason, notes)
    if not real_faces(record) or not isinstance(record.result, Accuracy):
        return NOTHING
    found = sure(record.result)
    alike = len(compared.inferences) < 2
    badge = "" if alike or row.inferences == 1 else "mirror image too"
    recorded = [one.lfw for one in compared.rows if one.lfw is not None and real_faces(one.lfw)]
    said = said_of(recorded) if record.kind == RECORDED else ""
    marks = notes.add(_twice(badge), said, found.note)
    if found.interval is None:
        return Cell(significant(100 * found.value), "", record.kind, badge, marks)
    return Cell(*percentage(in_percent(found)), record.kind, badge, marks)


def _twice(badge: str) -> str:
    if not badge:
        return ""
    return (
        "scored with each image and its mirror, others in this table without: a face took two "
        "inferences, so beside these others its latency ratios count double"
    )


def _explanations(compared: ComparisonTable) -> list[Paragraph]:
    return [
        Paragraph(_definitions([(r.paper, r.cost) for r in compared.rows if r.paper and r.cost])),
        Paragraph(
            f"Each latency ratio is a median time over that of {BASELINE} under the same runtime, "
            "threads and machine, with its 95 % interval below. The paper’s times were taken on a "
            f"phone ({PAPER_CONDITIONS}) and are published in whole milliseconds, which "
            "leaves their ratios about 3 % of rounding: compare the order and the size of the "
            "ratios, not their last digits."
        ),
        *_inferences(compared.inferences),
    ]


def _inferences(counts: set[int]) -> list[Paragraph]:
    """Return what an accuracy beside a latency ratio took in inferences."""
    if counts == {2}:
        text = (
            "LFW was scored with each image and its mirror: a face takes two inferences then, "
            "twice the latency of one. That holds for all networks scored here, so the ratios stay "
            "as they are."
        )
    elif len(counts) > 1:
        text = (
            "Some networks were scored on LFW with each image and its mirror, which takes two "
            "inferences a face; they are marked. The latency ratios are of single inferences."
        )
    else:
        return []
    return [Paragraph(text, warning=len(counts) > 1)]


def _definitions(pairs: Sequence[tuple[PaperRow | None, Cost | None]]) -> str:
    known = [(p.parameters_millions, c) for p, c in pairs if p and c]
    folded = sum(agrees(c.parameters_bn_folded / 1e6, text) for text, c in known)
    trained = sum(agrees(c.parameters / 1e6, text) for text, c in known)
    either = sum(
        agrees(c.parameters_bn_folded / 1e6, text) or agrees(c.parameters / 1e6, text)
        for text, c in known
    )
    return (
        "“As trained” counts all weights, the scale and shift of batch normalization (BN) among "
        "them; “BN folded” counts what is left on the phone once BN is folded into the "
        f"convolutions. The paper does not name its definition: of {len(known)} rows, {folded} fit "
        f"the folded count and {trained} the trained one; {len(known) - either} fit neither."
    )
