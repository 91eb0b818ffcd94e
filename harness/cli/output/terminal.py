"""Writes to the terminal: results go to standard output, progress and warnings to standard
error.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.console import Console, ConsoleOptions, RenderableType
from rich.markup import escape
from rich.segment import Segment
from rich.table import Table

# Wide enough for every table where standard output is a file or a pipe.
_WIDE = 200


def plain(text: str) -> str:
    """Return a text whose characters a terminal shows and does not obey; lines stay lines.

    Names, reasons and descriptions come from files, boards and servers of others.

    Example:
        >>> plain("a\\x1b[2Jb\\u202ec")
        'a�[2Jb�c'
    """
    return "".join(one if one.isprintable() or one in "\n\t" else "\ufffd" for one in text)


class _PlainConsole(Console):
    """A console on which only styles of ours make escapes, no text does, and no `:name:` a picture.

    `folder:phone:` is a dataset's name with a colon after it.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(emoji=False, **options)

    def on_broken_pipe(self) -> None:
        """Leave it to the command line, where Rich would leave with exit code 1."""
        raise BrokenPipeError

    def render(
        self, renderable: RenderableType, options: ConsoleOptions | None = None
    ) -> Iterator[Segment]:
        """Render as any console does, with plain texts."""
        for text, style, control in super().render(renderable, options):
            yield Segment(text if control else plain(text), style, control)


out = _PlainConsole(width=None if sys.stdout.isatty() else _WIDE)
err = _PlainConsole(stderr=True, width=None if sys.stderr.isatty() else _WIDE)


def say(sentence: str) -> None:
    """Print a sentence on standard error, as it is."""
    err.print(sentence, markup=False, highlight=False, soft_wrap=True)


def as_json(data: Any) -> None:
    """Print JSON, and nothing else, on standard output."""
    json.dump(data, sys.stdout, indent=1, allow_nan=False)
    sys.stdout.write("\n")


def catalogue(kinds: Mapping[str, Sequence[Mapping[str, Any]]]) -> None:
    """Print tables of what there is to choose from."""
    for kind, entries in kinds.items():
        table = Table(title=kind, title_justify="left", show_edge=False)
        columns = [name for name in entries[0] if name != "note"]  # sentences, for JSON
        for column in columns:
            table.add_column(column)
        for entry in entries:
            table.add_row(*(escape(_word(entry[name])) for name in columns))
        out.print(table)


def _word(value: Any) -> str:
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else str(value)


def rows(entries: Sequence[Mapping[str, Any]]) -> Table:
    """Return a table with entries down, their fields across."""
    table = new_table(*entries[0]) if entries else new_table("nothing")
    for entry in entries:
        cells = (" ".join(v) if isinstance(v, tuple) else str(v) for v in entry.values())
        table.add_row(*map(escape, cells))
    return table


def new_table(first: str, *others: str) -> Table:
    """Return an empty table; all columns but the first are figures, to the right."""
    table = Table(show_edge=False)
    table.add_column(first, no_wrap=True)
    for name in others:
        table.add_column(name, justify="right")
    return table
