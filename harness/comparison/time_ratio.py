"""Asks whether one of two times is longer, and says by which spread that is answered."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from facebench.harness.comparison.job_spread import ENOUGH_JOBS, JobSpread
from facebench.harness.comparison.verdict import Policy, Verdict
from facebench.harness.comparison.wording import percents
from facebench.harness.records.comparable import Timed
from facebench.harness.stats import ratios

# Medians of the processes of each job.
Jobs = tuple[tuple[float, ...], ...]


@dataclass(frozen=True, eq=False)
class Ratio:
    """It asks whether one of two times is longer.

    Processes in turns are compared pair by pair, those of one run, in whose course all cases took
    turns, and jobs that are enough to show how much they differ by Welch's t, and all others by
    what is known of jobs.

    Attributes:
        base: the time before.
        new: the time after.
        policy: what is asked of it.
        known: how much jobs differ.
        one_run: whether both came of one run, so that no two jobs are compared.
    """

    base: Timed
    new: Timed
    policy: Policy
    known: JobSpread
    one_run: bool = False

    worse = Verdict.SLOWER
    better = Verdict.FASTER

    @property
    def beyond(self) -> str:
        """Say in words what a change is beyond: chance, or what turns differ by."""
        return "beyond what turns differ by" if self.in_turns else "not by chance"

    @property
    def in_turns(self) -> bool:
        """Say whether the processes took turns, so that both sides saw the same machine."""
        base, new = self.base, self.new
        return took_turns(base, new) and len(base.medians) > 1

    @property
    def by_processes(self) -> bool:
        """Say whether both sides are of one run, and have processes enough to show a spread."""
        several = min(len(self.base.medians), len(self.new.medians)) > 1
        return self.one_run and several and not self.in_turns

    @property
    def enough_jobs(self) -> bool:
        """Say whether jobs show by themselves how much they differ."""
        return not self.in_turns and not self.by_processes and self._jobs >= ENOUGH_JOBS

    @cached_property
    def effect(self) -> ratios.LogRatio:
        """Return the logarithm of the ratio."""
        if self.in_turns:
            return ratios.log_ratio_in_turns(self.base.by_process, self.new.by_process)
        if self.by_processes:
            return ratios.log_ratio(self.base.medians, self.new.medians)
        if self.enough_jobs:
            return ratios.log_ratio(*([*map(_geometric_mean, side)] for side in self._by_job))
        return self._by_what_is_known

    @property
    def effects(self) -> list[ratios.LogRatio]:
        """Return `effect`, and beside that of enough jobs the one by what is known of jobs.

        A few jobs know their spread so badly that a gross change could hide in it; where they
        do not contradict what is known of jobs, that bounds it.
        """
        bounded = self.enough_jobs and float(self.effect.spread) <= self.known.spread
        return [self.effect, self._by_what_is_known] if bounded else [self.effect]

    @property
    def large(self) -> bool:
        """Say whether it is above the margin; twice as fast is as large as twice as slow."""
        return bool(abs(self.effect.estimate) > self._margin)

    @property
    def change(self) -> float:
        """Return the relative change; 0.05 is 5 % slower."""
        return float(np.expm1(self.effect.estimate))

    @property
    def interval(self) -> tuple[float, float]:
        """Return the interval by Student's t; the spread between jobs is in it."""
        low, high = np.transpose([effect.interval() for effect in self.effects])
        return float(low.max()) - 1, float(high.min()) - 1

    @property
    def p_worse(self) -> float:
        """Return the one-sided p-value of a change for the worse."""
        return min(float(effect.p_above()) for effect in self.effects)

    @property
    def p_better(self) -> float:
        """Return the one-sided p-value of a change for the better."""
        return min(float(effect.p_below()) for effect in self.effects)

    @property
    def p_apart(self) -> float:
        """Return the larger of two one-sided p-values."""
        return min(float(effect.p_apart(self._margin)) for effect in self.effects)

    def smallest(self, level: float) -> float:
        """Return the smallest change that would be found, at a level that is corrected already."""
        ratio = min(float(effect.smallest(level)) for effect in self.effects)
        return max(ratio - 1, self.policy.margin)

    @property
    def assumed(self) -> str:
        """Say in words what had to be taken as known; an empty text where nothing had to."""
        known = self.in_turns or self.by_processes or self.enough_jobs
        return "" if known else str(self.known)

    def wanting(self, level: float) -> str:
        """Say what is too few, in processes or jobs a side."""
        found = f"slow-downs of {percents(self.smallest(level))} and more would have been found"
        if self.assumed:
            return (
                f"{self.assumed}, so that {found}; measure both in turns in one job "
                f"(git:BASE git:NEW), or in {ENOUGH_JOBS} jobs a side"
            )
        processes = self.in_turns or self.by_processes
        unit, have = ("process", len(self.new.medians)) if processes else ("job", self._jobs)
        several = "processes" if processes else "jobs"
        same = self.policy.same_level
        needed = ratios.processes_needed(self.effect, self._margin, level, same)
        spread = f"at a spread of {float(self.effect.spread):.1%} from {unit} to {unit}"
        if needed is None:
            return (
                f"the change lies at the margin: {spread} not even {ratios.MOST_PROCESSES} "
                f"{several} a side would decide"
            )
        # What was seen is not quite what is true; the count can come out at what there is.
        needed = max(needed, have + 1)
        return (
            f"{spread} {found}; about {needed} {several} a side would decide, {needed - have} more"
        )

    @cached_property
    def _by_what_is_known(self) -> ratios.LogRatio:
        known = self.known
        return ratios.log_ratio_between_jobs(*self._by_job, known.spread, known.degrees)

    @property
    def _by_job(self) -> tuple[Jobs, Jobs]:
        return self.base.by_job, self.new.by_job

    @property
    def _jobs(self) -> int:
        return min(map(len, self._by_job))

    @property
    def _margin(self) -> float:
        return math.log1p(self.policy.margin)


def took_turns(base: Timed, new: Timed) -> bool:
    """Return whether the processes of two times took turns with each other."""
    return bool(base.beside) and base.beside == new.beside and len(base.turns) == len(new.turns)


def _geometric_mean(medians: Sequence[float]) -> float:
    return math.exp(statistics.fmean(map(math.log, medians)))
