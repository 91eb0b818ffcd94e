"""Compares records that were scored on the same pairs, pair by pair.

The same comparison answers two questions: whether one network verifies better
than another, and whether a compilation or a lower precision of one network
changed any decision.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np
import numpy.typing as npt

from facebench.architectures.errors import RefusedError
from facebench.harness.records.accuracy import Accuracy
from facebench.harness.records.comparable import Decisions
from facebench.harness.records.pair_scores import PairScores
from facebench.harness.records.record import Record
from facebench.harness.verification import embedding
from facebench.harness.verification.folds import decided
from facebench.harness.verification.intervals import blocks
from facebench.harness.verification.paired import PairedComparison, compare, holm

# Of a verdict, with Holm's correction over the comparisons that are made together.
LEVEL = 0.05


@dataclass(frozen=True)
class EmbeddingDifference:
    """It says how far two runs of one network lie apart in their embeddings, over all images.

    Attributes:
        relative: largest difference of an element, relative to the largest element.
        lowest_cosine: of the two embeddings of one image, -1 to 1.
    """

    relative: float
    lowest_cosine: float


@dataclass(frozen=True)
class PairAgreement:
    """It compares two records on the same pairs.

    Attributes:
        first: the record that the other one is compared with.
        second: the other one.
        paired: difference of accuracy and its test.
        adjusted_p: Holm's correction of the comparison's, over all that were made together.
        over: what is chance, as in `PairScores`.
        changed: pairs on which the two decide differently, right or wrong.
        score_difference: the largest of a pair.
        embeddings: for one network with the same weights, where the cache
            still holds both.
    """

    first: Record
    second: Record
    paired: PairedComparison
    adjusted_p: float
    over: str
    changed: int
    score_difference: float
    embeddings: EmbeddingDifference | None

    @property
    def same_network(self) -> bool:
        """Say whether only runtime, precision or target differ."""
        one, two = self.first.case, self.second.case
        return (one.network, one.weights) == (two.network, two.weights)

    @property
    def verdict(self) -> str:
        """Say in words what the pairs decide."""
        if not self.changed:
            return f"all {self.paired.pairs:,} decisions are equal"
        if self.paired.refused:
            return f"not decidable: {self.paired.refused}"
        if self.adjusted_p < LEVEL:
            better = "second" if self.paired.difference > 0 else "first"
            return f"the {better} is more accurate"
        return "no difference shown"


def agreements(records: Sequence[Record]) -> list[PairAgreement]:
    """Return every two of some records, in their order.

    Raises:
        RefusedError: two of them were not scored on the same pairs, or one
            does not hold its scores.
    """
    found = [_scored(record) for record in records]
    for record, (_, scores) in zip(records[1:], found[1:], strict=True):
        if scores.digest != found[0][1].digest:
            raise RefusedError(
                f"{record.case} and {records[0].case} were scored on different pairs, so they "
                "cannot be compared pair by pair: score both on one dataset with one --absent"
            )
    made = [_agreement(records[i], records[j]) for i, j in combinations(range(len(records)), 2)]
    adjusted = holm([one.paired.p_value for one in made])
    return [replace(one, adjusted_p=p) for one, p in zip(made, adjusted, strict=True)]


def _agreement(first: Record, second: Record) -> PairAgreement:
    (one, one_scores), (two, two_scores) = _scored(first), _scored(second)
    paired = compare(one, two, one_scores.identities, blocks(one_scores))
    return PairAgreement(
        first=first,
        second=second,
        paired=paired,
        adjusted_p=paired.p_value,
        over=one_scores.over,
        changed=paired.only_first + paired.only_second,
        score_difference=float(np.max(np.abs(one_scores.scores - two_scores.scores))),
        embeddings=_embeddings(first, second),
    )


def _scored(record: Record) -> tuple[Decisions, PairScores]:
    result = record.result
    found = decided(result) if isinstance(result, Accuracy) else None
    if not isinstance(result, Accuracy) or result.scores is None or found is None:
        raise RefusedError(
            f"the record of {record.case} holds no scores of pairs: score it anew with this version"
        )
    return found, result.scores


def _embeddings(first: Record, second: Record) -> EmbeddingDifference | None:
    one, two = first.case, second.case
    if (one.network, one.weights, one.flip) != (two.network, two.weights, two.flip):
        return None
    loaded = [
        embedding.load(record.provenance.get("embeddings", ()), record.case.flip)
        for record in (first, second)
    ]
    a, b = loaded
    if a is None or b is None or a.shape != b.shape:
        return None
    cosines = np.einsum("ke,ke->k", _unit(a), _unit(b))
    relative = float(np.abs(a - b).max() / np.abs(a).max())
    return EmbeddingDifference(relative, float(min(cosines.min(), 1.0)))


def _unit(embeddings: embedding.Embeddings) -> npt.NDArray[np.float64]:
    exact = embeddings.astype(np.float64)
    return np.asarray(exact / np.linalg.norm(exact, axis=1, keepdims=True))
