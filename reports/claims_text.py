"""Prints claims for a terminal: a line each, and on demand each place with its reasons."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from rich.console import Group
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from facebench.reports.claims import DEPENDS, REFUTED, SUPPORTED, ClaimFinding, Judged
from facebench.reports.page import Notes
from facebench.reports.text import plain

_STYLES = {SUPPORTED: "green", REFUTED: "red", DEPENDS: "yellow"}
_ANSWERS = {SUPPORTED: "yes", REFUTED: "no"}
_NO_FIGURE = "no record for it"


def overview(found: Sequence[Judged], said: str) -> Group:
    """Return a line for each claim: its verdict, the figure that decides it, and the place.

    Args:
        found: the claims, in order.
        said: on what accuracies rest, a sentence; empty where there is nothing to say.
    """
    table = Table(box=None, padding=(0, 1, 0, 0), pad_edge=False, header_style="bold")
    table.add_column("", justify="right", no_wrap=True)
    for head in ("claim", "verdict", "figure"):
        table.add_column(head, no_wrap=True)
    table.add_column("where", overflow="fold")
    for number, one in enumerate(found, start=1):
        figure, place = map(Text, _decided(one))
        table.add_row(str(number), one.claim.short, _verdict(one.verdict), figure, place)
    end = (
        "In brackets are 95 % intervals; +3 are three more such places. --why N says why, --all "
        "does so of each."
    )
    return Group(table, *(Text(line, "dim") for line in (plain(said), end) if line))


def details(found: Judged, number: int) -> Group:
    """Return a claim as the paper has it, its places, and each reason once."""
    head = Text.assemble(
        (f"{number:>2} ", "bold"), (found.claim.text, "bold"), (f" ({found.claim.where})", "dim")
    )
    notes = Notes()
    table = Table(box=None, padding=(0, 1, 0, 0), pad_edge=False, show_header=False)
    for wraps in (False, False, False, True, False):
        table.add_column(no_wrap=not wraps, overflow="fold")
    for one in found.findings:
        marks = ", ".join(map(str, notes.add(*one.reasons)))
        kind = one.kinds[0] if one.figure else ""
        table.add_row(_verdict(one.verdict), _figure(one), kind, Text(plain(one.place)), marks)
    reasons = [Text(f"{index}. {plain(text)}") for index, text in enumerate(notes.texts, start=1)]
    return Group(head, Padding(Group(table, *reasons), (0, 0, 0, 3)))


def flat(found: Judged) -> dict[str, Any]:
    """Return a claim and its findings as JSON's types."""
    return {
        "name": found.claim.name,
        "text": found.claim.text,
        "where": found.claim.where,
        "needs": found.claim.needs,
        "verdict": found.verdict,
        "findings": [asdict(finding) for finding in found.findings],
    }


def _decided(one: Judged) -> tuple[str, str]:
    """Return the figure and the place of the first finding of each verdict that there is."""
    figures, places = [], []
    for group in one.deciding:
        first, more = group[0], len(group) - 1
        answer = f"{_ANSWERS[first.verdict]}: " if one.verdict == DEPENDS else ""
        figures.append(_figure(first))
        place = plain(first.place) if first.figure else _NO_FIGURE
        places.append(f"{answer}{place}{f' +{more}' if more else ''}")
    return "\n".join(figures), "\n".join(places)


def _figure(one: ClaimFinding) -> str:
    return f"{one.figure} [{one.interval}]" if one.interval else one.figure


def _verdict(verdict: str) -> Text:
    return Text(verdict.removesuffix(" here"), _STYLES.get(verdict, "dim"))
