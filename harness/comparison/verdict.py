"""Defines what a comparison says, and by which rules it may say it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from facebench.harness.records.case import Case
from facebench.harness.records.comparable import Counted, Decided, Figure


class Verdict(StrEnum):
    """A verdict is on one figure of one case."""

    SLOWER = "slower"
    WORSE = "worse"
    BROKEN = "broken"
    NOT_COMPARABLE = "not comparable"
    NOT_DECIDABLE = "not decidable"
    FASTER = "faster"
    BETTER = "better"
    SAME = "same"

    @property
    def alarms(self) -> bool:
        """Say whether it is a regression."""
        return self in (Verdict.SLOWER, Verdict.WORSE, Verdict.BROKEN)

    @property
    def gains(self) -> bool:
        """Say whether it is a change for the better."""
        return self in (Verdict.FASTER, Verdict.BETTER)


@dataclass(frozen=True)
class Policy:
    """A policy holds the rules of a comparison.

    A change is called slower, faster, worse or better where two things hold: chance alone
    hardly makes such a change, and it is above the margin. It is called same only where its
    whole 95 % interval is within the margin. A change as large as the margin comes out above it
    every other time, so the margin must be smaller than what is to be found: half of it is
    a good choice.

    Attributes:
        margin: of times, relative; 0.01 is 1 %.
        count_margin: of exact counts, relative.
        accuracy_margin: of accuracies, absolute: 0.002 is two pairs in a thousand.
        level: chance that any figure at all is called slower, or worse, of those that
            did not change; as much again that any is called faster, or better.
        same_level: chance that a case is called same whose change is the margin; half of
            0.05, so that it is the 95 % interval that is within.
        across: kinds of difference, of `environments.KINDS`, that are no hindrance.
        between_jobs: standard deviation between jobs of the same code, relative, where they are
            too few to show it; None for what the machine's history shows, or a cautious default.
        memory_margin: of peak memory, relative.
        memory_step_bytes: what decides nothing of peak memory beyond that margin: one process
            tells it, memory comes in steps of some 2 MB, and processes of the same code take
            one or two more by chance.
    """

    margin: float = 0.01
    count_margin: float = 0.0
    accuracy_margin: float = 0.002
    level: float = 0.01
    same_level: float = 0.025
    across: frozenset[str] = frozenset()
    memory_margin: float = 0.1
    memory_step_bytes: int = 6 << 20
    between_jobs: float | None = None

    def margin_of(self, figure: Figure) -> float:
        """Return the margin that applies to a figure; what a model makes of counts is a time."""
        if isinstance(figure, Decided):
            return self.accuracy_margin
        if isinstance(figure, Counted) and not figure.exact:
            return self.memory_margin
        count = isinstance(figure, Counted) and not figure.is_time
        return self.count_margin if count else self.margin


@dataclass(frozen=True)
class Line:
    """A line compares one figure of one case.

    Attributes:
        case: that of the new side, or of the base where the new side has none.
        figure: its name.
        unit: of `base` and `new`; empty for counts and shares.
        kind: how the figure was obtained, one of `record.KINDS`.
        verdict: what is said.
        reason: why, in words.
        base: the figure before; None where there is none.
        new: the figure now.
        change: relative; for accuracies the difference, new minus base.
        interval: 95 % interval of the change; None for exact figures.
        notes: what else should be known: differences that were allowed, doubts.
        share: whether the figure is a share, whose change is in points.
        smallest: the smallest slow-down, relative, that would have been found in four of five
            such comparisons; None where that is not known.
    """

    case: Case
    figure: str
    unit: str
    kind: str
    verdict: Verdict
    reason: str
    base: float | None = None
    new: float | None = None
    change: float | None = None
    interval: tuple[float, float] | None = None
    notes: tuple[str, ...] = ()
    share: bool = False
    smallest: float | None = None


@dataclass(frozen=True)
class Comparison:
    """A comparison is all of its lines and what they rest on.

    Attributes:
        base: name of one side.
        new: name of the other.
        policy: the rules it was made by.
        lines: regressions first.
        only_base: cases that the new side lacks.
        only_new: cases that the base lacks.
        measured: how the sides were measured, where that was done for this comparison.
    """

    base: str
    new: str
    policy: Policy
    lines: tuple[Line, ...]
    only_base: tuple[Case, ...]
    only_new: tuple[Case, ...]
    measured: str = ""

    @property
    def regressions(self) -> tuple[Line, ...]:
        """Return the lines that are alarms."""
        return tuple(line for line in self.lines if line.verdict.alarms)

    @property
    def gains(self) -> tuple[Line, ...]:
        """Return the lines that are for the better."""
        return tuple(line for line in self.lines if line.verdict.gains)

    @property
    def empty(self) -> bool:
        """Say whether nothing of it could be compared."""
        return all(line.verdict is Verdict.NOT_COMPARABLE for line in self.lines)

    @property
    def counts(self) -> dict[str, int]:
        """Count how many lines each verdict has, of those there are, regressions first."""
        found = [line.verdict for line in self.lines]
        return {str(verdict): found.count(verdict) for verdict in Verdict if verdict in found}
