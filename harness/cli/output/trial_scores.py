"""Renders tables of trials, for a terminal."""

from __future__ import annotations

from collections.abc import Sequence

from rich.markup import escape

from facebench.harness.cli.output.terminal import new_table, out
from facebench.harness.records.record import Record
from facebench.harness.records.trials import TrialScores, over_trials

MEANING = (
    "Mean less standard deviation over {trials} trials, as BLUFR reports it; below it the two. "
    "Trials share images and people: their deviation is no interval."
)


def print_trials(records: Sequence[Record]) -> None:
    """Print what each record's trials gave, and what is to be known of it."""
    results = [(r, r.result) for r in records if isinstance(r.result, TrialScores)]
    if not results:
        return
    first = results[0][1]
    heads = [f"TAR % at\nFAR {first.far:g}", f"found %, at\n{first.alarm_rate:g} false alarms"]
    counts = ["images", "people", "images/s", "kind"]
    made = new_table("network", "runtime", "precision", *heads, *counts)
    for record, one in results:
        made.add_row(
            escape(record.case.network),
            record.case.runtime,
            record.case.precision,
            _cell(one.tar),
            _cell(one.found),
            f"{one.images:,}",
            f"{one.people:,}",
            f"{one.images_per_second:.3g}",
            record.kind + (f"\n{one.label.partition(':')[0]}" if one.label else ""),
        )
    out.print(made)
    texts = [MEANING.format(trials=len(one.tar)) for _, one in results]
    for text in dict.fromkeys([*texts, *(one.label for _, one in results if one.label)]):
        out.print(text, markup=False)


def _cell(shares: tuple[float, ...]) -> str:
    found = over_trials(shares)
    return f"{found.reported:.2%}\n{found.mean:.2%} ± {found.deviation:.2%}".replace("%", "")
