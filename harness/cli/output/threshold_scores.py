"""Renders what a threshold of one dataset does on another."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from rich.markup import escape

from facebench.harness.cli.output.cells import percent
from facebench.harness.cli.output.terminal import new_table, out
from facebench.harness.comparison.threshold_transfer import Transfer, Transfers


def print_transfers(found: Transfers) -> None:
    """Print FAR and FRR at each threshold, and which could not be set."""
    if found.found:
        source, target = (found.found[0].source.case.dataset, found.found[0].record.case.dataset)
        made = new_table(
            "network", "runtime", "precision", f"set on {escape(source)}\nat FAR", "threshold",
            f"FAR % on\n{escape(target)}", f"FRR % on\n{escape(target)}",
        )  # fmt: skip
        for one in found.found:
            case = one.record.case
            made.add_row(
                escape(case.network),
                case.runtime,
                case.precision,
                f"{one.point.rate:g}",
                f"{one.point.threshold:.4f}",
                percent(one.there.far),
                percent(one.there.frr),
            )
        out.print(made)
        texts = ["Below a rate its 95 % interval; the threshold is taken as it was set."]
        texts += [rate.note for one in found.found for rate in (one.there.far, one.there.frr)]
        for text in dict.fromkeys(filter(None, texts)):
            out.print(text, markup=False)
    for sentence in found.refused:
        out.print(sentence, markup=False)


def transfer_json(one: Transfer) -> dict[str, Any]:
    """Return a threshold and its rates as an object."""
    return {
        "source": asdict(one.source.case),
        "case": asdict(one.record.case),
        "far_there": asdict(one.there.far),
        "frr_there": asdict(one.there.frr),
        **asdict(one.point),
    }
