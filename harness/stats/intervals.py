"""Computes order statistics of raw samples, and intervals of a median over processes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from facebench.harness.stats.procedures import procedure

# LoadGen of MLPerf Inference: fewer samples than this do not support the
# percentile at 99 % confidence.
MINIMUM_SAMPLES = {0.5: 1, 0.9: 64, 0.99: 662}


@procedure("median")
def median_interval(samples: Sequence[float], confidence: float = 0.95) -> tuple[float, float]:
    """Return a distribution-free interval of the median, from two order statistics.

    The count of samples below the true median is Binomial(n, 1/2); the
    interval is the narrowest symmetric pair of order statistics that covers
    it with at least `confidence` (David and Nagaraja, Order Statistics, 7.1).

    Returns:
        Lower and upper bound, in the samples' unit. With fewer than six
        samples no pair reaches 95 %, and the whole range is returned.
    """
    ordered = sorted(samples)
    n = len(ordered)
    rank = max(_binomial_quantile((1.0 - confidence) / 2.0, n), 1)
    return ordered[rank - 1], ordered[n - rank]


@dataclass(frozen=True)
class Spread:
    """It says how much the logarithms of processes' medians vary: 0.01 is 1 %.

    Attributes:
        center: mean of the medians' logarithms.
        between: standard deviation of a process's median, as the medians show it.
        within: standard error of a process's median, as its own samples explain it.
        processes: their number, 2 or more.
    """

    center: float
    between: float
    within: float
    processes: int

    @property
    def beyond_samples(self) -> bool:
        """Say whether processes differ by more than twice what their samples explain."""
        return self.between > 2 * self.within


def spread(processes: Sequence[Sequence[float]]) -> Spread:
    """Compare the medians of processes, 2 or more, each with samples of its own."""
    logs = [np.log(samples) for samples in processes]
    medians = [float(np.median(one)) for one in logs]
    variances = [_standard_error(one) ** 2 for one in logs]
    return Spread(
        center=float(np.mean(medians)),
        between=float(np.std(medians, ddof=1)),
        within=math.sqrt(float(np.mean(variances))),
        processes=len(medians),
    )


@procedure("median over processes")
def two_level_interval(
    processes: Sequence[Sequence[float]], confidence: float = 0.95
) -> tuple[float, float]:
    """Return the interval of the median over processes yet to be started, from several that were.

    The unit is the process, which counts once, by its median: start-up, allocation and
    code layout differ between processes and stay within one, and samples that follow
    each other are not independent (T. Kalibera, R. Jones, "Rigorous Benchmarking in
    Reasonable Time", ISMM 2013; A. Georges, D. Buytaert, L. Eeckhout, "Statistically
    Rigorous Java Performance Evaluation", OOPSLA 2007). The interval is Student's, of the
    medians' logarithms. A few medians can agree by chance: it is no narrower than their
    own samples make it where processes do not differ at all.

    Returns:
        Lower and upper bound, in the samples' unit; the median of all samples is inside.
    """
    from scipy.special import ndtri, stdtrit  # not for processes that time: it takes a while

    found = spread(processes)
    tail = (1 + confidence) / 2
    student = float(stdtrit(found.processes - 1, tail)) * found.between
    reach = max(student, float(ndtri(tail)) * found.within) / math.sqrt(found.processes)
    middle = float(np.median(np.concatenate([np.asarray(one) for one in processes])))
    return min(math.exp(found.center - reach), middle), max(math.exp(found.center + reach), middle)


def quantile(samples: Sequence[float], q: float) -> float | None:
    """Return the `q` quantile (0 to 1), or None where there are too few samples for it.

    The minimum counts are `MINIMUM_SAMPLES`; a quantile that is not listed
    there needs the count of the next higher one that is.
    """
    needed = min((n for level, n in MINIMUM_SAMPLES.items() if level >= q), default=None)
    if needed is None or len(samples) < needed:
        return None
    return float(np.quantile(samples, q))


def _standard_error(samples: npt.NDArray[np.float64]) -> float:
    """Return that of a median: half the distance between the samples around it.

    They lie one standard deviation of Binomial(n, 1/2) to either side of the middle
    (R. S. Woodruff, Journal of the American Statistical Association 47, 1952).
    """
    reach = 0.5 / math.sqrt(len(samples))
    low, high = np.quantile(samples, [0.5 - reach, 0.5 + reach])
    return float(high - low) / 2


def _binomial_quantile(q: float, n: int) -> int:
    """Return the smallest k with P(Binomial(n, 1/2) <= k) >= q."""
    from scipy.special import bdtr, bdtrik

    above = math.ceil(bdtrik(q, n, 0.5))
    return above - 1 if above > 0 and bdtr(above - 1, n, 0.5) >= q else above
