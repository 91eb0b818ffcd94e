"""Verification: scores, each with what its data set can say."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from facebench.harness.records.accuracy import Accuracy
from facebench.harness.records.record import Record
from facebench.harness.verification.summary import Rate, what_is_chance
from facebench.reports.cells import (
    NOTHING,
    OBTAINED,
    absent,
    bounded,
    case_columns,
    doubts,
    missing_faces,
    obtained,
    percent,
    sure,
)
from facebench.reports.digits import Estimate, near_one, percentage, significant
from facebench.reports.evidence import Evidence
from facebench.reports.page import Block, Cell, Column, Notes, Paragraph, RowGroup, Table, section
from facebench.reports.scores import Summarised, summarised

ACCURACY, TAR = "Accuracy, %", "TAR, %, at a FAR of"
INTRODUCTION = (
    "Accuracy by the 10-fold protocol: the mean of the folds, each at the threshold that is best "
    "on the others. Its 95 % interval takes the people and the choice of thresholds for chance; a "
    "record without scores has Student’s over the folds. The standard error is that of the mean: "
    "the standard deviation of the folds, which says how far single folds lie apart, over the root "
    "of their count."
)
RATES = (
    "TAR is the share of genuine pairs accepted at the threshold where at most the given share of "
    "impostor pairs (FAR) is; EER the rate at which false acceptance equals false rejection; AUC "
    "the chance that a genuine pair scores higher than an impostor pair; d′ the distance of the "
    "mean scores of both kinds in standard deviations, without an interval."
)


@dataclass(frozen=True)
class _Line:
    """It is a score and what its pairs add."""

    record: Record
    score: Accuracy
    found: Summarised


# A column, and its cell in a line.
_Figure = tuple[Column, Callable[[_Line, Notes], Cell]]


@section("verification", "Verification", order=70)
def verification(evidence: Evidence) -> Sequence[Block]:
    """Return a table for each data set, so that drawn faces never stand beside real ones."""
    if not evidence.scores:
        return []
    lines = [line for record in evidence.scores if (line := _line(record))]
    explained = [Paragraph(RATES)] if any(line.found.summary for line in lines) else []
    names = dict.fromkeys(record.case.dataset for record in evidence.scores)
    tables = [
        block
        for number, name in enumerate(names, start=1)
        for block in _dataset(evidence, name, f"verification-{number}")
    ]
    return [Paragraph(INTRODUCTION), *explained, *tables]


def _dataset(evidence: Evidence, dataset: str, name: str) -> list[Block]:
    notes = Notes()
    records = [record for record in evidence.scores if record.case.dataset == dataset]
    lines = {id(record): line for record in records if (line := _line(record))}
    heads, figures = case_columns(records), _figures(list(lines.values()))
    rows = [
        [
            *(cell(record) for _, cell in heads),
            *_cells(record, lines.get(id(record)), figures, notes),
            obtained(record),
        ]
        for record in records
    ]
    columns = [*(column for column, _ in [*heads, *figures]), OBTAINED]
    table = Table(
        name, _caption(dataset, list(lines.values())), columns, [RowGroup(rows)], notes.texts
    )
    return [table, *_refused(lines.values())]


def _cells(
    record: Record, line: _Line | None, figures: Sequence[_Figure], notes: Notes
) -> list[Cell]:
    if line is None:
        return [absent(record.status, record.reason, notes), *[NOTHING] * (len(figures) - 1)]
    return [cell(line, notes) for _, cell in figures]


def _line(record: Record) -> _Line | None:
    if record.status != "ok" or not isinstance(record.result, Accuracy):
        return None
    return _Line(record, record.result, summarised(record.result))


def _caption(dataset: str, lines: Sequence[_Line]) -> str:
    labels = dict.fromkeys(line.score.label for line in lines if line.score.label)
    summaries = [line.found.summary for line in lines if line.found.summary]
    chance = dict.fromkeys(what_is_chance(one.over, one.people) for one in summaries)
    return " ".join([f"Data set {dataset}.", *(f"{label}." for label in labels), *chance])


def _refused(lines: Iterable[_Line]) -> list[Block]:
    """Rates that the pairs do not support, in one sentence."""
    summaries = [line.found.summary for line in lines if line.found.summary]
    texts = dict.fromkeys(reason for one in summaries for reason in one.refused.values())
    return [Paragraph(f"Refused: {'; '.join(texts)}.")] if texts else []


def _figures(lines: Sequence[_Line]) -> list[_Figure]:
    summaries = [line.found.summary for line in lines if line.found.summary]
    fars = sorted({one.point.rate for summary in summaries for one in summary.tar}, reverse=True)
    return [
        (Column("mean", group=ACCURACY), _mean),
        (Column("standard error", "of the mean", group=ACCURACY), _standard_error),
        (Column("standard deviation", "of the folds", group=ACCURACY), _deviation),
        *((Column(f"{far:g}", group=TAR), _tar_at(far)) for far in fars),
        *_separation(bool(summaries)),
        (Column("Pairs", kind="counted"), lambda line, _: _count(line.score.pairs)),
        (
            Column("Folds", kind="counted"),
            lambda line, _: _count(len(line.score.fold_accuracies)),
        ),
        (Column("Flip", words=True), lambda line, _: Cell(line.score.flip)),
        (Column("Speed", "images/s, one run"), _speed),
        (Column("Kind", words=True), lambda line, _: Cell(line.record.kind)),
        (
            Column("Label", words=True),
            lambda line, _: Cell("", badge=line.score.label.partition(":")[0]),
        ),
    ]


def _separation(known: bool) -> list[_Figure]:
    figures: list[_Figure] = [
        (Column("EER", "%"), _eer),
        (Column("AUC"), _auc),
        (Column("d′"), _d_prime),
    ]
    return figures if known else []


def _mean(line: _Line, notes: Notes) -> Cell:
    found, estimate = sure(line.score), percent(line.score)
    marks = notes.add(
        *doubts(line.record),
        missing_faces(line.record.case.absent, line.score.not_found, line.score.excluded_pairs),
        line.found.reason,
        found.note,
    )
    if found.interval is None:
        return Cell(significant(estimate.value), kind=line.record.kind, notes=marks)
    return Cell(*percentage(estimate), line.record.kind, notes=marks)


def _standard_error(line: _Line, notes: Notes) -> Cell:
    return Cell(significant(100.0 * line.score.standard_error, 2), kind=line.record.kind)


def _deviation(line: _Line, notes: Notes) -> Cell:
    return Cell(significant(100.0 * line.score.fold_standard_deviation, 2), kind=line.record.kind)


def _tar_at(far: float) -> Callable[[_Line, Notes], Cell]:
    def cell(line: _Line, notes: Notes) -> Cell:
        rates: Sequence[Rate] = line.found.summary.tar if line.found.summary else ()
        found = next((one for one in rates if one.point.rate == far), None)
        if found is None:
            return NOTHING
        return bounded(found.tar, line.record.kind, notes)

    return cell


def _eer(line: _Line, notes: Notes) -> Cell:
    if (summary := line.found.summary) is None:
        return NOTHING
    return bounded(summary.eer, line.record.kind, notes)


def _auc(line: _Line, notes: Notes) -> Cell:
    if (summary := line.found.summary) is None:
        return NOTHING
    found, marks = summary.auc, notes.add(summary.auc.note)
    if found.interval is None:
        return Cell(significant(found.value), kind=line.record.kind, notes=marks)
    text, between = near_one(Estimate(found.value, *found.interval))
    return Cell(text, between, line.record.kind, notes=marks)


def _d_prime(line: _Line, notes: Notes) -> Cell:
    summary = line.found.summary
    return Cell(significant(summary.d_prime, 3), kind=line.record.kind) if summary else NOTHING


def _speed(line: _Line, notes: Notes) -> Cell:
    return Cell(significant(line.score.images_per_second, 2), kind=line.record.kind)


def _count(count: int) -> Cell:
    return Cell(f"{count:,}", kind="counted")
