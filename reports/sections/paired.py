"""Paired comparison: what the same pairs decide between two networks, or two runs of one."""

from __future__ import annotations

from collections.abc import Sequence

from facebench.harness.comparison.pair_agreement import LEVEL, PairAgreement
from facebench.harness.records.record import Record
from facebench.harness.verification.summary import what_is_chance
from facebench.reports.cells import NOTHING, absent, weights
from facebench.reports.evidence import Evidence
from facebench.reports.page import Block, Cell, Column, Notes, Paragraph, RowGroup, Table, section
from facebench.reports.paired import Against, Family, families

INTRODUCTION = (
    "Scores on the same pairs, compared pair by pair: pairs that both get right, or both wrong, "
    "say nothing of a difference. Verdict, interval and p come of one test, Tango’s score over the "
    "deviation that people give the difference; p is corrected after Holm over the comparisons of "
    "its table. McNemar’s exact p takes pairs as independent, which those of one person are not, "
    "and decides nothing. “No difference "
    "shown” says that these pairs do not decide it (corrected p of 0.05 or more), not that the two "
    "are equal: the interval says how large a difference could still be."
)
DIFFERENCE, ALONE, P = "Accuracy, second − first", "Right alone, pairs", "p"
_CORRECTED = (
    "the interval leaves out zero, and is this comparison’s alone; the verdict is corrected for "
    "all of the table"
)
# Below this a p-value's digits mean nothing.
_LEAST_P = 1e-4


@section("paired", "Compared pair by pair", order=72)
def paired(evidence: Evidence) -> Sequence[Block]:
    """Return a table for each family of comparisons, networks first."""
    found = families(evidence)
    if not found:
        return []
    tables = [_table(family, f"paired-{n}") for n, family in enumerate(found, start=1)]
    return [Paragraph(INTRODUCTION), *tables]


def _table(family: Family, name: str) -> Table:
    notes = Notes()
    rows = [_cells(other, family, notes) for other in family.others]
    heads = [
        Column("Second", words=True),
        Column("Weights", words=True),
        Column("Runtime", words=True),
        Column("difference", "percentage points", group=DIFFERENCE),
        Column("95 % interval", "percentage points", group=DIFFERENCE),
        Column("first", group=ALONE),
        Column("second", group=ALONE),
        Column("Decisions changed"),
        Column("uncorrected", group=P),
        Column("Holm", group=P),
        Column("McNemar’s", group=P),
        Column("Verdict", words=True),
        Column("Kind", words=True),
    ]
    return Table(name, _caption(family), heads, [RowGroup(rows)], notes.texts)


def _caption(family: Family) -> str:
    count = len(family.others)
    compared = [other.agreement.paired for other in family.others if other.agreement]
    chance = dict.fromkeys(what_is_chance(one.over, one.people) for one in compared)
    what = (
        "Runs of one network with the same weights: what a runtime, a precision or a flip changes "
        "is read from the decisions changed."
        if family.same_network
        else "Each network as second."
    )
    parts = [
        f"Data set {family.dataset}, {family.pairs:,} pairs. First: {_who(family.first)}. {what}",
        f"{count} comparison{'s' if count > 1 else ''} corrected together.",
        *chance,
        f"{family.label}." if family.label else "",
    ]
    return " ".join(part for part in parts if part)


def _cells(other: Against, family: Family, notes: Notes) -> list[Cell]:
    record, one = other.record, other.agreement
    head = [
        Cell(record.case.network),
        Cell(weights(record.case.weights)),
        Cell(_run(record), notes=_unlike(record, family, notes)),
    ]
    if one is None:
        return [*head, absent("refused", other.reason, notes), *[NOTHING] * 8, Cell(record.kind)]
    kind = record.kind
    return [
        *head,
        *_difference(one, kind),
        Cell(f"{one.paired.only_first:,}", kind=kind),
        Cell(f"{one.paired.only_second:,}", kind=kind),
        Cell(f"{one.changed:,}", kind=kind),
        Cell(_p_value(one.paired.p_value), kind=kind),
        Cell(_p_value(one.adjusted_p), kind=kind),
        Cell(_p_value(one.paired.mcnemar), kind=kind),
        Cell(one.verdict, notes=notes.add(_CORRECTED if _by_correction(one) else "")),
        Cell(kind),
    ]


def _difference(one: PairAgreement, kind: str) -> list[Cell]:
    low, high = one.paired.interval
    difference = Cell(_points(one.paired.difference), kind=kind)
    if one.paired.refused:
        return [difference, NOTHING]
    return [difference, Cell(f"{_points(low)} to {_points(high)}", kind=kind)]


def _points(share: float) -> str:
    """Return percentage points with two decimals: a bound rounded to zero would decide too much."""
    text = f"{100.0 * share:+.2f}"
    return text[1:] if float(text) == 0.0 else text.replace("-", "−")


def _p_value(p: float) -> str:
    return f"< {_LEAST_P:.4f}" if p < _LEAST_P else f"{p:.2g}"


def _by_correction(one: PairAgreement) -> bool:
    return one.paired.p_value < LEVEL <= one.adjusted_p


def _unlike(record: Record, family: Family, notes: Notes) -> tuple[int, ...]:
    """Return a note where the two were not tested alike, which no network is to be blamed for."""
    one, two = family.first.case, record.case
    if family.same_network:
        return ()
    unlike = [
        f"{name} {there or 'unknown'}, the first with {here or 'unknown'}"
        for name, here, there in (
            ("flip", one.flip, two.flip),
            ("precision", one.precision, two.precision),
            ("landmarks", one.landmarks, two.landmarks),
        )
        if here != there
    ]
    return notes.add(f"not tested alike: {'; '.join(unlike)}" if unlike else "")


def _who(record: Record) -> str:
    return f"{record.case.network} in {_run(record)}"


def _run(record: Record) -> str:
    case = record.case
    precision = case.precision if case.precision != "fp32" else ""
    flip = f"flip {case.flip}" if case.flip else ""
    return ", ".join(filter(None, [case.runtime or "an unnamed runtime", precision, flip]))
