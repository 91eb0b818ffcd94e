"""Provides a report as Markdown (GitHub's), every text escaped."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import singledispatch

from facebench.reports.page import (
    Block,
    Cell,
    Column,
    Definitions,
    Details,
    FilledSection,
    Paragraph,
    Picture,
    Statements,
    Table,
)
from facebench.reports.text import plain

# An underscore inside a word marks nothing; all others could.
_ACTIVE = re.compile(r"[\\`*\[\]|~$#!&<>@]|(?<!\w)_|_(?!\w)")
_ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;", "@": "&#64;"}


def document(title: str, lead: str, sections: Sequence[FilledSection]) -> str:
    """Return the whole page."""
    parts = [f"# {escape(title)}", escape(lead)]
    for one in sections:
        parts.append(f"## {escape(one.title)}")
        parts += [_block(block) for block in one.blocks]
    return "\n\n".join(parts) + "\n"


def escape(text: str) -> str:
    """Return text that Markdown shows as it is, on one line.

    Example:
        >>> print(escape("a|b <i>_x_</i> mobilefacenet_m"))
        a\\|b &lt;i&gt;\\_x\\_&lt;/i&gt; mobilefacenet_m
    """
    return _ACTIVE.sub(_made_inert, plain(text))


def _made_inert(found: re.Match[str]) -> str:
    letter = found.group()
    return _ENTITIES.get(letter, f"\\{letter}")


@singledispatch
def _block(block: Block) -> str:
    raise TypeError(f"no Markdown for {type(block).__name__}")


@_block.register
def _(block: Paragraph) -> str:
    return f"> **Note.** {escape(block.text)}" if block.warning else escape(block.text)


@_block.register
def _(block: Statements) -> str:
    return "\n".join(
        f"- **{escape(one.figure)}**{_badge(one.badge)} {escape(one.text)}{_kinds(one.kinds)}"
        for one in block.items
    )


@_block.register
def _(block: Picture) -> str:
    image = f"![{escape(block.title)}]({block.name}.png)"
    return f"{image}\n\n**{escape(block.title)}.** {escape(block.caption)}{_kinds(block.kinds)}"


@_block.register
def _(block: Definitions) -> str:
    return "\n".join(f"- **{escape(one.term)}:** {escape(one.text)}" for one in block.items)


@_block.register
def _(block: Details) -> str:
    summary = f"<summary><b>{escape(block.badge)}</b>: {escape(block.summary)}</summary>"
    inside = "\n\n".join(map(_block, block.blocks))
    return f"<details>{summary}\n\n{inside}\n\n</details>"


@_block.register
def _(block: Table) -> str:
    shown = [i for i in range(len(block.columns)) if not _on_demand(block, i)]
    columns = [block.columns[i] for i in shown]
    heads = [_head(column) for column in columns]
    rules = [":---" if column.words else "---:" for column in columns]
    lines = [_line(heads), _line(rules)]
    for group in block.groups:
        if not group.rows:
            continue
        if group.heading:
            blanks = [""] * (len(heads) - 1)
            lines.append(_line([f"**{escape(group.heading)}**", *blanks]))
        lines += [_line([_cell(row[i]) for i in shown]) for row in group.rows]
    notes = [f"{number}. {escape(text)}" for number, text in enumerate(block.notes, start=1)]
    return "\n\n".join(
        part for part in (escape(block.caption), "\n".join(lines), "\n".join(notes)) if part
    )


def _on_demand(block: Table, index: int) -> bool:
    """Return whether a column holds nothing but what a page shows on demand."""
    cells = [row[index] for group in block.groups for row in group.rows]
    return any(cell.more for cell in cells) and not any(cell.text for cell in cells)


def _cell(cell: Cell) -> str:
    text = f"**{escape(cell.text)}**" if cell.strong and cell.text else escape(cell.text)
    detail = f" ({escape(cell.detail)})" if cell.detail else ""
    notes = "".join(f" [{number}]" for number in cell.notes)
    return f"{text}{detail}{_badge(cell.badge)}{notes}".strip()


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _head(column: Column) -> str:
    group = f"{column.group}:" if column.group else ""
    unit = f"({column.unit})" if column.unit else ""
    words = escape(" ".join(filter(None, [group, column.title, unit])))
    return f"{words} *{column.kind}*" if column.kind else words


def _badge(text: str) -> str:
    return f" *{escape(text)}*" if text else ""


def _kinds(kinds: Sequence[str]) -> str:
    return f" *({', '.join(kinds)})*" if kinds else ""
