"""Tables of verification and identification, for a terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from rich.markup import escape
from rich.table import Table

from facebench.harness.cli.output import console
from facebench.harness.cli.output.terminal import err, new_table, out
from facebench.harness.comparison.pair_agreement import PairAgreement
from facebench.harness.comparison.verification_run import VerificationOutcome
from facebench.harness.records.accuracy import Accuracy, Identification, OperatingPoint
from facebench.harness.records.record import Record
from facebench.harness.verification.metrics import wilson
from facebench.harness.verification.summary import Rate, Summary

_NOT_FOUND_SHOWN = 5


def scores(records: Sequence[Record], summaries: Mapping[str, Summary]) -> None:
    """Print each figure with its interval; a table for pairs, one for searches."""
    pairs = [r for r in records if isinstance(r.result, Accuracy)]
    searches = [r for r in records if isinstance(r.result, Identification)]
    if pairs:
        out.print(_verification(pairs, summaries))
        _print_notes(pairs, summaries)
    if searches:
        out.print(_identification(searches))
    for record in records:
        _print_not_found(record)


def agreements(found: Sequence[PairAgreement]) -> None:
    """Print comparisons pair by pair; runs of one network say what changed."""
    if not found:
        return
    made = new_table("first")
    made.add_column("second", no_wrap=True)
    for name in (
        "accuracy,\nsecond - first", "95 % interval", "only first\nright", "only second\nright",
        "McNemar p\n(Holm)", "decisions\nchanged", "embeddings\ndiffer by", "lowest\ncosine",
        "verdict",
    ):  # fmt: skip
        made.add_column(name, justify="right")
    for one in found:
        low, high = one.paired.interval
        made.add_row(
            escape(_who(one.first)),
            escape(_who(one.second)),
            f"{one.paired.difference:+.2%}",
            f"{low:+.2%} to {high:+.2%}",
            f"{one.paired.only_first:,}",
            f"{one.paired.only_second:,}",
            f"{one.adjusted_p:.2g}",
            f"{one.changed:,} of {one.paired.pairs:,}",
            f"{one.embeddings.relative:.1e}" if one.embeddings else "",
            f"{one.embeddings.lowest_cosine:.6f}" if one.embeddings else "",
            one.verdict,
        )
    out.print(made)
    out.print(
        "McNemar's exact test on the pairs that one of the two got right, corrected for "
        f"{len(found)} comparison{'s' if len(found) > 1 else ''}; intervals by bootstrap over "
        f"{found[0].paired.over}."
    )


def json(outcome: VerificationOutcome) -> list[dict[str, Any]]:
    """Return records as objects, each with its summary where it has one."""
    return [_flat(record, outcome.summaries) for record in outcome.records]


def comparison_json(outcome: VerificationOutcome) -> dict[str, Any]:
    """Return records as objects, and what pairs say of every two."""
    return {
        "records": json(outcome),
        "comparisons": [
            {
                "first": asdict(one.first.case),
                "second": asdict(one.second.case),
                **asdict(one.paired),
                "difference": one.paired.difference,
                "adjusted_p": one.adjusted_p,
                "changed_decisions": one.changed,
                "largest_score_difference": one.score_difference,
                "embeddings": one.embeddings and asdict(one.embeddings),
                "verdict": one.verdict,
            }
            for one in outcome.agreements
        ],
    }


def _flat(record: Record, summaries: Mapping[str, Summary]) -> dict[str, Any]:
    summary = summaries.get(record.case.key)
    return console.flat(record) | ({"summary": asdict(summary)} if summary else {})


def _verification(records: Sequence[Record], summaries: Mapping[str, Summary]) -> Table:
    fars = [r.point.rate for s in summaries.values() for r in s.tar]
    made = new_table("network", "runtime", "precision")
    for name in ("accuracy %", "standard\nerror", "fold\nst. dev."):
        made.add_column(name, justify="right")
    for far in sorted(set(fars), reverse=True):
        made.add_column(f"TAR % at\nFAR {far:g}", justify="right")
    for name in ("EER %", "AUC", "d'", "pairs", "flip", "kind"):
        made.add_column(name, justify="right")
    for record in records:
        result, summary = record.result, summaries.get(record.case.key)
        assert isinstance(result, Accuracy)
        rates = {rate.point.rate: rate for rate in summary.tar} if summary else {}
        made.add_row(
            escape(record.case.network),
            record.case.runtime,
            record.case.precision,
            f"{100 * result.accuracy:.2f}",
            f"{100 * result.standard_error:.2f}",
            f"{100 * result.fold_standard_deviation:.2f}",
            *(_rate(rates.get(far)) for far in sorted(set(fars), reverse=True)),
            *(_separation(summary) if summary else [""] * 3),
            f"{result.pairs:,}",
            result.flip,
            record.kind + (f"\n{result.label.partition(':')[0]}" if result.label else ""),
        )
    return made


def _rate(rate: Rate | None) -> str:
    if rate is None:
        return ""
    low, high = rate.bootstrap
    return f"{100 * rate.point.true_rate:.2f}\n{100 * low:.2f} to {100 * high:.2f}"


def _separation(summary: Summary) -> list[str]:
    low, high = summary.eer_interval
    return [
        f"{100 * summary.eer:.2f}\n{100 * low:.2f} to {100 * high:.2f}",
        f"{summary.auc:.5f}\n{summary.auc_interval[0]:.5f} to {summary.auc_interval[1]:.5f}",
        f"{summary.d_prime:.2f}",
    ]


def _print_notes(records: Sequence[Record], summaries: Mapping[str, Summary]) -> None:
    found = list(summaries.values())
    labels = {r.result.label for r in records if isinstance(r.result, Accuracy) and r.result.label}
    if found:
        out.print(
            f"Below a figure its 95 % interval, by bootstrap over {found[0].over}; the standard "
            "error is that of the mean of the folds."
        )
    for text in dict.fromkeys([*labels, *(t for s in found for t in s.refused.values())]):
        out.print(text, markup=False)


def _identification(records: Sequence[Record]) -> Table:
    made = new_table("network", "runtime", "precision")
    points = [p for r in records if isinstance(r.result, Identification) for p in r.result.tpir]
    tars = [p for r in records if isinstance(r.result, Identification) for p in r.result.tar]
    made.add_column("rank 1 %", justify="right")
    fpirs = sorted({p.rate for p in points}, reverse=True)
    fars = sorted({p.rate for p in tars}, reverse=True)
    for name in [f"TPIR % at\nFPIR {r:g}" for r in fpirs] + [f"TAR % at\nFAR {r:g}" for r in fars]:
        made.add_column(name, justify="right")
    for name in ("probes", "distractors", "images/s", "kind"):
        made.add_column(name, justify="right")
    for record in records:
        result = record.result
        assert isinstance(result, Identification)
        made.add_row(
            escape(record.case.network),
            record.case.runtime,
            record.case.precision,
            f"{100 * result.rank1:.2f}",
            *(_point(result.tpir, rate) for rate in fpirs),
            *(_point(result.tar, rate) for rate in fars),
            f"{result.probes:,}",
            f"{result.distractors:,}",
            f"{result.images_per_second:.3g}",
            record.kind + (f"\n{result.label.partition(':')[0]}" if result.label else ""),
        )
    return made


def _point(points: Sequence[OperatingPoint], rate: float) -> str:
    found = next((point for point in points if point.rate == rate), None)
    if found is None:
        return ""
    low, high = wilson(found.accepted, found.trials)
    return f"{100 * found.true_rate:.2f}\n{100 * low:.2f} to {100 * high:.2f}"


def _print_not_found(record: Record) -> None:
    result = record.result
    assert isinstance(result, Accuracy | Identification)
    if not result.not_found:
        return
    names = ", ".join(result.not_found[:_NOT_FOUND_SHOWN])
    more = len(result.not_found) - _NOT_FOUND_SHOWN
    err.print(
        f"{record.case}: no face found in {len(result.not_found)} images: {names}"
        + (f" and {more} more" if more > 0 else ""),
        markup=False,
    )


def _who(record: Record) -> str:
    case = record.case
    precision = "" if case.precision == "fp32" else f" {case.precision}"
    return f"{case.network} in {case.runtime}{precision}"
