"""Holds what a claim of a paper is, the kinds of judgement, and what is found by records."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, TypeVar

from msgspec import Meta

from facebench.architectures.registry import Registry
from facebench.reports.evidence import Evidence

SUPPORTED, REFUTED, UNDECIDED = "supported", "refuted", "not decidable here"
VERDICTS = (SUPPORTED, REFUTED, UNDECIDED)
# Of a claim that some places support and others refute.
DEPENDS = "depends"

# Of a file of a stranger's: what a terminal shows as it stands.
_LINE = r"^[^\x00-\x1f\x7f-\x9f]*\Z"
Words = Annotated[
    str, Meta(max_length=1000, pattern=_LINE, description="a text of one line, printable")
]
Slug = Annotated[
    str, Meta(pattern=r"^[a-z0-9][a-z0-9-]{0,39}\Z", description="a-z, 0-9 and -, at most 40")
]
Short = Annotated[
    str,
    Meta(min_length=1, max_length=24, pattern=_LINE, description="a text of 1 to 24 characters"),
]
Pairs = Annotated[
    tuple[tuple[Words, Words], ...],
    Meta(min_length=1, max_length=100, description="a list of pairs of networks, [[A, B]]"),
]


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


@dataclass(frozen=True, kw_only=True)
class Claim:
    """A claim is a sentence of a paper that records can speak to: a row of the paper's file.

    Each measure has a class of its own, whose further attributes are the row's further keys.

    Attributes:
        name: for scripts.
        short: what it says, in some twenty characters.
        text: what the paper says, in our words.
        where: in the paper.
        measure: what it is judged by, of `JUDGEMENTS`.
        needs: the records that decide it, in words; by default its measure's.
        note: a sentence that is told beside the figures; none where it is empty.
        absent: why it cannot be judged here, a sentence; empty where it can.
    """

    name: Slug
    short: Short
    text: Words
    where: Words
    measure: Words
    needs: Words = ""
    note: Words = ""
    absent: Words = ""

    @property
    def named(self) -> tuple[str, ...]:
        """Return the networks that it speaks of, by their names here."""
        return ()

    @property
    def notes(self) -> tuple[str, ...]:
        """Return its note, if it has one."""
        return (self.note,) if self.note else ()

    def judge(self, evidence: Evidence) -> Sequence[ClaimFinding]:
        """Return findings, one for each place; none where no record speaks to it."""
        if self.absent:
            return [ClaimFinding(UNDECIDED, "", "", "", (), self.absent)]
        return JUDGEMENTS[self.measure].judge(evidence, self)


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


@dataclass(frozen=True)
class Judgement:
    """A judgement is how claims of one measure are judged.

    Attributes:
        measure: its name, as rows have it.
        row: the class of such claims.
        needs: the records that decide one, in words; `{networks}` stands for their names, and
            another key in braces for its value.
        judge: findings of a claim of that class, one for each place.
    """

    measure: str
    row: type[Claim]
    needs: str
    judge: Callable[[Evidence, Any], Sequence[ClaimFinding]]


JUDGEMENTS: Registry[Judgement] = Registry("measure of a claim", package="facebench.reports.claims")

Row = TypeVar("Row", bound=Claim)
Judge = Callable[[Evidence, Row], Sequence[ClaimFinding]]


def judgement(measure: str, row: type[Row], *, needs: str) -> Callable[[Judge[Row]], Judge[Row]]:
    """Register the decorated function as the judge of a measure's claims, of class `row`."""

    def decorate(judge: Judge[Row]) -> Judge[Row]:
        JUDGEMENTS.add(measure, Judgement(measure, row, needs, judge))
        return judge

    return decorate
