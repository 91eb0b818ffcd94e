"""Prints claims for a terminal: a line each, and on demand each place with its reasons."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
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

# On 80 columns it leaves room for a place.
_FIGURE_WIDTH = 22


def overview(found: Sequence[Judged], said: str) -> Group:
    """Return a line for each claim: its verdict, the figure that decides it, and the place.

    Args:
        found: the claims, in order.
        said: on what accuracies rest, a sentence; empty where there is nothing to say.
    """
    table = Table(box=None, padding=(0, 1, 0, 0), pad_edge=False, header_style="bold")
    table.add_column("", justify="right", no_wrap=True)
    for head in ("claim", "verdict"):
        table.add_column(head, no_wrap=True)
    table.add_column("figure", max_width=_FIGURE_WIDTH, overflow="fold")
    table.add_column("where", overflow="fold")
    for number, one in enumerate(found, start=1):
        said_once = (Text(str(number)), Text(one.claim.short), _verdict(one.verdict))
        for figure, place in _decided(one):
            table.add_row(*said_once, Text(figure), Text(place))
            said_once = (Text(), Text(), Text())
    end = "[ ]: 95 % interval; +3: three more such places; --why N or --all: the reasons."
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


def _decided(one: Judged) -> Iterator[tuple[str, str]]:
    """Yield the figure and the place of the first finding of each verdict that there is."""
    for first, *others in one.deciding:
        answer = f"{_ANSWERS[first.verdict]}: " if one.verdict == DEPENDS else ""
        place = plain(first.place) if first.figure else _NO_FIGURE
        yield _figure(first), f"{answer}{place}{f' +{len(others)}' if others else ''}"


def _figure(one: ClaimFinding) -> str:
    return f"{one.figure} [{one.interval}]" if one.interval else one.figure


def _verdict(verdict: str) -> Text:
    return Text(verdict.removesuffix(" here"), _STYLES.get(verdict, "dim"))
