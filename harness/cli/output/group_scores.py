"""Renders accuracy by group, for a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from rich.markup import escape

from facebench.architectures.errors import BadInputError, RefusedError
from facebench.harness.cli.output.cells import percent
from facebench.harness.cli.output.terminal import new_table, out
from facebench.harness.records.accuracy import Accuracy
from facebench.harness.records.record import Record
from facebench.harness.verification.groups import ByGroup, by_group


def print_groups(records: Sequence[Record]) -> None:
    """Print the figures of each group, and the widest gap between two."""
    found = [(record, one) for record in records if isinstance(one := _groups(record), ByGroup)]
    if not found:
        return
    far = f"{found[0][1].common.rate:g}"
    made = new_table(
        "network", "runtime", "group", "accuracy %", f"FAR % where\nall have {far}",
        "FRR %\nthere", "pairs",
    )  # fmt: skip
    for record, groups in found:
        for rates in groups.groups:
            made.add_row(
                escape(record.case.network),
                record.case.runtime,
                escape(rates.name),
                percent(rates.accuracy),
                percent(rates.common.far),
                percent(rates.common.frr),
                f"{rates.pairs:,}",
            )
    out.print(made)
    for record, groups in found:
        out.print(f"{record.case.network} in {record.case.runtime}: {_gap(groups)}", markup=False)
    out.print(
        "Accuracy is at thresholds of each group's own; FAR and FRR are at the one that all pairs "
        "together set. The gap's interval holds for all gaps between two groups at once.",
        markup=False,
    )


def group_json(record: Record) -> dict[str, Any]:
    """Return the figures by group as an object; none where a record has no groups."""
    found = _groups(record)
    if isinstance(found, ByGroup):
        return {"groups": asdict(found)}
    return {"groups_refused": found} if found else {}


def _groups(record: Record) -> ByGroup | str:
    """Return figures by group, or why there are none; empty where a dataset has no groups."""
    if not isinstance(record.result, Accuracy):
        return ""
    try:
        return by_group(record.result) or ""
    except (BadInputError, RefusedError) as error:
        return str(error)


def _gap(found: ByGroup) -> str:
    gap, difference = found.gap, found.gap.difference
    said = (
        f"{gap.best} {100 * difference.value:.2f} points more accurate than {gap.worst}, the "
        "widest gap"
    )
    if difference.interval is None:
        return f"{said} ({difference.note})"
    low, high = (100 * end for end in difference.interval)
    return f"{said} (95 % interval {low:+.2f} to {high:+.2f})"
