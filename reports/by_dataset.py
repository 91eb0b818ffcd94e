"""Provides tables of scores, one for each data set, so that drawn faces never stand beside real."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Generic, Protocol, TypeVar

from facebench.harness.records.record import Record
from facebench.reports.cells import (
    NOTHING,
    OBTAINED,
    absent,
    case_columns,
    doubts,
    missing_faces,
    obtained,
)
from facebench.reports.digits import significant
from facebench.reports.page import Cell, Column, Notes, RowGroup, Table


class Score(Protocol):
    """It is what every result on a data set's images tells."""

    @property
    def label(self) -> str:
        """Return what the data set can say; empty for real faces."""

    @property
    def flip(self) -> str:
        """Return how an image and its mirror are joined."""

    @property
    def images_per_second(self) -> float:
        """Return how many images were embedded a second."""

    @property
    def not_found(self) -> Sequence[str]:
        """Return the names of images in which no face was found."""


R = TypeVar("R", bound=Score)

# A column, and its cell in the row of a record and its result.
Figure = tuple[Column, Callable[[Record, R, Notes], Cell]]


class ByDataset(Generic[R]):
    """Tables of one measure's records.

    Attributes:
        kind: the type of their results.
        figures: returns the columns that these results call for.
        remarks: returns what a table's notes say of these results as a whole.
    """

    def __init__(
        self,
        kind: type[R],
        figures: Callable[[Sequence[R]], Sequence[Figure[R]]],
        remarks: Callable[[Sequence[R]], Iterable[str]] = lambda results: (),
    ) -> None:
        self.kind = kind
        self.figures = figures
        self.remarks = remarks

    def tables(self, records: Sequence[Record], name: str) -> list[Table]:
        """Return a table for each data set, `name-1` the first."""
        datasets = dict.fromkeys(record.case.dataset for record in records)
        return [
            self._table([r for r in records if r.case.dataset == dataset], dataset, f"{name}-{n}")
            for n, dataset in enumerate(datasets, start=1)
        ]

    def results(self, records: Iterable[Record]) -> list[R]:
        """Return the results of those that have one."""
        return [result for record in records if (result := self._result(record)) is not None]

    def _table(self, records: Sequence[Record], dataset: str, name: str) -> Table:
        notes, results = Notes(), self.results(records)
        heads = case_columns(records)
        figures: list[Figure[R]] = [*self.figures(results), *_common()]
        rows = [
            [
                *(cell(record) for _, cell in heads),
                *self._cells(record, figures, notes),
                obtained(record),
            ]
            for record in records
        ]
        notes.add(*self.remarks(results))
        labels = dict.fromkeys(f"{one.label}." for one in results if one.label)
        caption = " ".join([f"Data set {dataset}.", *labels])
        columns = [*(column for column, _ in [*heads, *figures]), OBTAINED]
        return Table(name, caption, columns, [RowGroup(rows)], notes.texts)

    def _cells(self, record: Record, figures: Sequence[Figure[R]], notes: Notes) -> list[Cell]:
        result = self._result(record)
        if result is None:
            return [absent(record.status, record.reason, notes), *[NOTHING] * (len(figures) - 1)]
        lost: int = getattr(result, "excluded_pairs", 0)
        missing = missing_faces(record.case.absent, result.not_found, lost)
        marks = notes.add(*doubts(record), missing)
        first, *others = (cell(record, result, notes) for _, cell in figures)
        return [replace(first, notes=(*marks, *first.notes)), *others]

    def _result(self, record: Record) -> R | None:
        result = record.result
        return result if record.status == "ok" and isinstance(result, self.kind) else None


def counted(title: str, count: Callable[[R], int]) -> Figure[R]:
    """Return a column of exact counts."""
    return Column(title, kind="counted"), lambda record, result, notes: Cell(
        f"{count(result):,}", kind="counted"
    )


def speed(unit: str, per_second: Callable[[R], float]) -> Figure[R]:
    """Return a column of what one run did in a second."""
    return Column("Speed", f"{unit}/s, one run"), lambda record, result, notes: Cell(
        significant(per_second(result), 2), kind=record.kind
    )


def _common() -> list[Figure[Score]]:
    return [
        (Column("Flip", words=True), lambda record, result, notes: Cell(result.flip)),
        speed("images", lambda result: result.images_per_second),
        (Column("Kind", words=True), lambda record, result, notes: Cell(record.kind)),
        (
            Column("Label", words=True),
            lambda record, result, notes: Cell("", badge=result.label.partition(":")[0]),
        ),
    ]
