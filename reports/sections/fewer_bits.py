"""Shows what fewer bits buy: speed and size against accuracy lost."""

from __future__ import annotations

from collections.abc import Sequence

from facebench.reports.cells import NOTHING, estimated
from facebench.reports.digits import earned, interval, significant
from facebench.reports.evidence import Evidence
from facebench.reports.fewer_bits import WIDE, FewerBits, fewer_bits
from facebench.reports.page import (
    Block,
    Cell,
    Column,
    Notes,
    Paragraph,
    RowGroup,
    Statement,
    Statements,
    Table,
    section,
)

_TEXT = (
    "The same weights in fewer bits, beside single precision in the same runtime: how many times "
    "less time one inference takes, what lies on the disk, and what the same pairs of real faces "
    "say of accuracy. “Pays” goes by time alone, and only where the whole 95 % interval is on one "
    "side of 1. A difference of accuracy that includes 0 is not shown to be one."
)
_COLUMNS = [
    Column("Network", words=True, choice=True),
    Column("Runtime", words=True, choice=True),
    Column("Precision", words=True, choice=True),
    Column("Speed-up", kind="measured"),
    Column("Pays", words=True),
    Column("Size", "MB", "counted"),
    Column("Accuracy, difference", "percentage points"),
    Column("Decisions changed"),
    Column("Left wider", words=True),
]
_UNSCORED = "not scored on real faces in this runtime in both precisions"


@section("fewer_bits", "What fewer bits buy", order=44)
def shown(evidence: Evidence) -> Sequence[Block]:
    """Return the sentences on what does not pay, and the table."""
    found = fewer_bits(evidence)
    if not found:
        return []
    notes = Notes()
    rows = [_row(one, notes) for one in found]
    caption = "Fewer bits against single precision, 1 thread."
    table = Table("fewer-bits", caption, _COLUMNS, [RowGroup(rows)], notes.texts)
    losses = [_does_not_pay(one) for one in found if one.pays == "no"]
    return [Paragraph(_TEXT), *([Statements(losses)] if losses else []), table]


def _does_not_pay(one: FewerBits) -> Statement:
    setting = one.row.setting
    why = f", because {left} stay wider" if (left := _left_wider(one)) else ""
    text = (
        f"{setting.precision} does not pay for {one.row.network} in {setting.runtime}: it takes "
        f"longer than {WIDE} (speed-up {interval(one.speed_up)}){why}."
    )
    return Statement(f"{earned(one.speed_up)}×", text, ("measured",))


def _row(one: FewerBits, notes: Notes) -> list[Cell]:
    return [
        Cell(one.row.network),
        Cell(one.row.setting.runtime),
        Cell(one.row.setting.precision),
        estimated(one.speed_up, "measured"),
        Cell(one.pays),
        _size(one),
        *_accuracy(one, notes),
        Cell(_left_wider(one) or NOTHING.text),
    ]


def _size(one: FewerBits) -> Cell:
    if one.sizes is None:
        return NOTHING
    before, after = (significant(size / 1e6, 3) for size in one.sizes)
    return Cell(after, f"of {before}", "counted")


def _accuracy(one: FewerBits, notes: Notes) -> list[Cell]:
    found = one.accuracy
    if found is None:
        return [Cell(NOTHING.text, notes=notes.add(_UNSCORED)), NOTHING]
    low, high = found.paired.interval
    around = "" if found.paired.refused else f"{_points(low)} to {_points(high)}"
    marks = notes.add(found.paired.refused)
    difference = Cell(_points(found.paired.difference), around, found.second.kind, notes=marks)
    return [difference, Cell(f"{found.changed:,}", kind=found.second.kind)]


def _points(share: float) -> str:
    return f"{100 * share:+.2f}".replace("-", "−")


def _left_wider(one: FewerBits) -> str:
    """Return the operators that the runtime did not compute in so few bits, as it told."""
    return ", ".join(one.row.record.provenance.get("left_wider", ()))
