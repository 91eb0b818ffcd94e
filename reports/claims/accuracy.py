"""Judges claims on accuracy: networks that were trained alike, seeds and faces being chance."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import chain, product

import numpy as np

from facebench.architectures.errors import RefusedError
from facebench.harness.records.receptive_fields import Fields
from facebench.harness.records.record import Record
from facebench.reports.claims import REFUTED, SUPPORTED, UNDECIDED, ClaimFinding, claim
from facebench.reports.claims.places import ClaimPlace, base, judged_together, scored_in, sentence
from facebench.reports.digits import Estimate
from facebench.reports.evidence import BASELINE, WITH_GDCONV, Evidence, real_faces
from facebench.reports.seeds import SeedSpread, over_faces, scores_of, seed, seed_spread
from facebench.reports.tables import of_measure

_ONE_SEED = (
    "each network here was trained from one seed, and how much seeds differ is not known: train "
    "one of them from two or more"
)


@claim(
    "accuracy-v2",
    short="beats V2 on faces",
    text=f"{BASELINE} is significantly more accurate than MobileNetV2 under the same conditions.",
    where="abstract, Table 2",
    needs=f"{BASELINE} and mobilenet_v2, trained alike, scored on the same pairs of real faces",
    order=30,
)
def accuracy_v2(evidence: Evidence) -> Sequence[ClaimFinding]:
    """Compare the accuracies of both networks, by dataset and runtime."""
    return judged_together(_better(evidence, BASELINE, "mobilenet_v2"))


@claim(
    "gdconv",
    short="GDConv beats pooling",
    text="Global depthwise convolution (GDConv) is more accurate than global average pooling.",
    where="section 3.2, Table 2",
    needs="a network with GDConv and the same with pooling, trained alike, scored on the same "
    "pairs of real faces",
    order=32,
)
def gdconv(evidence: Evidence) -> Sequence[ClaimFinding]:
    """Compare the accuracy with and without GDConv on each base that has both."""
    found = (_better(evidence, *two, f"{base(two[0])}: ") for two in WITH_GDCONV)
    return judged_together(list(chain.from_iterable(found)))


@claim(
    "corner-units",
    short="corners see less",
    text="Pooling treats units of the last map alike, though those at the corners see less of "
    "the face than those in the centre; GDConv learns to weigh places differently.",
    where="section 3.1, figure 1",
    needs="receptive fields of a trained network, which 'facebench run' adds for trained weights",
    order=33,
)
def corner_units(evidence: Evidence) -> Sequence[ClaimFinding]:
    """Show what the corner unit sees of what the central one does, and the weights learned."""
    return [
        _corner(record, record.result)
        for record in of_measure(evidence.records, "fields")
        if isinstance(record.result, Fields)
    ]


@claim(
    "prelu",
    short="PReLU beats ReLU",
    text="PReLU is slightly more accurate than ReLU.",
    where="section 3.3, Table 2",
    needs=f"{BASELINE} and mobilefacenet_relu, trained alike, scored on the same pairs of real "
    "faces",
    order=34,
)
def prelu(evidence: Evidence) -> Sequence[ClaimFinding]:
    """Compare the accuracies with PReLU and with ReLU, by dataset and runtime."""
    return judged_together(_better(evidence, BASELINE, "mobilefacenet_relu"))


def _better(evidence: Evidence, better: str, worse: str, named: str = "") -> list[ClaimPlace]:
    """Return whether one network beats another, wherever both were scored alike on real faces.

    Places are `named` so where the claim does not say which networks they are of.
    """
    ours, theirs = (
        [r for r in evidence.seeds if r.case.network == name and real_faces(r)]
        for name in (better, worse)
    )
    alike = [
        (one, two)
        for one, two in product(ours, theirs)
        if scored_in(one) == scored_in(two) and _alike(one, two)
    ]
    if ours and theirs and not alike:
        why = "Their weights were not trained under the same conditions, as far as records say."
        place = named + ", ".join(dict.fromkeys(scored_in(one)[0] for one in ours))
        return [ClaimPlace(ClaimFinding(UNDECIDED, place, "", "", ("measured",), why))]
    groups: dict[tuple[str, ...], list[tuple[Record, Record]]] = {}
    for pair in alike:
        groups.setdefault(scored_in(pair[0]), []).append(pair)
    return [_compared(pairs, evidence, named + ", ".join(place)) for place, pairs in groups.items()]


def _compared(alike: Sequence[tuple[Record, Record]], evidence: Evidence, place: str) -> ClaimPlace:
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
        also = (sentence(str(error)), trained)
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
    reasons = (over, sentence(f"seeds: {seeds}"), trained)
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


def _corner(record: Record, found: Fields) -> ClaimFinding:
    emphasis = found.centre_emphasis
    why = f"the corner unit sees {found.corner_share:.2f} of what the central one does, in all"
    verdict = SUPPORTED if found.corner_share < 1 else REFUTED
    if emphasis is None:
        why += "; it has no GDConv, so that it shows half of the claim"
        verdict = UNDECIDED if verdict == SUPPORTED else verdict
    else:
        why += f"; GDConv's inner places weigh {emphasis:.2f} times as much as its outermost ring"
        verdict = verdict if emphasis > 1 else REFUTED
    figure = f"{found.corner_share:.2f}"
    place = f"{record.case.network}, {record.case.weights[:15]}"
    return ClaimFinding(verdict, place, figure, "", (record.kind,), sentence(why))


def _alike(one: Record, two: Record) -> bool:
    first, second = (record.provenance.get("training") for record in (one, two))
    if not isinstance(first, dict) or not isinstance(second, dict):
        return False
    return first.get("conditions") == second.get("conditions")
