"""Answers which runtime to ship a network with, on this machine and on emulated cores."""

from __future__ import annotations

from collections.abc import Sequence

from facebench.reports.cells import estimated
from facebench.reports.digits import significant
from facebench.reports.emulated import EmulatedCore, EmulatedRow
from facebench.reports.evidence import Evidence
from facebench.reports.page import Block, Cell, Column, Paragraph, RowGroup, Table, section
from facebench.reports.shipping import (
    Choice,
    ModelledChoice,
    choices,
    modelled_choices,
    runtime,
    times_longer,
)

_NONE = "–"

_MEASURED = [
    Column("Network", words=True, choice=True),
    Column("Ship", words=True),
    Column("Time", "ms", "measured"),
    Column("Shown to be slower", words=True),
]
_MODELLED = [
    Column("Network", words=True, choice=True),
    Column("Core", words=True, choice=True),
    Column("Modelled times of one inference, the least first", words=True),
]


@section("shipping", "Which runtime should I ship?", order=8)
def shipping(evidence: Evidence) -> Sequence[Block]:
    """Return the runtimes to choose from for each network, by precision; then modelled times."""
    return [*_timed(choices(evidence)), *_emulated(modelled_choices(evidence))]


def _timed(found: Sequence[Choice]) -> list[Block]:
    if not found:
        return []
    text = (
        "For each network, the runtimes that are not shown to be slower than the one of the least "
        "time, by the 95 % interval of the ratio of the two times: any of them may be the "
        "fastest. One thread, one image; code that was never tuned takes no part. The figures "
        "speak of the machine that they were measured on."
    )
    groups = [
        RowGroup([_row(one) for one in found if one.heading == heading], heading)
        for heading in dict.fromkeys(one.heading for one in found)
    ]
    caption = "Runtimes to ship, and how much more time the others take."
    return [Paragraph(text), Table("shipping", caption, _MEASURED, groups)]


def _row(choice: Choice) -> list[Cell]:
    first = choice.timed[0]
    assert first.median is not None
    return [
        Cell(choice.network),
        Cell(" or ".join(runtime(row) for row in choice.ship), strong=True),
        estimated(first.median, "measured"),
        Cell(", ".join(times_longer(row, first) for row in choice.slower) or _NONE),
    ]


def _emulated(found: Sequence[ModelledChoice]) -> list[Block]:
    if not found:
        return []
    text = (
        "On emulated cores times are modelled. Two runtimes are told apart only where the "
        "intervals of both are apart; a time without an interval is of a runtime of which no "
        "published times were held against the model, and it ranks nothing. Where there is no "
        "word on a row, the model cannot say which runtime is faster: time it on a board."
    )
    rows = [
        [
            Cell(one.network),
            Cell(one.core),
            Cell("; ".join(map(_modelled, one.times)), _decided(one)),
        ]
        for one in found
    ]
    caption = "Modelled times by runtime, nothing of which was observed."
    return [Paragraph(text), Table("shipping-modelled", caption, _MODELLED, [RowGroup(rows)])]


def _modelled(time: tuple[EmulatedCore, EmulatedRow]) -> str:
    place, row = time
    assert row.modelled is not None
    known = row.modelled.interval_ms
    around = " to ".join(significant(end, 2) for end in known) if known else "no interval"
    precision = "" if place.case.precision == "fp32" else f" {place.case.precision}"
    return (
        f"{place.case.runtime}{precision} {significant(row.modelled.milliseconds['1'], 3)} ms "
        f"({around})"
    )


def _decided(choice: ModelledChoice) -> str:
    """Return what the intervals decide; empty where they decide nothing."""
    (place, row), *others = choice.times
    assert row.modelled is not None
    ends = [other.modelled.interval_ms for _, other in others if other.modelled is not None]
    high = row.modelled.interval_ms[1] if row.modelled.interval_ms else None
    if high is None or any(end is None or end[0] <= high for end in ends):
        return ""
    return f"{place.case.runtime} is the fastest of these, by the model"
