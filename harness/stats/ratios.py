"""Ratios of times that several processes gave, and what may be said of them.

The unit is the process, not the sample: start-up, allocation and code layout
differ from one process to the next and stay within one, and samples of one
process follow each other and are not independent (T. Kalibera, R. Jones,
"Rigorous Benchmarking in Reasonable Time", ISMM 2013; T. Mytkowicz et al.,
"Producing Wrong Data Without Doing Anything Obviously Wrong!", ASPLOS 2009).
So a process counts once, by its median; what varies within it is part of what
varies between medians.

All functions work along the last axis and take many comparisons at once.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import stdtr, stdtrit

Reals = npt.NDArray[np.float64]

# A handful of processes can agree by chance, or to the clock's last digit. A time on a
# general-purpose machine is good to a thousandth at best: their spread is taken for no less.
LEAST_SPREAD = 1e-3

# More processes than this nobody waits for.
MOST_PROCESSES = 500

# Chance with which a number of processes, or pairs, that is called enough decides.
POWER = 0.8


@dataclass(frozen=True, eq=False)
class LogRatio:
    """Logarithm of new over base, by a t test.

    Where the two sides have spreads of their own it is that of B. L. Welch ("The
    generalization of 'Student's' problem when several different population variances are
    involved", Biometrika 34, 1947); the degrees of freedom are F. E. Satterthwaite's
    (Biometrics Bulletin 2(6), 1946).

    Attributes:
        estimate: `(...)`; logarithm of the ratio of the geometric means.
        error: `(...)`; its standard error.
        degrees: `(...)`; of freedom.
        spread: `(...)`; standard deviation of a process, both sides pooled; of processes in
            turns, that of the ratio of two.
        sides: 2 where each side has a spread of its own; 1 where only ratios have.
    """

    estimate: Reals
    error: Reals
    degrees: Reals
    spread: Reals
    sides: int = 2

    def interval(self, confidence: float = 0.95) -> tuple[Reals, Reals]:
        """Ratios between which the true one lies with `confidence`."""
        reach = self.error * stdtrit(self.degrees, (1 + confidence) / 2)
        return np.exp(self.estimate - reach), np.exp(self.estimate + reach)

    def p_above(self, bound: float = 0.0) -> Reals:
        """How often an estimate this high is seen where the true logarithm is `bound` or less."""
        return np.asarray(stdtr(self.degrees, (bound - self.estimate) / self.error))

    def p_below(self, bound: float = 0.0) -> Reals:
        """How often an estimate this low is seen where the true logarithm is `bound` or more."""
        return np.asarray(stdtr(self.degrees, (self.estimate - bound) / self.error))

    def p_apart(self, margin: float) -> Reals:
        """How often two that are `margin` apart, or more, look as alike as these.

        The larger of the two one-sided tests: D. J. Schuirmann, "A comparison of the two
        one-sided tests procedure and the power approach", Journal of Pharmacokinetics and
        Biopharmaceutics 15(6), 1987.
        """
        return np.maximum(self.p_above(-margin), self.p_below(margin))


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


def processes_needed(
    effect: LogRatio, margin: float, level: float, same_level: float
) -> int | None:
    """Processes a side that decide in four of five cases, were effect and spread as they look.

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
