"""Judges claims to reach a published figure: what fewer data reach refutes nothing."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Annotated

from msgspec import Meta
from scipy.special import expit, logit, ndtri

from facebench.harness.records.accuracy import NO_BOUNDS, Accuracy, Bounded, Identification
from facebench.harness.records.record import Record
from facebench.reports.cells import in_percent, percent, sure
from facebench.reports.claims import (
    REFUTED,
    SUPPORTED,
    UNDECIDED,
    Claim,
    ClaimFinding,
    Words,
    judgement,
)
from facebench.reports.claims.places import ClaimPlace, judged_together, scored_in, sentence
from facebench.reports.digits import Estimate, percentage
from facebench.reports.evidence import Evidence, real_faces

_Percent = Annotated[float, Meta(gt=0, le=100, description="a percentage, above 0 to 100")]
_Count = Annotated[int, Meta(ge=1, le=10**12, description="a whole number from 1 to 1e12")]


@dataclass(frozen=True, kw_only=True)
class ScoreClaim(Claim):
    """It is a claim that a network reaches an accuracy on a dataset.

    Attributes:
        networks: the one that reaches it.
        dataset: that it is scored on.
        figure: in percent.
        rounding: the unit that it is rounded to, in percent.
        images: that the paper trained on.
        people: in these.
    """

    networks: Annotated[tuple[Words], Meta(description="a list of one network")]
    dataset: Words
    figure: _Percent
    rounding: _Percent = 0.01
    images: _Count
    people: _Count

    @property
    def named(self) -> tuple[str, ...]:
        """Return the network."""
        return self.networks


@dataclass(frozen=True, kw_only=True)
class IdentificationClaim(ScoreClaim):
    """It is a claim that a network accepts a share of genuine pairs, among distractors.

    Attributes:
        far: the false accept rate, at which `figure` is the true accept rate.
        distractors: that the search is among, at least.
    """

    far: Annotated[float, Meta(gt=0, lt=1, description="a rate, above 0 and below 1")]
    distractors: _Count


@judgement("score", ScoreClaim, needs="a score of {networks} on {dataset}, with trained weights")
def score(evidence: Evidence, claim: ScoreClaim) -> Sequence[ClaimFinding]:
    """Judge the accuracy of all weights; what fewer data reach refutes nothing."""
    return judged_together(
        [
            _scored(record, record.result, claim)
            for record in evidence.scores
            if _speaks(record, claim) and real_faces(record)
            if isinstance(record.result, Accuracy)
        ]
    )


@judgement(
    "identification",
    IdentificationClaim,
    needs="a search of {dataset} by {networks} with trained weights",
)
def identification(evidence: Evidence, claim: IdentificationClaim) -> Sequence[ClaimFinding]:
    """Judge the searches of real faces; fewer distractors find more, and decide nothing."""
    return judged_together(
        [
            _searched(record, record.result, claim)
            for record in evidence.searches
            if _speaks(record, claim)
            if isinstance(record.result, Identification) and not record.result.label
        ]
    )


def _speaks(record: Record, claim: ScoreClaim) -> bool:
    return (record.case.network,) == claim.networks and record.case.dataset == claim.dataset


def _scored(record: Record, found: Accuracy, claim: ScoreClaim) -> ClaimPlace:
    known = sure(found)
    if known.interval is None:
        place, value = _weights_and_place(record), f"{100 * known.value:.2f} %"
        why = sentence(known.note)
        kinds = (record.kind,)
        return ClaimPlace(ClaimFinding(UNDECIDED, place, value, "", kinds, why, claim.notes))
    return _reaches(record, partial(percent, found), claim)


def _searched(record: Record, found: Identification, claim: IdentificationClaim) -> ClaimPlace:
    points = [point for point in found.tar if point.rate == claim.far]
    place, kinds = _weights_and_place(record), (record.kind,)
    if found.distractors < claim.distractors or not points:
        why = (
            f"It searched among {found.distractors:,} distractors and has "
            f"{'a' if points else 'no'} TAR at FAR {claim.far:g}; the paper's is of a search among "
            f"{claim.distractors:,} or more."
        )
        return ClaimPlace(ClaimFinding(UNDECIDED, place, "", "", kinds, why))
    if found.bounds is None:
        value = f"{100 * points[0].true_rate:.2f} %"
        return ClaimPlace(ClaimFinding(UNDECIDED, place, value, "", kinds, sentence(NO_BOUNDS)))
    bounded = found.bounds.tar[found.tar.index(points[0])]
    return _reaches(record, partial(_surer, bounded), claim)


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


def _reaches(record: Record, score: Callable[[float], Estimate], claim: ScoreClaim) -> ClaimPlace:
    estimate = score(0.95)
    verdict, why = _reached(record, estimate, claim)
    value, around = percentage(estimate)
    kinds = (record.kind, "published")
    place = _weights_and_place(record)
    return ClaimPlace(
        ClaimFinding(verdict, place, f"{value} %", around, kinds, sentence(why), claim.notes),
        lambda confidence: _reached(record, score(confidence), claim)[0],
    )


def _reached(record: Record, score: Estimate, claim: ScoreClaim) -> tuple[str, str]:
    """Return a verdict, and why."""
    least = claim.figure - claim.rounding / 2
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
    if images >= claim.images:
        return REFUTED, f"the whole interval is below the paper's figure, and {told}"
    return UNDECIDED, f"{told}, and {_data(claim)}: what less data reaches refutes nothing"


def _data(claim: ScoreClaim) -> str:
    millions = claim.images / 1e6
    return f"the paper trained on {millions:g} million images of {claim.people:,} people"


def _weights_and_place(record: Record) -> str:
    return ", ".join((record.case.weights[:15], *scored_in(record)))
