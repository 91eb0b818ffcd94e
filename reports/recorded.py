"""Finds scores on real faces that came with facebench, of the very weights that records are of.

The shipped weights were scored on LFW, and the records lie in `results/reference`. Whoever
runs facebench without LFW has these; whoever has scored the same weights has figures of
their own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cache

from facebench.harness.records.accuracy import Accuracy
from facebench.harness.records.record import Record
from facebench.harness.records.store import RECORDS, Store
from facebench.harness.storage import shipped

RECORDED = "recorded"

# Scores of the shipped weights, and of the same networks trained from other seeds.
_FILES = (RECORDS, "more.jsonl")


def of_same_weights(records: Sequence[Record]) -> list[Record]:
    """Return recorded scores of weights that records are of, where those were not scored there."""
    known = {_weights(record) for record in records}
    scored = {(*_weights(record), record.case.dataset) for record in _scores(records)}
    return [
        one
        for one in _reference(records)
        if _weights(one) in known and (*_weights(one), one.case.dataset) not in scored
    ]


def of_other_seeds(records: Sequence[Record]) -> list[Record]:
    """Return recorded scores of further weights that were trained and tested as scores there were.

    They say how far networks differ that differ in their seed alone.
    """
    known = {_weights(record) for record in records}
    alike = {_conditions(record) for record in _scores(records)}
    return [
        one
        for one in _reference(records)
        if _conditions(one) in alike and _weights(one) not in known
    ]


def said_of(records: Sequence[Record]) -> str:
    """Return a sentence on those of the records that were recorded; empty where none was."""
    found = [record for record in records if record.kind == RECORDED]
    if not found:
        return ""
    days = sorted(record.created[:10] for record in found)
    when = days[0] if days[0] == days[-1] else f"{days[0]} to {days[-1]}"
    where = ", ".join(dict.fromkeys(record.case.dataset for record in found))
    return (
        f"Recorded accuracies came with facebench: they were measured on {where}, {when}, with the "
        "very weights (by SHA-256) that these records are of."
    )


def _reference(records: Sequence[Record]) -> tuple[Record, ...]:
    # Random weights are nowhere scored: without files' weights nothing is read.
    trained = any(record.case.weights.startswith("sha256:") for record in records)
    return _read() if trained else ()


@cache
def _read() -> tuple[Record, ...]:
    folder = shipped.folder("reference")
    found = _scores([one for name in _FILES for one in Store(folder / name).read()])
    return tuple(replace(record, kind=RECORDED) for record in found)


def _scores(records: Sequence[Record]) -> list[Record]:
    """Return those of the records that hold an accuracy."""
    return [one for one in records if one.status == "ok" and isinstance(one.result, Accuracy)]


def _weights(record: Record) -> tuple[str, str]:
    return record.case.network, record.case.weights


def _conditions(record: Record) -> tuple[object, ...]:
    """Return all that scores have in common that differ in their weights' seed alone."""
    case, training = record.case, record.provenance.get("training")
    assert isinstance(record.result, Accuracy)
    scores = record.result.scores
    return (
        training.get("conditions") if isinstance(training, dict) else None,
        scores.digest if scores else None,
        *(case.dataset, case.runtime, case.precision, case.flip, case.landmarks, case.absent),
    )
