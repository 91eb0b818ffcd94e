"""Asks questions that need a test: is there a change at all, and is it within the margin?

Each is asked of two figures and answered by p-values, so that all of a comparison can
be corrected together before anything is said.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

from scipy.special import ndtri

from facebench.architectures.errors import RefusedError
from facebench.harness.comparison.verdict import Policy, Verdict
from facebench.harness.records.comparable import Decided
from facebench.harness.stats import ratios
from facebench.harness.verification.paired import PairedComparison
from facebench.harness.verification.paired import compare as compare_pairs

Interval = tuple[float, float]


class Question(Protocol):
    """A question says what can be asked of a figure with spread."""

    worse: Verdict
    better: Verdict

    @property
    def beyond(self) -> str:
        """Say in words what a change that is found is beyond."""

    @property
    def change(self) -> float:
        """Return the change of new against base, as `Line` has it."""

    @property
    def interval(self) -> Interval:
        """Return the 95 % interval of the change."""

    @property
    def large(self) -> bool:
        """Say whether the change, as it looks, is above the margin."""

    @property
    def p_worse(self) -> float:
        """Return a p-value, small where chance alone hardly makes it so much worse."""

    @property
    def p_better(self) -> float:
        """Return a p-value, small where chance alone hardly makes it so much better."""

    @property
    def p_apart(self) -> float:
        """Return a p-value, small where the change is shown to be within the margin."""

    @property
    def assumed(self) -> str:
        """Say in words what the answer takes as known; an empty text where it takes nothing."""

    def smallest(self, level: float) -> float | None:
        """Return the smallest change that would be found, at a level that is corrected already."""

    def wanting(self, level: float) -> str:
        """Return what would decide, at a level that is corrected already."""


@dataclass(frozen=True, eq=False)
class Lead:
    """It compares two accuracies on the same pairs: `facebench.harness.verification.paired`."""

    base: Decided
    new: Decided
    policy: Policy

    worse = Verdict.WORSE
    better = Verdict.BETTER
    assumed = ""
    beyond = "not by chance"

    def __post_init__(self) -> None:
        if not (self.base.right and self.new.right):
            raise RefusedError(
                "a record says how many were right but not which, so the two can't be paired"
            )
        if (self.base.digest, self.base.pairs) != (self.new.digest, self.new.pairs):
            raise RefusedError(
                "they were scored on different pairs: score both on one dataset with one --absent"
            )

    @cached_property
    def paired(self) -> PairedComparison:
        """Return the counts, and how sure their difference is."""
        people = self.new.people if len(self.new.people) else self.base.people
        return compare_pairs(self.base.decisions, self.new.decisions, people)

    @property
    def counts(self) -> tuple[int, int, int]:
        """Count the pairs that base alone got right, that new alone did, and all."""
        return self.paired.only_first, self.paired.only_second, self.paired.pairs

    @property
    def change(self) -> float:
        """Return the accuracy of new minus that of base."""
        return self.paired.difference

    @property
    def interval(self) -> Interval:
        """Return the interval by the same procedure as the p-values."""
        return self.paired.interval

    @property
    def large(self) -> bool:
        """Say whether the lead exceeds the margin, in pairs of a hundred, not of the errors."""
        return abs(self.change) > self.policy.accuracy_margin

    @property
    def p_worse(self) -> float:
        """Return the one-sided p-value of a change for the worse."""
        return self.paired.p_below(0.0)

    @property
    def p_better(self) -> float:
        """Return the one-sided p-value of a change for the better."""
        return self.paired.p_above(0.0)

    @property
    def p_apart(self) -> float:
        """Return the larger of two one-sided p-values."""
        margin = self.policy.accuracy_margin
        return max(self.paired.p_above(-margin), self.paired.p_below(margin))

    def smallest(self, level: float) -> None:
        """Return None: it depends on how many pairs two networks decide differently."""

    def wanting(self, level: float) -> str:
        """Say what is too few, in pairs, or in people where these are too few."""
        if self.paired.refused:
            return self.paired.refused
        only_first, only_second, count = self.counts
        size, margin = abs(self.change), self.policy.accuracy_margin
        room, risk = (size, level) if self.large else (margin - size, self.policy.same_level)
        quantile = float(ndtri(1 - risk) + ndtri(ratios.POWER))
        # One pair at least is taken to be decided differently.
        variance = max(only_first + only_second, 1) / count
        needed = (self.paired.widening * quantile) ** 2 * variance / room**2 if room else math.inf
        if needed > 1e9:
            return "the change lies at the margin: no number of pairs would decide"
        return f"about {max(math.ceil(needed), count + 1):,} pairs would decide"
