"""Renders tables of verification and identification, for a terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from rich.markup import escape
from rich.table import Table

from facebench.harness.cli.output import console
from facebench.harness.cli.output.cells import bounded, percent
from facebench.harness.cli.output.embedded_scores import curve_json, normalized_json
from facebench.harness.cli.output.group_scores import group_json, print_groups
from facebench.harness.cli.output.template_scores import print_template_searches, print_templates
from facebench.harness.cli.output.terminal import err, new_table, out
from facebench.harness.cli.output.threshold_scores import transfer_json
from facebench.harness.cli.output.trial_scores import print_trials
from facebench.harness.comparison.pair_agreement import PairAgreement
from facebench.harness.comparison.verification_run import VerificationOutcome
from facebench.harness.records.accuracy import (
    NO_BOUNDS,
    Accuracy,
    Bounded,
    Identification,
    OperatingPoint,
)
from facebench.harness.records.record import Record
from facebench.harness.verification.intervals import accuracy
from facebench.harness.verification.summary import Rate, Summary, what_is_chance

_NOT_FOUND_SHOWN = 5
_OVER_PEOPLE = (
    "Below a figure its 95 % interval; the probes' people and the distractors are chance."
)


def scores(records: Sequence[Record], summaries: Mapping[str, Summary]) -> None:
    """Print each figure with its interval; a table for pairs, one for searches and templates."""
    pairs = [r for r in records if isinstance(r.result, Accuracy)]
    searches = [r for r in records if isinstance(r.result, Identification)]
    if pairs:
        out.print(_verification(pairs, summaries))
        _print_notes(pairs, summaries)
        print_groups(pairs)
    if searches:
        out.print(_identification(searches))
        _print_search_notes(searches)
    print_templates(records)
    print_template_searches(records)
    print_trials(records)
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
        "p\n(Holm)", "McNemar\np", "decisions\nchanged", "embeddings\ndiffer by", "lowest\ncosine",
        "verdict",
    ):  # fmt: skip
        made.add_column(name, justify="right")
    for one in found:
        low, high = one.paired.interval
        known = not one.paired.refused
        made.add_row(
            escape(_who(one.first)),
            escape(_who(one.second)),
            f"{one.paired.difference:+.2%}",
            f"{low:+.2%} to {high:+.2%}" if known else "refused",
            f"{one.paired.only_first:,}",
            f"{one.paired.only_second:,}",
            f"{one.adjusted_p:.2g}",
            f"{one.paired.mcnemar:.2g}",
            f"{one.changed:,} of {one.paired.pairs:,}",
            f"{one.embeddings.relative:.1e}" if one.embeddings else "",
            f"{one.embeddings.lowest_cosine:.6f}" if one.embeddings else "",
            one.verdict,
        )
    out.print(made)
    over, people = found[0].over, found[0].paired.people
    several = f", corrected for {len(found)} comparisons" if len(found) > 1 else ""
    out.print(
        f"Verdict and interval come of one test, Tango's, widened for people{several}. McNemar's "
        f"p takes pairs as independent. {what_is_chance(over, people)}"
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
                "pairs": one.paired.pairs,
                "only_first": one.paired.only_first,
                "only_second": one.paired.only_second,
                "people": one.paired.people,
                "over": one.over,
                "difference": one.paired.difference,
                "interval": one.paired.interval,
                "p_value": one.paired.p_value,
                "mcnemar": one.paired.mcnemar,
                "adjusted_p": one.adjusted_p,
                "changed_decisions": one.changed,
                "largest_score_difference": one.score_difference,
                "embeddings": one.embeddings and asdict(one.embeddings),
                "verdict": one.verdict,
            }
            for one in outcome.agreements
        ],
        "thresholds": [transfer_json(one) for one in outcome.transfers.found],
        "normalized": [normalized_json(one) for one in outcome.normalized],
        "reject_curves": [curve_json(one) for one in outcome.curves],
    }


def _flat(record: Record, summaries: Mapping[str, Summary]) -> dict[str, Any]:
    summary = summaries.get(record.case.key)
    return (
        console.flat(record)
        | ({"summary": _summary_json(summary)} if summary else {})
        | group_json(record)
    )


def _summary_json(summary: Summary) -> dict[str, Any]:
    return {
        "tar": [
            {"point": asdict(one.point), "interval": one.tar.interval, "note": one.tar.note}
            for one in summary.tar
        ],
        "refused": summary.refused,
        **_bounded_json("auc", summary.auc),
        **_bounded_json("eer", summary.eer),
        "d_prime": summary.d_prime,
        "over": summary.over,
        "people": summary.people,
    }


def _bounded_json(name: str, found: Bounded) -> dict[str, Any]:
    return {name: found.value, f"{name}_interval": found.interval, f"{name}_note": found.note}


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
            percent(accuracy(result) or Bounded(result.accuracy, None)),
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
    return percent(rate.tar) if rate else ""


def _separation(summary: Summary) -> list[str]:
    auc = bounded(summary.auc, "{:.5f}".format)
    return [percent(summary.eer), auc, f"{summary.d_prime:.2f}"]


def _print_notes(records: Sequence[Record], summaries: Mapping[str, Summary]) -> None:
    found = list(summaries.values())
    scored = [r.result for r in records if isinstance(r.result, Accuracy)]
    sure = [accuracy(result) for result in scored]
    texts = [result.label for result in scored]
    if found:
        one = found[0]
        texts.append(f"Below a figure its 95 % interval. {what_is_chance(one.over, one.people)}")
    texts += [figure.note for figure in sure if figure]
    for summary in found:
        rates = (rate.tar for rate in summary.tar)
        texts += [figure.note for figure in (*rates, summary.eer, summary.auc)]
        texts += summary.refused.values()
    for text in dict.fromkeys(filter(None, texts)):
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
        bounds = result.bounds
        made.add_row(
            escape(record.case.network),
            record.case.runtime,
            record.case.precision,
            percent(result.bounds.rank1 if result.bounds else Bounded(result.rank1, None)),
            *(_point(result.tpir, bounds.tpir if bounds else None, rate) for rate in fpirs),
            *(_point(result.tar, bounds.tar if bounds else None, rate) for rate in fars),
            f"{result.probes:,}",
            f"{result.distractors:,}",
            f"{result.images_per_second:.3g}",
            record.kind + (f"\n{result.label.partition(':')[0]}" if result.label else ""),
        )
    return made


def _point(points: Sequence[OperatingPoint], bounds: Sequence[Bounded] | None, rate: float) -> str:
    at = next((index for index, point in enumerate(points) if point.rate == rate), None)
    if at is None:
        return ""
    return percent(bounds[at] if bounds else Bounded(points[at].true_rate, None))


def _print_search_notes(records: Sequence[Record]) -> None:
    results = [r.result for r in records if isinstance(r.result, Identification)]
    texts = [_OVER_PEOPLE if result.bounds else NO_BOUNDS for result in results]
    for result in results:
        if bounds := result.bounds:
            texts += [one.note for one in (bounds.rank1, *bounds.tpir, *bounds.tar)]
    for text in dict.fromkeys(filter(None, texts)):
        out.print(text, markup=False)


def _print_not_found(record: Record) -> None:
    not_found: tuple[str, ...] = getattr(record.result, "not_found", ())
    if not not_found:
        return
    names = ", ".join(not_found[:_NOT_FOUND_SHOWN])
    more = len(not_found) - _NOT_FOUND_SHOWN
    err.print(
        f"{record.case}: no face found in {len(not_found)} images: {names}"
        + (f" and {more} more" if more > 0 else ""),
        markup=False,
    )


def _who(record: Record) -> str:
    case = record.case
    precision = "" if case.precision == "fp32" else f" {case.precision}"
    return f"{case.network} in {case.runtime}{precision}"
