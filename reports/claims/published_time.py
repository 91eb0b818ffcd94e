"""Judges how far a paper's ratio of times hangs on the software of its day, by times that others
published.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

from msgspec import Meta

from facebench.reports.claims import REFUTED, SUPPORTED, ClaimFinding, Words, judgement
from facebench.reports.claims.relations import Figure, FigureClaim
from facebench.reports.digits import Estimate, interval
from facebench.reports.digits import ratio as over
from facebench.reports.evidence import Evidence

# Benchmarks print milliseconds to a tenth.
_HALF_A_TENTH = 0.05
_Ms = Annotated[float, Meta(ge=0.1, le=1e9)]


@dataclass(frozen=True, kw_only=True)
class PublishedTimeClaim(FigureClaim):
    """It is a claim that a ratio of two times is one of networks, whatever the software.

    Attributes:
        times: where others published the two times, the source, and the two in milliseconds.
        models: what the paper calls the two networks whose times `figure` and `of` are.
        third: what it calls a further network, and its milliseconds: how many times as fast as
            the first it would be, had it kept its share of the second's time.
    """

    times: Annotated[
        tuple[tuple[Words, Words, _Ms, _Ms], ...],
        Meta(min_length=1, max_length=100,
             description="a list of [place, source, milliseconds, milliseconds]"),
    ]  # fmt: skip
    models: Annotated[tuple[Words, Words], Meta(description="two names, [A, B]")]
    third: Annotated[tuple[Words, Figure], Meta(description="a name and milliseconds, [A, 24]")]


@judgement("published time", PublishedTimeClaim, needs="nothing but published times")
def published_time(evidence: Evidence, claim: PublishedTimeClaim) -> Sequence[ClaimFinding]:
    """Hold the ratio of what others published, place by place, against the paper’s."""
    return [_finding(claim, *time) for time in claim.times]


def _finding(
    claim: PublishedTimeClaim, place: str, source: str, ours: float, theirs: float
) -> ClaimFinding:
    paper, found = claim.published, over(_rounded(ours), _rounded(theirs))
    apart = found.high < paper.low or paper.high < found.low
    (first, second), (third, third_ms) = claim.models, claim.third
    kept = found.value * (claim.of or 1.0) / third_ms
    why = (
        f"{first} took {found.value:.2f} of {second}’s time, and {paper.value:.2f} in the "
        f"paper ({interval(paper)} by its rounding), on the same phone with as many threads "
        f"({source}). Had {third} kept its share of {second}’s time, it would be {kept:.2f} "
        f"times as fast as {first}, where the paper has {claim.figure / third_ms:.2f}."
    )
    verdict = REFUTED if apart else SUPPORTED
    figure = f"{found.value:.2f}×"
    return ClaimFinding(verdict, place, figure, interval(found), ("published",), why, claim.notes)


def _rounded(ms: float) -> Estimate:
    return Estimate(ms, ms - _HALF_A_TENTH, ms + _HALF_A_TENTH)
