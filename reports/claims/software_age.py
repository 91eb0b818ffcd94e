"""Judges how far the paper's speed-up hangs on the month of its runtime, by times that ncnn
published in that year.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from facebench.reports.claims import REFUTED, SUPPORTED, ClaimFinding, claim
from facebench.reports.digits import Estimate, interval
from facebench.reports.digits import ratio as over
from facebench.reports.evidence import Evidence


@dataclass(frozen=True)
class _Month:
    """It has milliseconds of ncnn on a Snapdragon 820 with four threads, as published.

    Attributes:
        commit: of Tencent/ncnn, whose benchmark/README.md has them.
    """

    name: str
    commit: str
    mobilenet_v1: float
    mobilenet_v2: float


_MONTHS = (
    _Month("March 2018", "4ebab2725", 60.2, 60.6),
    _Month("May 2018", "0fa92b5e0", 56.9, 42.9),
    _Month("August 2018", "09b0c7284", 36.1, 27.4),
)

# Table 2, in whole milliseconds.
_PAPER_V1, _PAPER_V2, _PAPER_OURS = 60, 49, 24


@claim(
    "software-age",
    short="speed-up, any month",
    text="MobileFaceNet’s speed-up over MobileNetV2 is one of networks: the paper names no month "
    "and no version of ncnn, and it tells one ratio (49 against 24 ms).",
    where="abstract, Table 2",
    needs="nothing but published times",
    order=21,
)
def software_age(evidence: Evidence) -> Sequence[ClaimFinding]:
    """Hold MobileNetV2’s time over MobileNetV1’s, month by month, against the paper’s."""
    paper = over(_rounded(_PAPER_V2, 0.5), _rounded(_PAPER_V1, 0.5))
    return [_finding(month, paper) for month in _MONTHS]


def _finding(month: _Month, paper: Estimate) -> ClaimFinding:
    found = over(_rounded(month.mobilenet_v2, 0.05), _rounded(month.mobilenet_v1, 0.05))
    apart = found.high < paper.low or paper.high < found.low
    kept = found.value * _PAPER_V1 / _PAPER_OURS
    why = (
        f"MobileNetV2 took {found.value:.2f} of MobileNetV1’s time, and {paper.value:.2f} in the "
        f"paper ({interval(paper)} by its rounding), on the same phone with as many threads "
        f"(ncnn, benchmark/README.md at {month.commit}). Had MobileFaceNet kept its share of "
        f"MobileNetV1’s time, it would be {kept:.2f} times as fast as MobileNetV2, where the paper "
        f"has {_PAPER_V2 / _PAPER_OURS:.2f}."
    )
    place = f"ncnn of {month.name}, Snapdragon 820, 4 threads"
    verdict = REFUTED if apart else SUPPORTED
    return ClaimFinding(verdict, place, f"{found.value:.2f}×", interval(found), ("published",), why)


def _rounded(ms: float, half: float) -> Estimate:
    return Estimate(ms, ms - half, ms + half)
