"""Scores of verification and identification as CSV files hold them, in full precision."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import pandas as pd

from facebench.harness.records.accuracy import Accuracy, Identification
from facebench.harness.records.record import Record
from facebench.harness.verification.metrics import wilson
from facebench.harness.verification.summary import Rate
from facebench.reports.embedding_time import inferences
from facebench.reports.scores import summarised
from facebench.reports.tables import CellValue, frame, identity, of_measure, outcome

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
        "accuracy": score.accuracy,
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
        "eer": one.eer,
        "eer_low": one.eer_interval[0],
        "eer_high": one.eer_interval[1],
        "auc": one.auc,
        "auc_low": one.auc_interval[0],
        "auc_high": one.auc_interval[1],
        "d_prime": one.d_prime,
        "bootstrap_over": one.over,
    }
    for rate in one.tar:
        line |= _rate(rate)
    return line


def _rate(rate: Rate) -> Line:
    name = f"tar[{rate.point.rate:g}]"
    return {
        name: rate.point.true_rate,
        f"{name}_low": rate.bootstrap[0],
        f"{name}_high": rate.bootstrap[1],
        f"{name}_wilson_low": rate.wilson[0],
        f"{name}_wilson_high": rate.wilson[1],
        f"{name}_threshold": rate.point.threshold,
    }


def _search(found: Identification) -> Line:
    first = found.found_at[0] if found.found_at else 0
    low, high = wilson(first, found.mated_searches) if found.mated_searches else (None, None)
    line: dict[str, CellValue] = {
        "rank1": first / found.mated_searches if found.mated_searches else None,
        "rank1_low": low,
        "rank1_high": high,
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
    return line
