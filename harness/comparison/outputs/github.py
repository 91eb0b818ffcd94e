"""Writes for GitHub Actions: annotations of a workflow's log, and the summary of its step."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from facebench.harness.comparison.escape import command_data, command_property, markdown
from facebench.harness.comparison.verdict import Comparison, Line, Verdict
from facebench.harness.comparison.wording import (
    HEAD,
    case_text,
    cells,
    change_text,
    in_short,
    interval_text,
    renewal,
    why,
)

# GitHub shows ten of a sort for a step, and takes a summary of up to 1 MiB.
MOST_ANNOTATIONS = 10
MOST_ROWS = 500


def commands(comparison: Comparison) -> list[str]:
    """Return workflow commands: an error a regression, a notice with the sum of it."""
    alarms = comparison.regressions
    shown = alarms[: MOST_ANNOTATIONS - 1] if len(alarms) > MOST_ANNOTATIONS else alarms
    lines = [_error(line) for line in shown]
    if len(shown) < len(alarms):
        lines.append(f"::error title=facebench::and {len(alarms) - len(shown)} more regressions")
    return [*lines, f"::notice title=facebench compare::{command_data(in_short(comparison))}"]


@contextmanager
def no_commands() -> Iterator[None]:
    """Make whatever is printed within text to the workflow, a name such as `::error::` too."""
    token = secrets.token_hex(16)
    print(f"::stop-commands::{token}", flush=True)
    try:
        yield
    finally:
        print(f"::{token}::", flush=True)


def summary(comparison: Comparison) -> str:
    """Return the step's summary in Markdown: what changed is a table, what is the same a number."""
    title = f"{comparison.base} → {comparison.new}"
    told = [line for line in comparison.lines if line.verdict is not Verdict.SAME]
    parts = [
        f"### facebench: {markdown(title)}",
        markdown(in_short(comparison)),
        *filter(None, [markdown(renewal(comparison))]),
        *_table(told[:MOST_ROWS]),
        *([f"{len(told) - MOST_ROWS} more lines are left out."] if len(told) > MOST_ROWS else []),
        *_only("BASE", len(comparison.only_base)),
        *_only("NEW", len(comparison.only_new)),
    ]
    return "\n\n".join(parts) + "\n"


def _error(line: Line) -> str:
    title = command_property(f"{line.verdict}: {case_text(line.case)}")
    said = "; ".join(filter(None, (change_text(line), interval_text(line), why(line))))
    return f"::error title={title}::{command_data(f'{line.figure}: {said}')}"


def _table(lines: Sequence[Line]) -> list[str]:
    if not lines:
        return []
    head = (*HEAD, "why")
    rows = [head, ("---",) * len(head), *map(_cells, lines)]
    return ["\n".join(f"| {' | '.join(row)} |" for row in rows)]


def _cells(line: Line) -> tuple[str, ...]:
    mark = "❌ " if line.verdict.alarms else ""
    *texts, verdict = cells(line)
    return tuple(map(markdown, (*texts, mark + verdict, why(line))))


def _only(side: str, count: int) -> list[str]:
    if not count:
        return []
    return [f"{count} case{'s are' if count > 1 else ' is'} only in {side}."]
