"""Prints claims and verdicts for a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.padding import Padding
from rich.text import Text

from facebench.reports.claims import DEPENDS, REFUTED, SUPPORTED, ClaimFinding, Judged
from facebench.reports.text import plain

_STYLES = {SUPPORTED: "green", REFUTED: "red", DEPENDS: "yellow"}


def lines(found: Sequence[Judged]) -> Iterator[Text | Padding]:
    """Yield a claim a line, its verdict first; below it its places."""
    for one in found:
        yield Text.assemble(
            (one.verdict, f"bold {_STYLES.get(one.verdict, 'dim')}"),
            f"  {one.claim.text} ",
            (f"({one.claim.where})", "dim"),
        )
        for finding in one.findings:
            yield Padding(_finding(finding), (0, 0, 0, 4))


def _finding(one: ClaimFinding) -> Text:
    figure = f"{one.figure} [{one.interval}]" if one.interval else one.figure
    kind = one.kinds[0] if one.figure and one.kinds else ""
    head = ", ".join(filter(None, (plain(one.place), " ".join(filter(None, (figure, kind))))))
    return Text.assemble(
        (one.verdict if head else "", _STYLES.get(one.verdict, "dim")),
        f": {head}. " if head else "",
        (plain(one.why), "dim"),
    )
