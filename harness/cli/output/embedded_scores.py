"""Renders normalized scores, and error against reject."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from rich.markup import escape

from facebench.harness.cli.output.cells import percent
from facebench.harness.cli.output.terminal import new_table, out
from facebench.harness.comparison.embedded_pairs import NormalizedScores, QualityCurve


def print_normalized(found: Sequence[NormalizedScores]) -> None:
    """Print each method's figures, and what it gains in accuracy over the scores as they were."""
    if not found:
        return
    fars = list(dict.fromkeys(rate.point.rate for one in found for rate in one.summary.tar))
    heads = [f"TAR % at\nFAR {far:g}" for far in fars]
    made = new_table(
        "network",
        "runtime",
        "scores",
        "accuracy %",
        "gain, points",
        "95 % interval",
        *heads,
        "EER %",
    )
    for one in found:
        case, rates = one.record.case, {rate.point.rate: rate.tar for rate in one.summary.tar}
        low, high = one.gain.interval
        made.add_row(
            escape(case.network),
            case.runtime,
            f"{one.method}-normalized",
            f"{100 * one.score.accuracy:.2f}",
            f"{100 * one.gain.difference:+.2f}",
            "refused" if one.gain.refused else f"{100 * low:+.2f} to {100 * high:+.2f}",
            *(percent(rates[far]) if far in rates else "" for far in fars),
            percent(one.summary.eer),
        )
    out.print(made)
    out.print("The gain is over the scores as they were, on the same pairs.", markup=False)


def print_curves(found: Sequence[QualityCurve]) -> None:
    """Print the false rejection rate that remains at each share that is left out."""
    if not found:
        return
    shares = found[0].curve.shares
    heads = [f"FRR % without\n{100 * share:g} %" for share in shares]
    made = new_table("network", "runtime", "at FAR", *heads)
    for one in found:
        case = one.record.case
        frr = map(percent, one.curve.frr)
        made.add_row(escape(case.network), case.runtime, f"{one.curve.point.rate:g}", *frr)
    out.print(made)
    out.print(
        "The threshold is set on all pairs; the pairs whose worse image has the lowest quality are "
        "left out.",
        markup=False,
    )


def normalized_json(one: NormalizedScores) -> dict[str, Any]:
    """Return a method's figures as an object."""
    return {
        "case": asdict(one.record.case),
        "method": one.method,
        "accuracy": one.score.accuracy,
        "gain": one.gain.difference,
        "gain_interval": one.gain.interval,
        "tar": [
            {"point": asdict(rate.point), "interval": rate.tar.interval} for rate in one.summary.tar
        ],
        "eer": asdict(one.summary.eer),
    }


def curve_json(one: QualityCurve) -> dict[str, Any]:
    """Return an error against reject as an object."""
    return {"case": asdict(one.record.case), **asdict(one.curve)}
