"""Scores of verification and identification as CSV files hold them, in full precision."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import pandas as pd

from facebench.harness.records.accuracy import Accuracy, Bounded, Identification
from facebench.harness.records.record import Record
from facebench.harness.verification.summary import Rate
from facebench.reports.cells import sure
from facebench.reports.scores import summarised
from facebench.reports.tables import CellValue, frame, identity, of_measure, outcome
from facebench.reports.trade_off import inferences

Line = Mapping[str, CellValue]


def verification_frame(records: Iterable[Record]) -> pd.DataFrame:
    """Return all verification scores, with what their pairs add."""
    return frame(
        {
            **_case(record),
            **(_accuracy(record.result) if isinstance(record.result, Accuracy) else {}),
            **outcome(record),
        }
        for record in of_measure(records, "accuracy")
    )


def identification_frame(records: Iterable[Record]) -> pd.DataFrame:
    """Return all searches."""
    return frame(
        {
            **_case(record),
            **(_search(record.result) if isinstance(record.result, Identification) else {}),
            **outcome(record),
        }
        for record in of_measure(records, "identification")
    )


def _case(record: Record) -> Line:
    case = record.case
    return {
        **identity(record),
        "runtime": case.runtime,
        "dataset": case.dataset,
        "landmarks": case.landmarks,
        "absent": case.absent,
        "calibration": case.calibration,
    }


def _accuracy(score: Accuracy) -> Line:
    return {
        **_bounded("accuracy", sure(score)),
        "standard_error": score.standard_error,
        "fold_standard_deviation": score.fold_standard_deviation,
        "folds": len(score.fold_accuracies),
        "pairs": score.pairs,
        "flip": score.flip,
        "inferences": inferences(score.flip),
        "label": score.label,
        "images_per_second": score.images_per_second,
        "not_found": len(score.not_found),
        "excluded_pairs": score.excluded_pairs,
        **_pairs(score),
    }


def _pairs(score: Accuracy) -> Line:
    found = summarised(score)
    if found.summary is None:
        return {"no_summary": found.reason}
    one = found.summary
    line: dict[str, CellValue] = {
        **_bounded("eer", one.eer),
        **_bounded("auc", one.auc),
        "d_prime": one.d_prime,
        "intervals_over": one.over,
        "people": one.people,
    }
    for rate in one.tar:
        line |= _rate(rate)
    return line


def _rate(rate: Rate) -> Line:
    name = f"tar[{rate.point.rate:g}]"
    return {
        **_bounded(name, rate.tar),
        f"{name}_threshold": rate.point.threshold,
    }


def _bounded(name: str, found: Bounded) -> Line:
    low, high = found.interval or (None, None)
    return {name: found.value, f"{name}_low": low, f"{name}_high": high, f"{name}_note": found.note}


def _search(found: Identification) -> Line:
    first = found.found_at[0] if found.found_at else 0
    rank1 = first / found.mated_searches if found.mated_searches else None
    line: dict[str, CellValue] = {
        **(_bounded("rank1", found.bounds.rank1) if found.bounds else {"rank1": rank1}),
        "probes": found.probes,
        "mated_searches": found.mated_searches,
        "distractors": found.distractors,
        "identities": found.identities,
        "flip": found.flip,
        "label": found.label,
        "images_per_second": found.images_per_second,
        "searches_per_second": found.searches_per_second,
        "not_found": len(found.not_found),
    }
    for name, points in (("tpir", found.tpir), ("tar", found.tar)):
        line |= {f"{name}[{point.rate:g}]": point.true_rate for point in points}
    if bounds := found.bounds:
        for name, points, sure in (
            ("tpir", found.tpir, bounds.tpir),
            ("tar", found.tar, bounds.tar),
        ):
            for point, one in zip(points, sure, strict=True):
                line |= _bounded(f"{name}[{point.rate:g}]", one)
    return line
