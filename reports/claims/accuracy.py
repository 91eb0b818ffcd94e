"""Judges claims on accuracy: networks that were trained alike, seeds and faces being chance."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain, product

import numpy as np

from facebench.architectures.errors import RefusedError
from facebench.harness.records.record import Record
from facebench.reports.claims import (
    REFUTED,
    SUPPORTED,
    UNDECIDED,
    Claim,
    ClaimFinding,
    Pairs,
    judgement,
)
from facebench.reports.claims.places import (
    ClaimPlace,
    judged_together,
    pair_place,
    scored_in,
    sentence,
)
from facebench.reports.digits import Estimate
from facebench.reports.evidence import Evidence, real_faces
from facebench.reports.seeds import SeedSpread, over_faces, scores_of, seed, seed_spread

_ONE_SEED = (
    "each network here was trained from one seed, and how much seeds differ is not known: train "
    "one of them from two or more"
)


@dataclass(frozen=True, kw_only=True)
class AccuracyClaim(Claim):
    """It is a claim that one network is more accurate than another, trained alike.

    Attributes:
        networks: pairs, the first of which is the more accurate.
    """

    networks: Pairs

    @property
    def named(self) -> tuple[str, ...]:
        """Return the networks."""
        return tuple(name for pair in self.networks for name in pair)


@judgement(
    "accuracy",
    AccuracyClaim,
    needs="{networks}, trained alike, scored on the same pairs of real faces",
)
def accuracy(evidence: Evidence, claim: AccuracyClaim) -> Sequence[ClaimFinding]:
    """Compare the accuracies of each pair, by dataset and runtime."""
    found = (_better(evidence, pair, claim) for pair in claim.networks)
    return judged_together(list(chain.from_iterable(found)))


def _better(evidence: Evidence, pair: tuple[str, str], claim: AccuracyClaim) -> list[ClaimPlace]:
    """Return whether one network beats another, wherever both were scored alike on real faces."""
    ours, theirs = (
        [r for r in evidence.seeds if r.case.network == name and real_faces(r)] for name in pair
    )
    alike = [
        (one, two)
        for one, two in product(ours, theirs)
        if scored_in(one) == scored_in(two) and _alike(one, two)
    ]
    if ours and theirs and not alike:
        why = "Their weights were not trained under the same conditions, as far as records say."
        sets = ", ".join(dict.fromkeys(scored_in(one)[0] for one in ours))
        place = pair_place(claim.networks, pair[0], sets)
        finding = ClaimFinding(UNDECIDED, place, "", "", ("measured",), why, claim.notes)
        return [ClaimPlace(finding)]
    groups: dict[tuple[str, ...], list[tuple[Record, Record]]] = {}
    for both in alike:
        groups.setdefault(scored_in(both[0]), []).append(both)
    return [
        _compared(
            found, evidence, pair_place(claim.networks, pair[0], ", ".join(place)), claim.notes
        )
        for place, found in groups.items()
    ]


def _compared(
    alike: Sequence[tuple[Record, Record]], evidence: Evidence, place: str, notes: Sequence[str]
) -> ClaimPlace:
    """Return two networks in one place, each trained from one seed or several.

    Seeds and faces are both chance. The sides of both intervals are added as roots of sums of
    squares, each with Student's factor of its own, so that neither is lost in the other.
    """
    sides = [list({seed(one): one for one in side}.values()) for side in zip(*alike, strict=True)]
    means = [100 * float(np.mean([score.accuracy for score in scores_of(side)])) for side in sides]
    difference = means[0] - means[1]
    kinds = tuple(dict.fromkeys(record.kind for pair in alike for record in pair))
    why = f"By seed, {' and '.join(_of_seeds(side) for side in sides)}."
    trained = _training(alike[0][0])
    seeds = _seeds_like(alike[0][0], evidence)
    try:
        if seeds is None:
            raise RefusedError(_ONE_SEED)
        faces = over_faces(*sides)
    except RefusedError as error:
        signed = f"{difference:+.2f} points"
        also = (sentence(str(error)), trained, *notes)
        return ClaimPlace(ClaimFinding(UNDECIDED, place, signed, "", kinds, why, also))
    ours, theirs = map(len, sides)

    def at(confidence: float) -> Estimate:
        reach = math.hypot(faces.reach(confidence), seeds.reach(ours, theirs, confidence))
        return Estimate(difference, difference - reach, difference + reach)

    estimate = at(0.95)
    figure = f"{difference:+.2f} points"
    around = f"{estimate.low:+.2f} to {estimate.high:+.2f}"
    over = (
        f"The interval is over people, by whom the mean difference varies by ± {faces.reach():.2f} "
        f"points, and over seeds, of which {ours} and {theirs} are here."
    )
    reasons = (over, sentence(f"seeds: {seeds}"), trained, *notes)
    finding = ClaimFinding(_sign(estimate), place, figure, around, kinds, why, reasons)
    return ClaimPlace(finding, lambda confidence: _sign(at(confidence)))


def _sign(estimate: Estimate) -> str:
    return SUPPORTED if estimate.low > 0 else REFUTED if estimate.high < 0 else UNDECIDED


def _seeds_like(like: Record, evidence: Evidence) -> SeedSpread | None:
    """Return how far seeds differ in networks that were trained and scored as one was."""
    return seed_spread(
        one
        for one in evidence.seeds
        if scored_in(one) == scored_in(like) and real_faces(one) and _alike(one, like)
    )


def _of_seeds(side: Sequence[Record]) -> str:
    figures = ", ".join(f"{100 * score.accuracy:.2f}" for score in scores_of(side))
    return f"{side[0].case.network} {figures} %"


def _training(record: Record) -> str:
    training = record.provenance["training"]
    return (
        f"Recipe {training.get('recipe')}, {training.get('images'):,} images of "
        f"{training.get('people'):,} people."
    )


def _alike(one: Record, two: Record) -> bool:
    first, second = (record.provenance.get("training") for record in (one, two))
    if not isinstance(first, dict) or not isinstance(second, dict):
        return False
    return first.get("conditions") == second.get("conditions")
