"""Estimates ratios of times that several processes gave, and says what may be said of them.

The unit is the process, not the sample: start-up, allocation and code layout
differ from one process to the next and stay within one, and samples of one
process follow each other and are not independent (T. Kalibera, R. Jones,
"Rigorous Benchmarking in Reasonable Time", ISMM 2013; T. Mytkowicz et al.,
"Producing Wrong Data Without Doing Anything Obviously Wrong!", ASPLOS 2009).
So a process counts once, by its median; what varies within it is part of what
varies between medians.

Processes of one job, such as a run of a plan, share more than that: what the machine was
like then. Where the two sides are of different jobs, the unit is the job.

Where arrays are taken, functions work along the last axis and take many comparisons at once.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import stdtr, stdtrit

from facebench.harness.stats.arrays import Reals

# A handful of processes can agree by chance, or to the clock's last digit. A time on a
# general-purpose machine is good to a thousandth at best: their spread is taken for no less.
LEAST_SPREAD = 1e-3

# What processes of one job are taken to differ by where no job has two: start-up and the
# layout of code make 1 to 3 %.
PROCESS_SPREAD = 0.03

# More processes than this nobody waits for.
MOST_PROCESSES = 500

# Chance with which a number of processes, or pairs, that is called enough decides.
POWER = 0.8


@dataclass(frozen=True, eq=False)
class LogRatio:
    """It is the logarithm of new over base, judged by a t test.

    Where the two sides have spreads of their own it is that of B. L. Welch ("The
    generalization of 'Student's' problem when several different population variances are
    involved", Biometrika 34, 1947); the degrees of freedom are F. E. Satterthwaite's
    (Biometrics Bulletin 2(6), 1946).

    Attributes:
        estimate: `(...)`; logarithm of the ratio of the geometric means.
        error: `(...)`; its standard error.
        degrees: `(...)`; of freedom.
        spread: `(...)`; standard deviation of a process, or of a job, both sides pooled; of
            processes in turns, that of the ratio of two.
        sides: 2 where each side has a spread of its own; 1 where only ratios have.
    """

    estimate: Reals
    error: Reals
    degrees: Reals
    spread: Reals
    sides: int = 2

    def interval(self, confidence: float = 0.95) -> tuple[Reals, Reals]:
        """Return ratios between which the true one lies with `confidence`."""
        reach = self.error * stdtrit(self.degrees, (1 + confidence) / 2)
        return np.exp(self.estimate - reach), np.exp(self.estimate + reach)

    def p_above(self, bound: float = 0.0) -> Reals:
        """Return how often an estimate this high is seen where the true logarithm is `bound` or
        less.
        """
        return np.asarray(stdtr(self.degrees, (bound - self.estimate) / self.error))

    def p_below(self, bound: float = 0.0) -> Reals:
        """Return how often an estimate this low is seen where the true logarithm is `bound` or
        more.
        """
        return np.asarray(stdtr(self.degrees, (self.estimate - bound) / self.error))

    def p_apart(self, margin: float) -> Reals:
        """Return how often two that are `margin` apart, or more, look as alike as these.

        The larger of the two one-sided tests: D. J. Schuirmann, "A comparison of the two
        one-sided tests procedure and the power approach", Journal of Pharmacokinetics and
        Biopharmaceutics 15(6), 1987.
        """
        return np.maximum(self.p_above(-margin), self.p_below(margin))

    def smallest(self, level: float) -> Reals:
        """Say which ratio, 1 or more, a one-sided test at `level` finds in four of five cases."""
        reach = stdtrit(self.degrees, 1 - level) + stdtrit(self.degrees, POWER)
        return np.asarray(np.exp(self.error * reach))


def log_ratio(base: npt.ArrayLike, new: npt.ArrayLike) -> LogRatio:
    """Compare medians of processes.

    Args:
        base: `(..., n)`, positive, n at least 2: a median for each process, in any unit.
        new: `(..., m)`, in the same unit.

    Example:
        >>> effect = log_ratio([10.0, 10.1, 9.9, 10.0], [10.5, 10.4, 10.6, 10.5])
        >>> low, high = effect.interval()
        >>> print(f"{np.exp(effect.estimate):.3f} [{low:.3f}, {high:.3f}]")
        1.050 [1.036, 1.065]
    """
    sides = [np.log(np.asarray(side, np.float64)) for side in (base, new)]
    counts = np.array([side.shape[-1] for side in sides])
    spreads = np.stack([np.maximum(side.std(axis=-1, ddof=1), LEAST_SPREAD) for side in sides])
    shape = (2,) + (1,) * (spreads.ndim - 1)
    shares = spreads**2 / counts.reshape(shape)
    variance = shares.sum(axis=0)
    return LogRatio(
        estimate=np.asarray(sides[1].mean(axis=-1) - sides[0].mean(axis=-1)),
        error=np.sqrt(variance),
        degrees=variance**2 / (shares**2 / (counts - 1).reshape(shape)).sum(axis=0),
        spread=np.sqrt((spreads**2).mean(axis=0)),
    )


def log_ratio_in_turns(base: npt.ArrayLike, new: npt.ArrayLike) -> LogRatio:
    """Compare processes that took turns, the first with the first and so on.

    The ratio of two processes is the Hodges-Lehmann estimate over their turns, which bears
    turns in which the machine changed its speed between one and the other (J. L. Hodges,
    E. L. Lehmann, "Estimates of location based on rank tests", Annals of Mathematical
    Statistics 34, 1963); the ratios of the pairs of processes are the sample of Student's t.

    Args:
        base: `(n, t)`, positive, n at least 2: the median of each turn of each process.
        new: as `base`.
    """
    ratios = np.log(np.asarray(new, np.float64)) - np.log(np.asarray(base, np.float64))
    first, second = np.triu_indices(ratios.shape[1])
    each = np.median((ratios[:, first] + ratios[:, second]) / 2, axis=1)
    spread = np.maximum(each.std(ddof=1), LEAST_SPREAD)
    return LogRatio(
        estimate=np.asarray(each.mean()),
        error=np.asarray(spread / np.sqrt(len(each))),
        degrees=np.asarray(len(each) - 1.0),
        spread=np.asarray(spread),
        sides=1,
    )


def log_ratio_between_jobs(
    base: Sequence[Sequence[float]],
    new: Sequence[Sequence[float]],
    between: float,
    degrees: float = math.inf,
) -> LogRatio:
    """Compare jobs of which there are too few to show how much jobs differ: that is told.

    The variance of a side is that of its jobs over their number, and that of its processes
    within jobs over theirs; degrees of freedom are Satterthwaite's. Jobs that differ more
    than is told are believed.

    Args:
        base: medians of each job's processes, positive, one or more of each.
        new: likewise, in the same unit.
        between: standard deviation of a job's logarithm: 0.03 is 3 %.
        degrees: of freedom with which `between` is known; infinite where it is taken as given.

    Example:
        >>> low, high = log_ratio_between_jobs([[10.0]], [[30.0]], 0.1).interval()
        >>> print(f"{low:.1f} to {high:.1f}")
        2.2 to 4.0
    """
    sides = [[np.log(np.asarray(job, np.float64)) for job in side] for side in (base, new)]
    means = [np.array([job.mean() for job in side]) for side in sides]
    seen, seen_degrees = _pooled(means)
    between, degrees = max((between, degrees), (seen, seen_degrees))
    jobs = between**2 * sum(1 / len(side) for side in sides)
    within, within_degrees = _pooled([job for side in sides for job in side])
    if not within_degrees:
        within, within_degrees = PROCESS_SPREAD, math.inf
    within = max(within, LEAST_SPREAD)
    processes = within**2 * sum(
        sum(1 / len(job) for job in side) / len(side) ** 2 for side in sides
    )
    variance = jobs + processes
    lost = jobs**2 / degrees + processes**2 / within_degrees
    return LogRatio(
        estimate=np.asarray(means[1].mean() - means[0].mean()),
        error=np.asarray(math.sqrt(variance)),
        degrees=np.asarray(variance**2 / lost if lost else math.inf),
        spread=np.asarray(between),
    )


def processes_needed(
    effect: LogRatio, margin: float, level: float, same_level: float
) -> int | None:
    """Say how many processes or jobs a side decide in four of five cases, were all as it looks.

    Args:
        effect: of one comparison.
        margin: logarithm of the ratio that matters.
        level: of the test for any change, which decides where the effect is above the margin.
        same_level: of the test for being within the margin, which decides elsewhere.

    Returns:
        None where even `MOST_PROCESSES` would not: the effect lies at the margin.
    """
    counts = np.arange(2, MOST_PROCESSES + 1)
    size = abs(float(effect.estimate))
    room, risk = (size, level) if size > margin else (margin - size, same_level)
    degrees = effect.sides * (counts - 1)
    errors = stdtrit(degrees, 1 - risk) + stdtrit(degrees, POWER)
    reach = errors * float(effect.spread) * np.sqrt(effect.sides / counts)
    enough: npt.NDArray[Any] = counts[reach < room]
    return int(enough[0]) if len(enough) else None


def _pooled(groups: Sequence[Reals]) -> tuple[float, float]:
    """Standard deviation within groups, and its degrees of freedom: none is 0.0 of 0.0."""
    degrees = float(sum(len(group) - 1 for group in groups))
    squares = sum(float(((group - group.mean()) ** 2).sum()) for group in groups)
    return (math.sqrt(squares / degrees) if degrees else 0.0), degrees
