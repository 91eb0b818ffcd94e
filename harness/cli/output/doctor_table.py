"""Prints what the doctor found: a line for each thing, and what mends it below."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from rich.markup import escape

from facebench.harness.cli.output import terminal
from facebench.harness.runs.doctor.checks import Diagnosis
from facebench.harness.runs.doctor.observation import MISSING, OK, WARNING

_STYLES = {OK: "green", WARNING: "yellow", MISSING: "red"}


def show(found: Sequence[Diagnosis]) -> None:
    """Print findings by group, then how many of each state there are."""
    width = max(len(one.seen.name) for one in found)
    for group, members in groupby(found, key=lambda one: one.check.group):
        terminal.out.print(f"[bold]{group}[/bold]")
        for one in members:
            for line in _lines(one, width):
                terminal.out.print(line, soft_wrap=True, highlight=False)
    terminal.out.print(_summary(found), markup=False, soft_wrap=True)


def _lines(one: Diagnosis, width: int) -> list[str]:
    seen = one.seen
    state = f"[{_STYLES[seen.state]}]{seen.state:7}[/]"
    lines = [f"  {state}  {escape(seen.name):{width}}  {escape(seen.says)}"]
    if seen.mend:
        lines.append(f"  {'':7}  {'':{width}}  for {one.check.serves}: {escape(seen.mend)}")
    return lines


def _summary(found: Sequence[Diagnosis]) -> str:
    counts = {state: sum(one.seen.state == state for one in found) for state in _STYLES}
    told = ", ".join(f"{count} {state}" for state, count in counts.items())
    lacking = [one.seen.name for one in found if one.fatal]
    return f"{told}; facebench cannot run without: {', '.join(lacking)}" if lacking else told
