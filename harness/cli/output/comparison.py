"""Renders a comparison for a terminal."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.markup import escape

from facebench.harness.cli.output.terminal import new_table, out
from facebench.harness.comparison.escape import visible
from facebench.harness.comparison.outputs import github
from facebench.harness.comparison.verdict import Comparison, Line, Verdict
from facebench.harness.comparison.wording import HEAD, case_text, cells, in_short, renewal, why
from facebench.harness.records.case import Case

_COLOURS = {Verdict.FASTER: "green", Verdict.BETTER: "green"}


def show(comparison: Comparison) -> None:
    """Print all lines but the equal counts, why, what has no counterpart, and the sum of it."""
    told = [line for line in comparison.lines if line.interval or line.verdict is not Verdict.SAME]
    if told:
        table = new_table(*HEAD[:-2])
        for name in HEAD[-2:]:
            table.add_column(name, no_wrap=True)
        for line in told:
            table.add_row(*_cells(line))
        out.print(table)
    for line in told:
        if line.notes or line.verdict is not Verdict.SAME:
            _print_why(line)
    if equal := len(comparison.lines) - len(told):
        out.print(f"{equal} exact figures are the same", highlight=False)
    for name, cases in (("BASE", comparison.only_base), ("NEW", comparison.only_new)):
        _print_only(name, cases)
    for text in filter(None, (in_short(comparison), renewal(comparison))):
        out.print(visible(text), markup=False, soft_wrap=True)


def show_on_github(comparison: Comparison) -> None:
    """Print it with the workflow's annotations, and add it to the summary of the step."""
    with github.no_commands():
        show(comparison)
    print("\n".join(github.commands(comparison)))
    if path := os.environ.get("GITHUB_STEP_SUMMARY"):
        with Path(path).open("a", encoding="utf-8") as file:
            file.write(github.summary(comparison))


def to_json(comparison: Comparison) -> dict[str, Any]:
    """Return a comparison in JSON's types."""
    policy = asdict(comparison.policy) | {"across": sorted(comparison.policy.across)}
    return {
        "base": comparison.base,
        "new": comparison.new,
        "measured": comparison.measured,
        "policy": policy,
        "regressions": len(comparison.regressions),
        "counts": comparison.counts,
        "lines": [asdict(line) | {"alarm": line.verdict.alarms} for line in comparison.lines],
        "only_base": [asdict(case) for case in comparison.only_base],
        "only_new": [asdict(case) for case in comparison.only_new],
    }


def _cells(line: Line) -> list[str]:
    shown = [escape(visible(text)) for text in cells(line)]
    colour = "red" if line.verdict.alarms else _COLOURS.get(line.verdict)
    if colour:
        shown[-1] = f"[{colour}]{shown[-1]}[/]"
    return shown


def _print_why(line: Line) -> None:
    about = f"{line.verdict}: {case_text(line.case)}, {line.figure}: {why(line)}"
    out.print(visible(about), markup=False, highlight=False, soft_wrap=True)


def _print_only(side: str, cases: Sequence[Case]) -> None:
    for case in cases:
        text = f"only in {side}: {visible(case_text(case))}"
        out.print(text, markup=False, highlight=False, soft_wrap=True)
