"""Holds the paper's claims, each with what it needs, its test, and the records' verdict."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from facebench.architectures.registry import Registry
from facebench.reports.evidence import Evidence

SUPPORTED, REFUTED, UNDECIDED = "supported", "refuted", "not decidable here"
VERDICTS = (SUPPORTED, REFUTED, UNDECIDED)
# Of a claim that some places support and others refute.
DEPENDS = "depends"


@dataclass(frozen=True)
class ClaimFinding:
    """A finding is what the records say of a claim in one place.

    Attributes:
        verdict: one of `VERDICTS`.
        place: runtime, device and threads, or the counting rule; empty where there is one alone.
        figure: what the verdict turns on, rounded as its interval allows; empty where there
            is none.
        interval: its 95 % interval; empty for counts.
        kinds: how the figures were obtained.
        why: what holds in this place, a sentence.
        also: further reasons, each a sentence; what holds in several places is given once there.
    """

    verdict: str
    place: str
    figure: str
    interval: str
    kinds: tuple[str, ...]
    why: str
    also: tuple[str, ...] = ()

    @property
    def reasons(self) -> tuple[str, ...]:
        """Return all that it rests on, a sentence each."""
        return self.why, *self.also


@dataclass(frozen=True)
class Claim:
    """A claim is a sentence of the paper that records can speak to.

    Attributes:
        name: for scripts.
        short: what it says, in some twenty characters.
        text: what the paper says, in our words.
        where: in the paper.
        needs: the records that decide it, in words.
        judge: findings, one for each place; none where no record speaks to it.
        order: on the page.
    """

    name: str
    short: str
    text: str
    where: str
    needs: str
    judge: Callable[[Evidence], Sequence[ClaimFinding]]
    order: int


@dataclass(frozen=True)
class Judged:
    """It holds a claim and what was found."""

    claim: Claim
    findings: Sequence[ClaimFinding]

    @property
    def verdict(self) -> str:
        """Return the verdict of the places that decide where they agree, else `DEPENDS`."""
        decided = {one.verdict for one in self.findings} - {UNDECIDED}
        if len(decided) > 1:
            return DEPENDS
        return decided.pop() if decided else UNDECIDED

    @property
    def deciding(self) -> list[Sequence[ClaimFinding]]:
        """Return the findings that make the verdict, those of one verdict together."""
        groups = [[f for f in self.findings if f.verdict == one] for one in VERDICTS[:2]]
        return [one for one in groups if one] or [self.findings]


CLAIMS: Registry[Claim] = Registry("claim", package="facebench.reports.claims")

Judge = Callable[[Evidence], Sequence[ClaimFinding]]


def claim(
    name: str, *, short: str, text: str, where: str, needs: str, order: int
) -> Callable[[Judge], Judge]:
    """Register the decorated function as the judge of a claim."""

    def decorate(judge: Judge) -> Judge:
        CLAIMS.add(name, Claim(name, short, text, where, needs, judge, order))
        return judge

    return decorate


def judged(evidence: Evidence) -> list[Judged]:
    """Judge all claims by what the records say, in order; without findings: what they need."""
    ordered = sorted(CLAIMS, key=lambda one: one.order)
    return [Judged(one, one.judge(evidence) or [_missing(one)]) for one in ordered]


def _missing(one: Claim) -> ClaimFinding:
    return ClaimFinding(UNDECIDED, "", "", "", (), f"It needs {one.needs}.")
