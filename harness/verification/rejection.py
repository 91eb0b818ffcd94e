"""Rejects pairs of poor quality, and says how many errors that saves: error against reject.

The threshold is set on all pairs. Then a share of the pairs is left out, those whose worse image
has the lowest quality, and the false rejection rate of the rest is given: a quality that knows
which images will fail brings it down. Source: P. Grother, E. Tabassi, "Performance of biometric
quality measures", IEEE TPAMI 29(4), 2007. This module needs neither torch nor TVM.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from facebench.architectures.errors import BadInputError
from facebench.harness.records.accuracy import Bounded, OperatingPoint
from facebench.harness.records.pair_scores import PairScores
from facebench.harness.stats.arrays import Booleans, Floats
from facebench.harness.verification.intervals import rates_at
from facebench.harness.verification.layout import csv_rows, decode_text, read_bytes
from facebench.harness.verification.metrics import tar_at_far

# Shares of the pairs that are left out.
SHARES = (0.0, 0.05, 0.1, 0.2, 0.3)
COLUMNS = ("image", "quality")


@dataclass(frozen=True)
class RejectCurve:
    """It gives the errors that remain where pairs of poor quality are left out.

    Attributes:
        point: the threshold, set on all pairs.
        shares: of the pairs that are left out.
        frr: the false rejection rate of the others, one each.
    """

    point: OperatingPoint
    shares: tuple[float, ...]
    frr: tuple[Bounded, ...]


def reject_curve(
    pairs: PairScores, quality: Floats, far: float, shares: Sequence[float] = SHARES
) -> RejectCurve:
    """Return the false rejection rate of what remains of the pairs.

    Args:
        pairs: scores.
        quality: `(P,)`; of each pair, higher being better.
        far: at which the threshold is set, 0 to 1.
        shares: of pairs that are left out, 0 to 1.

    Raises:
        BadInputError: a quality is no number.
        RefusedError: there are too few impostor pairs for `far`.
    """
    if not np.all(np.isfinite(quality)):
        raise BadInputError(
            f"{np.sum(~np.isfinite(quality))} of {len(quality)} pairs have no quality: give one of "
            "each image"
        )
    point = tar_at_far(pairs.scores, pairs.same, far)
    # Of equal quality, the pairs that come first are left out first.
    order = np.argsort(quality, kind="stable")
    frr = []
    for share in shares:
        stay = np.ones(len(quality), np.bool_)
        stay[order[: int(share * len(quality))]] = False
        frr.append(rates_at(some(pairs, stay), point.threshold).frr)
    return RejectCurve(point, tuple(shares), tuple(frr))


def some(pairs: PairScores, stay: Booleans) -> PairScores:
    """Return the scores of some of the pairs, `(P,)`, without their groups."""
    people = pairs.identities[stay] if len(pairs.identities) else pairs.identities
    return PairScores.pack(
        pairs.scores[stay],
        pairs.same[stay],
        pairs.folds[stay],
        [(int(one), int(two)) for one, two in people],
        f"{pairs.digest}/some",
        pairs.recovered,
    )


def read_quality(path: Path) -> Mapping[str, float]:
    """Return the quality of each image that a CSV file `image,quality` names.

    Raises:
        BadInputError: it can't be read, or a line is no image and a number.
    """
    where = str(path)
    rows = csv_rows(decode_text(read_bytes(path), where).rstrip(), where)
    if tuple(next(rows, ())) != COLUMNS:
        raise BadInputError(f"{where} line 1 must be {','.join(COLUMNS)}")
    found = {}
    for number, row in enumerate(rows, start=2):
        try:
            image, value = row
            found[image] = float(value)
        except ValueError:
            raise BadInputError(
                f"{where} line {number} must be an image and a number: mend it"
            ) from None
    return found
