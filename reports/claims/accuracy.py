"""Judges claims on accuracy: networks that were trained alike, seeds and faces being chance."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from itertools import product

import numpy as np
from scipy.special import ndtr, ndtri

from facebench.harness.records.accuracy import NO_BOUNDS, Accuracy, Identification
from facebench.harness.records.receptive_fields import Fields
from facebench.harness.records.record import Record
from facebench.harness.verification.paired import holm
from facebench.reports.cells import in_percent, percent
from facebench.reports.claims import REFUTED, SUPPORTED, UNDECIDED, ClaimFinding, claim
from facebench.reports.digits import Estimate, earned, interval, percentage
from facebench.reports.evidence import BASELINE, WITH_GDCONV, Evidence, real_faces
from facebench.reports.seeds import over_faces, scores_of, seed, seed_spread
from facebench.reports.tables import of_measure

# Chance of a verdict that is none, over all places of a comparison.
_LEVEL = 0.05

_ONE_SEED = (
    "each network here was trained from one seed, and how much seeds differ is not known: train "
    "one of them from two or more"
)
_PAPER_LFW, _PAPER_MEGAFACE_TAR, _PAPER_FAR = 99.55, 92.59, 1e-6
# Refined MegaFace leaves some hundreds of its million distractors out.
_MILLION = 990_000
_PAPER_IMAGES = 3_800_000
_PAPER_DATA = "the paper trained on 3.8 million images of 85,000 people"


@claim(
    "accuracy-v2",
    text=f"{BASELINE} is significantly more accurate than MobileNetV2 under the same conditions.",
    where="abstract, Table 2",
    needs=f"{BASELINE} and mobilenet_v2, trained alike, scored on the same pairs of real faces",
    order=30,
)
def accuracy_v2(evidence: Evidence) -> Sequence[ClaimFinding]:
    """Compare the accuracies of both networks, by dataset and runtime."""
    return _better(evidence, BASELINE, "mobilenet_v2")


@claim(
    "gdconv",
    text="Global depthwise convolution (GDConv) is more accurate than global average pooling.",
    where="section 3.2, Table 2",
    needs="a network with GDConv and the same with pooling, trained alike, scored on the same "
    "pairs of real faces",
    order=32,
)
def gdconv(evidence: Evidence) -> Sequence[ClaimFinding]:
    """Compare the accuracy with and without GDConv on each base that has both."""
    return [one for better, worse in WITH_GDCONV for one in _better(evidence, better, worse)]


@claim(
    "corner-units",
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
    text="PReLU is slightly more accurate than ReLU.",
    where="section 3.3, Table 2",
    needs=f"{BASELINE} and mobilefacenet_relu, trained alike, scored on the same pairs of real "
    "faces",
    order=34,
)
def prelu(evidence: Evidence) -> Sequence[ClaimFinding]:
    """Compare the accuracies with PReLU and with ReLU, by dataset and runtime."""
    return _better(evidence, BASELINE, "mobilefacenet_relu")


@claim(
    "lfw",
    text=f"{BASELINE} reaches {_PAPER_LFW} % on LFW.",
    where="abstract, Table 3",
    needs=f"a score of {BASELINE} on lfw, with trained weights",
    order=36,
)
def lfw(evidence: Evidence) -> Sequence[ClaimFinding]:
    """Judge the accuracy on LFW of all weights; what fewer data reach refutes nothing."""
    return [
        _reaches(record, percent(record.result), _PAPER_LFW)
        for record in evidence.scores
        if record.case.network == BASELINE and record.case.dataset == "lfw" and real_faces(record)
        if isinstance(record.result, Accuracy)
    ]


@claim(
    "megaface",
    text=f"{BASELINE} reaches a TAR of {_PAPER_MEGAFACE_TAR} % at FAR 1e-6 on refined MegaFace.",
    where="abstract, Table 4",
    needs=f"a search of megaface by {BASELINE} with trained weights, among a million distractors; "
    "the faces are no longer distributed, so it takes a copy of yours",
    order=38,
)
def megaface(evidence: Evidence) -> Sequence[ClaimFinding]:
    """Judge the searches of real faces; fewer distractors find more, and decide nothing."""
    return [
        _searched(record, record.result)
        for record in evidence.searches
        if record.case.network == BASELINE and record.case.dataset == "megaface"
        if isinstance(record.result, Identification) and not record.result.label
    ]


def _better(evidence: Evidence, better: str, worse: str) -> list[ClaimFinding]:
    """Return whether one network beats another, wherever both were scored alike on real faces."""
    ours, theirs = (
        [r for r in evidence.scores if r.case.network == name and real_faces(r)]
        for name in (better, worse)
    )
    alike = [
        (one, two)
        for one, two in product(ours, theirs)
        if _place(one) == _place(two) and _alike(one, two)
    ]
    if ours and theirs and not alike:
        why = "Their weights were not trained under the same conditions, as far as records say."
        return [ClaimFinding(UNDECIDED, f"{better}, {worse}", "", "", ("measured",), why)]
    groups: dict[tuple[str, ...], list[tuple[Record, Record]]] = {}
    for pair in alike:
        groups.setdefault(_place(pair[0]), []).append(pair)
    compared = [_compared(pairs, evidence) for pairs in groups.values()]
    # Each further place is another chance to find by chance what is not there.
    adjusted = holm([p_value for _, p_value in compared])
    return [
        _undecided(found, len(groups))
        if found.verdict != UNDECIDED and p_value >= _LEVEL
        else found
        for (found, _), p_value in zip(compared, adjusted, strict=True)
    ]


def _undecided(found: ClaimFinding, places: int) -> ClaimFinding:
    why = f"{found.why} It is judged in {places} places, and Holm's correction leaves it open."
    return replace(found, verdict=UNDECIDED, why=why)


def _compared(
    alike: Sequence[tuple[Record, Record]], evidence: Evidence
) -> tuple[ClaimFinding, float]:
    """Return two networks in one place, each trained from one seed or several, and a p-value.

    Seeds and faces are both chance. The sides of both intervals are added as roots of sums of
    squares, each with Student's factor of its own, so that neither is lost in the other.
    """
    sides = [list({seed(one): one for one in side}.values()) for side in zip(*alike, strict=True)]
    means = [100 * float(np.mean([score.accuracy for score in scores_of(side)])) for side in sides]
    difference = means[0] - means[1]
    names, kinds = _names(*alike[0]), (alike[0][0].kind,)
    faces, refused = over_faces(*sides)
    like = alike[0][0]
    seeds = seed_spread(
        one
        for one in evidence.scores
        if _place(one) == _place(like) and real_faces(one) and _alike(one, like)
    )
    why = f"{' and '.join(_of_seeds(side) for side in sides)}. {_training(alike[0][0])}"
    signed = f"{'+' if difference > 0 else ''}{difference:.2f} points"
    if refused or seeds is None:
        why = f"{refused or _ONE_SEED}. By seed, {why}"
        return ClaimFinding(UNDECIDED, names, signed, "", kinds, _upper(why.rstrip("."))), 1.0
    reach = math.hypot(faces, seeds.reach(*map(len, sides)))
    estimate = Estimate(difference, difference - reach, difference + reach)
    verdict = SUPPORTED if estimate.low > 0 else REFUTED if estimate.high < 0 else UNDECIDED
    finding = ClaimFinding(
        verdict,
        names,
        f"{'+' if difference > 0 else ''}{earned(estimate)} points",
        interval(estimate),
        kinds,
        f"By seed, {why} The interval is over people, by whom the mean difference varies by "
        f"± {faces:.2f} points, and over seeds, of which {len(sides[0])} and {len(sides[1])} are "
        f"here: {seeds}.",
    )
    # That of the difference whose 95 % interval this is.
    return finding, 2 * float(ndtr(-abs(difference) / reach * ndtri(1 - _LEVEL / 2)))


def _of_seeds(side: Sequence[Record]) -> str:
    figures = ", ".join(f"{100 * score.accuracy:.2f}" for score in scores_of(side))
    return f"{side[0].case.network} {figures} %"


def _training(record: Record) -> str:
    training = record.provenance["training"]
    return (
        f"Recipe {training.get('recipe')}, {training.get('images'):,} images of "
        f"{training.get('people'):,} people."
    )


def _names(one: Record, two: Record) -> str:
    return f"{one.case.network}, {two.case.network}: {', '.join(_place(one))}"


def _corner(record: Record, found: Fields) -> ClaimFinding:
    emphasis = found.centre_emphasis
    less = found.corner_share < 1
    learned = emphasis is None or emphasis > 1
    why = f"the corner unit sees {found.corner_share:.2f} of what the central one does, in all"
    if emphasis is not None:
        why += f"; GDConv's inner places weigh {emphasis:.2f} times as much as its outermost ring"
    verdict = SUPPORTED if less and learned else REFUTED
    figure = f"{found.corner_share:.2f}"
    place = f"{record.case.network}, {record.case.weights[:15]}"
    return ClaimFinding(verdict, place, figure, "", (record.kind,), _upper(why))


def _searched(record: Record, found: Identification) -> ClaimFinding:
    points = [point for point in found.tar if point.rate == _PAPER_FAR]
    if found.distractors < _MILLION or not points:
        why = (
            f"It searched among {found.distractors:,} distractors and has "
            f"{'a' if points else 'no'} TAR at FAR {_PAPER_FAR:g}; the paper's is of a million."
        )
        return ClaimFinding(UNDECIDED, _weights_and_place(record), "", "", (record.kind,), why)
    if found.bounds is None:
        value = f"{100 * points[0].true_rate:.2f} %"
        place = _weights_and_place(record)
        return ClaimFinding(UNDECIDED, place, value, "", (record.kind,), _upper(NO_BOUNDS))
    bounded = found.bounds.tar[found.tar.index(points[0])]
    return _reaches(record, in_percent(bounded), _PAPER_MEGAFACE_TAR)


def _reaches(record: Record, score: Estimate, published: float) -> ClaimFinding:
    rounding = 0.005
    training = record.provenance.get("training")
    told = "on what these weights were trained is not known"
    images = 0
    if isinstance(training, dict):
        images = training["images"]
        told = f"these weights were trained on {images:,} images of {training['people']:,} people"
    if score.low >= published - rounding:
        verdict, why = SUPPORTED, "the whole interval reaches the paper's figure"
    elif score.high >= published - rounding:
        verdict, why = UNDECIDED, "the interval holds figures below the paper's, and it or more"
    elif images >= _PAPER_IMAGES:
        verdict, why = REFUTED, f"the whole interval is below the paper's figure, and {told}"
    else:
        verdict = UNDECIDED
        why = f"{told}, and {_PAPER_DATA}: what less data reaches refutes nothing"
    value, around = percentage(score)
    return ClaimFinding(
        verdict,
        _weights_and_place(record),
        f"{value} %",
        around,
        (record.kind, "published"),
        _upper(why),
    )


def _weights_and_place(record: Record) -> str:
    return ", ".join((record.case.weights[:15], *_place(record)))


def _upper(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}."


def _alike(one: Record, two: Record) -> bool:
    first, second = (record.provenance.get("training") for record in (one, two))
    if not isinstance(first, dict) or not isinstance(second, dict):
        return False
    return first.get("conditions") == second.get("conditions")


def _place(record: Record) -> tuple[str, ...]:
    case = record.case
    extra = [case.precision] if case.precision != "fp32" else []
    return case.dataset, case.runtime, *extra
