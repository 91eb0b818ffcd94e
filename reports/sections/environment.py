"""Shows the environments that the records come from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from facebench.reports.environments import (
    Environment,
    another_machine,
    differences,
    disagreements,
    distinct,
)
from facebench.reports.evidence import Evidence
from facebench.reports.page import Block, Cell, Column, Paragraph, RowGroup, Table, section

# A table with more columns than this is read by nobody.
MOST_SHOWN = 6


@section("environment", "Environment", order=90)
def environment(evidence: Evidence) -> Sequence[Block]:
    """Return one column for each distinct environment, and a sentence on how they differ."""
    found = sorted(distinct(evidence.own), key=lambda one: -one.records)
    if not found:
        return [Paragraph("The records do not say on what they were obtained.", warning=True)]
    shown = found[:MOST_SHOWN]
    differing = disagreements(shown)
    names = dict.fromkeys([*differing, *(name for one in shown for name in one.facts)])
    rows = [
        [Cell(name, strong=name in differing), *(Cell(_text(one.facts.get(name))) for one in shown)]
        for name in names
    ]
    heads = [Column(_title(i, one), words=True) for i, one in enumerate(shown, start=1)]
    caption = "Readings of the moment, such as load, are left out; each record holds its own."
    if len(found) > len(shown):
        caption += f" {len(found) - len(shown)} further environments are not shown."
    table = Table("environment", caption, [Column("Fact", words=True), *heads], [RowGroup(rows)])
    return [*_warning(found), table]


def _warning(found: Sequence[Environment]) -> list[Block]:
    blocks: list[Block] = []
    for number, other in enumerate(found[1:MOST_SHOWN], start=2):
        what = differences(found[0].facts, other.facts)
        consequence = (
            "ratios across them are refused"
            if another_machine(what)
            else "figures from both are compared with that reservation"
        )
        listed = ", ".join(str(difference) for difference in what)
        text = f"Environments 1 and {number} differ in {listed}: {consequence}."
        blocks.append(Paragraph(text, warning=True))
    return blocks


def _title(number: int, one: Environment) -> str:
    return f"Environment {number} ({one.records} record{'s' if one.records != 1 else ''})"


def _text(value: Any) -> str:
    if value is None:
        return "–"
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)
