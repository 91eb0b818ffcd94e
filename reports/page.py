"""A report as data: sections of blocks, which HTML and Markdown both are made from."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from facebench.architectures.registry import Registry
from facebench.reports.evidence import Evidence

# Of a table on a page, which is to be read by people and small enough to be sent.
MOST_TABLE_ROWS = 500


@dataclass(frozen=True)
class Cell:
    """It is one cell of a table.

    Attributes:
        text: the figure or the words.
        detail: what goes below it in smaller print, such as its interval.
        kind: how the figure was obtained; empty for words.
        badge: a word of caution or distinction, such as `untuned`.
        notes: numbers of the notes below the table.
        strong: set off from the others.
        more: what is shown on demand.
    """

    text: str
    detail: str = ""
    kind: str = ""
    badge: str = ""
    notes: tuple[int, ...] = ()
    strong: bool = False
    more: str = ""


@dataclass(frozen=True)
class Column:
    """It is a column's head. `group` joins neighbours under one head; `kind` holds for all its
    cells.

    Readers of a page may choose among the values of a column with `choice`.
    """

    title: str
    unit: str = ""
    kind: str = ""
    group: str = ""
    words: bool = False
    choice: bool = False


@dataclass(frozen=True)
class RowGroup:
    """Rows that belong together, under a heading of their own if it is not empty."""

    rows: Sequence[Sequence[Cell]]
    heading: str = ""


@dataclass(frozen=True)
class Table:
    """It is a table. `notes` are numbered from 1; the cells' `notes` refer to them."""

    name: str
    caption: str
    columns: Sequence[Column]
    groups: Sequence[RowGroup]
    notes: Sequence[str] = ()

    @property
    def spans(self) -> list[tuple[str, int]]:
        """Return the heads above the columns' heads, with how many columns each spans."""
        found: list[tuple[str, int]] = []
        for column in self.columns:
            if found and found[-1][0] == column.group:
                found[-1] = (column.group, found[-1][1] + 1)
            else:
                found.append((column.group, 1))
        return found if any(name for name, _ in found) else []


@dataclass(frozen=True)
class Statement:
    """A sentence that the records support, the figure it turns on, and how that was obtained."""

    figure: str
    text: str
    kinds: Sequence[str]
    badge: str = ""


@dataclass(frozen=True)
class Statements:
    """It holds statements under one another."""

    items: Sequence[Statement]


@dataclass(frozen=True)
class Paragraph:
    """It holds running text; `warning` sets it off."""

    text: str
    warning: bool = False


@dataclass(frozen=True)
class Picture:
    """A drawn figure, by its name in the registry of figures.

    `chart` is its Vega-Lite specification, where it has one: a page shows that in place of
    the drawing where scripts may run.
    """

    name: str
    title: str
    caption: str
    kinds: Sequence[str]
    chart: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Definition:
    """It is a term and what it means; `kind` shows the term as that kind's badge."""

    term: str
    text: str
    kind: str = ""


@dataclass(frozen=True)
class Definitions:
    """It is a list of terms."""

    items: Sequence[Definition]


@dataclass(frozen=True)
class Details:
    """Blocks that are shown on demand, under a line that is always there.

    Attributes:
        summary: the line.
        badge: a word before it; `tone` is `good`, `bad` or empty.
        blocks: what it opens to.
    """

    summary: str
    badge: str
    tone: str
    blocks: Sequence[Block]


Block = Statements | Paragraph | Picture | Table | Definitions | Details
Build = Callable[[Evidence], Sequence[Block]]


@dataclass(frozen=True)
class Section:
    """It is a part of the report. Without blocks it is left out."""

    name: str
    title: str
    order: int
    build: Build


@dataclass(frozen=True)
class FilledSection:
    """It is a section and what it came to."""

    name: str
    title: str
    blocks: Sequence[Block]


SECTIONS: Registry[Section] = Registry("report section", package="facebench.reports.sections")


def section(name: str, title: str, order: int) -> Callable[[Build], Build]:
    """Register the decorated function as a section, at a place on the page given by `order`."""

    def decorate(build: Build) -> Build:
        SECTIONS.add(name, Section(name, title, order, build))
        return build

    return decorate


def assemble(evidence: Evidence) -> list[FilledSection]:
    """Return all sections that have something to say, in order."""
    ordered = sorted(SECTIONS, key=lambda one: one.order)
    filled = [
        FilledSection(one.name, one.title, [*map(_shortened, one.build(evidence))])
        for one in ordered
    ]
    return [one for one in filled if one.blocks]


def _shortened(block: Block) -> Block:
    """Return a table that is longer than anyone reads, cut, with a word on where the rest is."""
    if not isinstance(block, Table) or sum(len(g.rows) for g in block.groups) <= MOST_TABLE_ROWS:
        return block
    kept, room = [], MOST_TABLE_ROWS
    for group in block.groups:
        kept.append(RowGroup(group.rows[:room], group.heading))
        room -= len(kept[-1].rows)
    left = sum(len(group.rows) for group in block.groups) - MOST_TABLE_ROWS
    caption = (
        f"{block.caption} The first {MOST_TABLE_ROWS:,} rows; {left:,} more are in the CSV files "
        "beside this page."
    )
    return replace(block, caption=caption, groups=kept)


@dataclass
class Notes:
    """Collects the notes below a table; equal ones share a number.

    Example:
        >>> notes = Notes()
        >>> notes.add("too few samples"), notes.add(""), notes.add("too few samples")
        ((1,), (), (1,))
    """

    texts: list[str] = field(default_factory=list)

    def add(self, *texts: str) -> tuple[int, ...]:
        """Return numbers of the notes, in order; empty texts are passed over."""
        for text in texts:
            if text and text not in self.texts:
                self.texts.append(text)
        return tuple(sorted({self.texts.index(text) + 1 for text in texts if text}))
