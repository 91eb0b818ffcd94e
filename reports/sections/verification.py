"""Verification: scores, each with what its data set can say."""

from __future__ import annotations

from collections.abc import Sequence

from harness.record import Accuracy, Record
from reports.cells import NOTHING, absent, doubts, percent, plus_minus, weights
from reports.digits import earned, significant
from reports.evidence import Evidence
from reports.page import Block, Cell, Column, Notes, Paragraph, Rows, Table, section

HEADS = [
    Column("Network", words=True),
    Column("Weights", words=True),
    Column("Runtime", words=True),
    Column("Accuracy", "%"),
    Column("Pairs", kind="counted"),
    Column("Folds", kind="counted"),
    Column("Flip", words=True),
    Column("Speed", "images/s, one run"),
    Column("Kind", words=True),
    Column("Label", words=True),
]


@section("verification", "Verification", order=70)
def verification(evidence: Evidence) -> Sequence[Block]:
    """A table for each data set, so that drawn faces never stand beside real ones."""
    if not evidence.scores:
        return []
    text = (
        "Accuracy by the 10-fold protocol: the mean of the folds, each at the threshold that is "
        "best on the others, with a 95 % interval by Student’s t on the folds. The folds share "
        "the pairs that their thresholds come from, so the interval is approximate."
    )
    names = dict.fromkeys(record.case.dataset for record in evidence.scores)
    return [Paragraph(text), *(_table(evidence, name) for name in names)]


def _table(evidence: Evidence, dataset: str) -> Table:
    notes = Notes()
    records = [record for record in evidence.scores if record.case.dataset == dataset]
    labels = dict.fromkeys(
        one.result.label for one in records if isinstance(one.result, Accuracy) and one.result.label
    )
    caption = f"Data set {dataset}. {'; '.join(labels)}".strip()
    rows = [_cells(record, notes) for record in records]
    return Table(f"verification-{dataset}", caption, HEADS, [Rows(rows)], notes.texts)


def _cells(record: Record, notes: Notes) -> list[Cell]:
    case, score = record.case, record.result
    head = [Cell(case.network), Cell(weights(case.weights)), Cell(case.runtime or NOTHING.text)]
    if record.status != "ok" or not isinstance(score, Accuracy):
        return [*head, absent(record.status, record.reason, notes), *[NOTHING] * 6]
    estimate = percent(score)
    label = score.label.partition(":")[0]
    marks = notes.add(*doubts(record))
    return [
        *head,
        Cell(f"{earned(estimate)} {plus_minus(estimate)}", "", record.kind, notes=marks),
        Cell(f"{score.pairs:,}", kind="counted"),
        Cell(str(len(score.fold_accuracies)), kind="counted"),
        Cell(score.flip),
        Cell(significant(score.images_per_second, 2), kind=record.kind),
        Cell(record.kind),
        Cell("", badge=label),
    ]
