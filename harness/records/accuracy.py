"""Defines the results of scoring faces: verification of pairs, and identification of probes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from facebench.harness.records.pair_scores import PairScores
from facebench.harness.records.results import Result

# What to say of a search whose record has no intervals.
NO_BOUNDS = (
    "a record before schema 8 does not know whose searches succeeded, so its figures have no "
    "interval: search anew"
)


@dataclass(frozen=True)
class Accuracy(Result):
    """It is the verification accuracy by the 10-fold protocol.

    Attributes:
        fold_accuracies: share of right decisions in each fold, 0 to 1, at the
            threshold that is best on the other folds.
        fold_thresholds: these thresholds, on the cosine of the two embeddings.
        pairs: genuine and impostor pairs together.
        label: what the data set can say; empty for real faces.
        flip: how an image and its mirror were joined: `none`, `sum` or `concatenation`.
        images_per_second: from a file's bytes to an embedding, decoding,
            alignment and mirror images included, on all threads of the case.
        scores: of every pair; None in records of schema 1.
        not_found: images in which no face was found.
        excluded_pairs: pairs that were left out because of them.
    """

    fold_accuracies: tuple[float, ...]
    fold_thresholds: tuple[float, ...]
    pairs: int
    label: str
    flip: str
    images_per_second: float
    scores: PairScores | None = None
    not_found: tuple[str, ...] = ()
    excluded_pairs: int = 0

    @property
    def accuracy(self) -> float:
        """Mean of the folds, 0 to 1."""
        return float(np.mean(self.fold_accuracies))

    @property
    def fold_standard_deviation(self) -> float:
        """Return the standard deviation of the folds' accuracies (ddof=1), 0 to 1."""
        return float(np.std(self.fold_accuracies, ddof=1))

    @property
    def standard_error(self) -> float:
        """Return the mean's standard error: the folds' deviation over the root of their count."""
        return self.fold_standard_deviation / float(np.sqrt(len(self.fold_accuracies)))


@dataclass(frozen=True)
class OperatingPoint:
    """It is a threshold, and the rates of right and wrong acceptance there.

    Attributes:
        rate: the false rate that was asked for: FAR or FPIR.
        threshold: on the cosine of two embeddings.
        accepted: genuine trials that pass it, of `trials`.
        trials: genuine trials.
    """

    rate: float
    threshold: float
    accepted: int
    trials: int

    @property
    def true_rate(self) -> float:
        """Return the TAR or TPIR: the share of the genuine trials that pass, 0 to 1."""
        return self.accepted / self.trials


@dataclass(frozen=True)
class Bounded:
    """A share and how sure it is.

    Attributes:
        value: 0 to 1.
        interval: 95 %, from 0 to 1; None where it is refused.
        note: why it is refused, or what to know of it; empty mostly.
    """

    value: float
    interval: tuple[float, float] | None
    note: str = ""


@dataclass(frozen=True)
class SearchBounds:
    """It holds figures of a search with intervals over its probes' people.

    Attributes:
        rank1: share found at rank 1.
        tpir: one each of `Identification.tpir`.
        tar: one each of `Identification.tar`.
    """

    rank1: Bounded
    tpir: tuple[Bounded, ...]
    tar: tuple[Bounded, ...]


@dataclass(frozen=True)
class Identification(Result):
    """Search of probes among distractors, as MegaFace does it.

    Each image of a probe's identity is put among all distractors in turn; the
    probe is found at rank k where fewer than k distractors score as high.

    Attributes:
        probes: images searched for.
        mated_searches: pairs of a probe and another image of its identity.
        distractors: images searched among.
        found_at: mated searches that succeed at rank 1, 2, ...
        tpir: at the false positive identification rates that the probes support.
        tar: at the false acceptance rates that probes and distractors support.
        identities: of the probes.
        label: what the data set can say; empty for real faces.
        flip: as in `Accuracy`.
        images_per_second: as in `Accuracy`; probes and distractors together.
        searches_per_second: probes compared with all distractors, a second.
        not_found: images in which no face was found.
        bounds: intervals over the probes' people; None in records before schema 8, of which
            it isn't known who was found.
    """

    probes: int
    mated_searches: int
    distractors: int
    found_at: tuple[int, ...]
    tpir: tuple[OperatingPoint, ...]
    tar: tuple[OperatingPoint, ...]
    identities: int
    label: str
    flip: str
    images_per_second: float
    searches_per_second: float
    not_found: tuple[str, ...] = ()
    bounds: SearchBounds | None = None

    @property
    def rank1(self) -> float:
        """Return the share of the mated searches that succeed at rank 1, 0 to 1."""
        return self.found_at[0] / self.mated_searches
