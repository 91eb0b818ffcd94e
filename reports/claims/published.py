"""Judges claims to reach a published figure: what fewer data reach refutes nothing."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial

from scipy.special import expit, logit, ndtri

from facebench.harness.records.accuracy import NO_BOUNDS, Accuracy, Bounded, Identification
from facebench.harness.records.record import Record
from facebench.reports.cells import in_percent, percent, sure
from facebench.reports.claims import REFUTED, SUPPORTED, UNDECIDED, ClaimFinding, claim
from facebench.reports.claims.places import ClaimPlace, judged_together, scored_in, sentence
from facebench.reports.digits import Estimate, percentage
from facebench.reports.evidence import BASELINE, Evidence, real_faces

_PAPER_LFW, _PAPER_MEGAFACE_TAR, _PAPER_FAR = 99.55, 92.59, 1e-6
# Refined MegaFace leaves some hundreds of its million distractors out.
_MILLION = 990_000
_PAPER_IMAGES = 3_800_000
_PAPER_DATA = "the paper trained on 3.8 million images of 85,000 people"


@claim(
    "lfw",
    short="99.55 % on LFW",
    text=f"{BASELINE} reaches {_PAPER_LFW} % on LFW.",
    where="abstract, Table 3",
    needs=f"a score of {BASELINE} on lfw, with trained weights",
    order=36,
)
def lfw(evidence: Evidence) -> Sequence[ClaimFinding]:
    """Judge the accuracy on LFW of all weights; what fewer data reach refutes nothing."""
    return judged_together(
        [
            _scored(record, record.result)
            for record in evidence.scores
            if record.case.network == BASELINE
            and record.case.dataset == "lfw"
            and real_faces(record)
            if isinstance(record.result, Accuracy)
        ]
    )


@claim(
    "megaface",
    short="92.59 % on MegaFace",
    text=f"{BASELINE} reaches a TAR of {_PAPER_MEGAFACE_TAR} % at FAR 1e-6 on refined MegaFace.",
    where="abstract, Table 4",
    needs=f"a search of megaface by {BASELINE} with trained weights, among a million distractors; "
    "the faces are no longer distributed, so it takes a copy of yours",
    order=38,
)
def megaface(evidence: Evidence) -> Sequence[ClaimFinding]:
    """Judge the searches of real faces; fewer distractors find more, and decide nothing."""
    return judged_together(
        [
            _searched(record, record.result)
            for record in evidence.searches
            if record.case.network == BASELINE and record.case.dataset == "megaface"
            if isinstance(record.result, Identification) and not record.result.label
        ]
    )


def _scored(record: Record, found: Accuracy) -> ClaimPlace:
    known = sure(found)
    if known.interval is None:
        place, value = _weights_and_place(record), f"{100 * known.value:.2f} %"
        why = sentence(known.note)
        return ClaimPlace(ClaimFinding(UNDECIDED, place, value, "", (record.kind,), why))
    return _reaches(record, partial(percent, found), _PAPER_LFW)


def _searched(record: Record, found: Identification) -> ClaimPlace:
    points = [point for point in found.tar if point.rate == _PAPER_FAR]
    place, kinds = _weights_and_place(record), (record.kind,)
    if found.distractors < _MILLION or not points:
        why = (
            f"It searched among {found.distractors:,} distractors and has "
            f"{'a' if points else 'no'} TAR at FAR {_PAPER_FAR:g}; the paper's is of a million."
        )
        return ClaimPlace(ClaimFinding(UNDECIDED, place, "", "", kinds, why))
    if found.bounds is None:
        value = f"{100 * points[0].true_rate:.2f} %"
        return ClaimPlace(ClaimFinding(UNDECIDED, place, value, "", kinds, sentence(NO_BOUNDS)))
    bounded = found.bounds.tar[found.tar.index(points[0])]
    return _reaches(record, partial(_surer, bounded), _PAPER_MEGAFACE_TAR)


def _surer(bounded: Bounded, confidence: float) -> Estimate:
    """Return a share of which the record holds the 95 % interval alone, at another confidence.

    Sides grow on the logit scale as the normal quantile does; the exact bound where not one
    error is seen, the N-th root of 0.05 of N trials, becomes that of the other chance.
    """
    low, high = bounded.interval or (0.0, 1.0)
    if bounded.interval is None or not 0 < bounded.value < 1:
        power = math.log(1 - confidence) / math.log(0.05)
        low, high = low**power, 1 - (1 - high) ** power
    else:
        factor = float(ndtri((1 + confidence) / 2) / ndtri(0.975))
        middle, *sides = (float(logit(one)) for one in (bounded.value, low, high))
        low, high = (float(expit(middle + factor * (side - middle))) for side in sides)
    return in_percent(Bounded(bounded.value, (low, high)))


def _reaches(record: Record, score: Callable[[float], Estimate], published: float) -> ClaimPlace:
    estimate = score(0.95)
    verdict, why = _reached(record, estimate, published)
    value, around = percentage(estimate)
    kinds = (record.kind, "published")
    place = _weights_and_place(record)
    return ClaimPlace(
        ClaimFinding(verdict, place, f"{value} %", around, kinds, sentence(why)),
        lambda confidence: _reached(record, score(confidence), published)[0],
    )


def _reached(record: Record, score: Estimate, published: float) -> tuple[str, str]:
    """Return a verdict, and why."""
    least = published - 0.005  # as it is rounded
    training = record.provenance.get("training")
    told = "on what these weights were trained is not known"
    images = 0
    if isinstance(training, dict):
        images = training["images"]
        told = f"these weights were trained on {images:,} images of {training['people']:,} people"
    if score.low >= least:
        return SUPPORTED, "the whole interval reaches the paper's figure"
    if score.high >= least:
        return UNDECIDED, "the interval holds figures below the paper's, and it or more"
    if images >= _PAPER_IMAGES:
        return REFUTED, f"the whole interval is below the paper's figure, and {told}"
    return UNDECIDED, f"{told}, and {_PAPER_DATA}: what less data reaches refutes nothing"


def _weights_and_place(record: Record) -> str:
    return ", ".join((record.case.weights[:15], *scored_in(record)))
