"""Claims on accuracy: paired tests between networks that were trained alike."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

import numpy as np
from scipy.stats import ttest_ind

from facebench.architectures.errors import BadInputError, RefusedError
from facebench.harness.comparison.pair_agreement import PairAgreement, agreements
from facebench.harness.records.accuracy import Accuracy, Identification
from facebench.harness.records.receptive_fields import Fields
from facebench.harness.records.record import Record
from facebench.harness.verification.metrics import wilson
from facebench.harness.verification.paired import holm
from facebench.reports.cells import percent
from facebench.reports.claims import REFUTED, SUPPORTED, UNDECIDED, ClaimFinding, claim
from facebench.reports.digits import Estimate, earned, interval, percentage
from facebench.reports.evidence import BASELINE, WITH_GDCONV, Evidence, real_faces
from facebench.reports.tables import of_measure

# Of McNemar's exact test, with Holm's correction over the places of a comparison.
_LEVEL = 0.05
_PAPER_LFW, _PAPER_MEGAFACE_TAR, _PAPER_FAR = 99.55, 92.59, 1e-6
# Refined MegaFace leaves some hundreds of its million distractors out.
_MILLION = 990_000
_PAPER_DATA = "the paper trained on 3.8 million images of 85,000 people"


@claim(
    "accuracy-v2",
    text=f"{BASELINE} is significantly more accurate than MobileNetV2 under the same conditions.",
    where="abstract, Table 2",
    needs=f"{BASELINE} and mobilenet_v2, trained alike, scored on the same pairs of real faces",
    order=30,
)
def accuracy_v2(evidence: Evidence) -> Sequence[ClaimFinding]:
    """By dataset and runtime."""
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
    """On each base that has both."""
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
    """What the corner unit sees of what the central one does; and the weights that were learned."""
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
    """By dataset and runtime."""
    return _better(evidence, BASELINE, "mobilefacenet_relu")


@claim(
    "lfw",
    text=f"{BASELINE} reaches {_PAPER_LFW} % on LFW.",
    where="abstract, Table 3",
    needs=f"a score of {BASELINE} on lfw, with trained weights",
    order=36,
)
def lfw(evidence: Evidence) -> Sequence[ClaimFinding]:
    """Of all weights that were scored: what fewer data reach refutes nothing."""
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
    """Of all weights that searched real faces; fewer distractors find more, and decide nothing."""
    return [
        _searched(record, record.result)
        for record in evidence.searches
        if record.case.network == BASELINE and record.case.dataset == "megaface"
        if isinstance(record.result, Identification) and not record.result.label
    ]


def _better(evidence: Evidence, better: str, worse: str) -> list[ClaimFinding]:
    """Whether one network beats another, wherever both were scored alike on real faces."""
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
    found, single = [], []
    for pairs in groups.values():
        over = _over_seeds(pairs)
        if over is None:
            single += pairs
        else:
            found.append(over)
    return found + _by_pairs(single)


def _over_seeds(alike: Sequence[tuple[Record, Record]]) -> ClaimFinding | None:
    """Two networks, each trained from several seeds; None where one of them was not.

    What a seed makes of a network is then part of the interval, which a test on the pairs of
    two trained networks cannot know: Welch's t test on the accuracies, one a seed.
    """
    scores = [
        {
            record.provenance["training"].get("seed"): 100 * record.result.accuracy
            for record in side
            if isinstance(record.result, Accuracy)
        }
        for side in zip(*alike, strict=True)
    ]
    if min(len(one) for one in scores) < 2:
        return None
    ours, theirs = (np.array(list(one.values())) for one in scores)
    difference = float(ours.mean() - theirs.mean())
    if ours.std() == theirs.std() == 0.0:
        # Seeds that differ in nothing have no spread to test against.
        return None
    around = ttest_ind(ours, theirs, equal_var=False).confidence_interval(0.95)
    estimate = Estimate(difference, float(around.low), float(around.high))
    verdict = SUPPORTED if estimate.low > 0 else REFUTED if estimate.high < 0 else UNDECIDED
    texts = [
        f"{record.case.network} {', '.join(f'{value:.2f}' for value in values)} %"
        for record, values in zip(alike[0], (ours, theirs), strict=True)
    ]
    training = alike[0][0].provenance["training"]
    return ClaimFinding(
        verdict,
        _names(*alike[0]),
        f"{'+' if difference > 0 else ''}{earned(estimate)} points",
        interval(estimate),
        (alike[0][0].kind,),
        f"By seed, {' and '.join(texts)}; the interval is Welch's of the means over {len(ours)} "
        f"and {len(theirs)} seeds. Recipe {training.get('recipe')}, {training.get('images'):,} "
        f"images of {training.get('people'):,} people.",
    )


def _by_pairs(alike: Sequence[tuple[Record, Record]]) -> list[ClaimFinding]:
    """Two trained networks compared pair by pair of images."""
    made = [_agreement(two, one) for one, two in alike]
    adjusted = iter(holm([one.paired.p_value for one in made if isinstance(one, PairAgreement)]))
    return [
        _tested(one, next(adjusted))
        if isinstance(one, PairAgreement)
        else ClaimFinding(UNDECIDED, _names(*records), "", "", ("measured",), f"{one}.")
        for one, records in zip(made, alike, strict=True)
    ]


def _agreement(first: Record, second: Record) -> PairAgreement | str:
    """The two compared pair by pair, or why they cannot be."""
    try:
        (made,) = agreements([first, second])
    except (BadInputError, RefusedError) as error:
        return str(error)
    return made


def _tested(made: PairAgreement, p_value: float) -> ClaimFinding:
    """Whether the second of an agreement is the better one."""
    paired = made.paired
    low, high = (100 * end for end in paired.interval)
    difference = Estimate(100 * paired.difference, low, high)
    better = SUPPORTED if paired.difference > 0 else REFUTED
    return ClaimFinding(
        better if p_value < _LEVEL else UNDECIDED,
        _names(made.second, made.first),
        f"{'+' if difference.value > 0 else ''}{earned(difference)} points",
        interval(difference),
        (made.second.kind,),
        _why(made, p_value),
    )


def _names(one: Record, two: Record) -> str:
    return f"{one.case.network}, {two.case.network}: {', '.join(_place(one))}"


def _why(made: PairAgreement, p_value: float) -> str:
    paired, records = made.paired, (made.second, made.first)
    scores = [
        " ".join((record.case.network, *_score(record.result)))
        for record in records
        if isinstance(record.result, Accuracy)
    ]
    training = made.second.provenance["training"]
    return (
        f"{', '.join(scores)}; the first alone is right on {paired.only_second}, the second "
        f"alone on {paired.only_first} of {paired.pairs:,} pairs, McNemar's exact "
        f"p = {p_value:.2g}. One seed each, recipe {training.get('recipe')}, "
        f"{training.get('images'):,} images of {training.get('people'):,} people: how much "
        "seeds differ is not in it."
    )


def _score(result: Accuracy) -> tuple[str, str]:
    value, around = percentage(percent(result))
    return f"{value} %", f"({around})"


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
    low, high = wilson(points[0].accepted, points[0].trials)
    score = Estimate(100 * points[0].true_rate, 100 * low, 100 * high)
    return _reaches(record, score, _PAPER_MEGAFACE_TAR)


def _reaches(record: Record, score: Estimate, published: float) -> ClaimFinding:
    training = record.provenance.get("training")
    if score.high >= published:
        verdict, why = SUPPORTED, "the interval holds the paper's figure, or lies above it"
    else:
        verdict = UNDECIDED
        told = (
            f"these weights were trained on {training['images']:,} images of "
            f"{training['people']:,} people"
            if isinstance(training, dict)
            else "on what these weights were trained is not known"
        )
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
