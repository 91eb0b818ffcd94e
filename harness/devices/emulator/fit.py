"""Fits the model's two constants to published latencies, and says how far it is off.

Nothing is judged on a row that it was fitted to without saying so: the error
that is left out row by row is told beside the error of the fit.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from facebench.harness.stats.arrays import Reals, ranks


@dataclass(frozen=True)
class FitRow:
    """It is a network with its two terms and its published time.

    Attributes:
        compute_s: of all threads together, constants left out.
        memory_s: the same of memory.
        published_s: with so many threads.
        threads: that it was published for.
    """

    network: str
    compute_s: float
    memory_s: float
    published_s: float
    threads: int


@dataclass(frozen=True)
class Fit:
    """It says how well two terms explain published times, as ratios to one network.

    Attributes:
        compute, memory: the constants, fitted to all rows.
        ratios: modelled, by network.
        mean_error: mean absolute error of the ratios, relative, of the rows fitted to.
        left_out: the same, each row modelled by constants fitted to the others.
        rank_correlation: Spearman's, of the modelled and the published times.
    """

    compute: float
    memory: float
    ratios: dict[str, float]
    mean_error: float
    left_out: float
    rank_correlation: float


def fit(rows: Sequence[FitRow], base: str) -> Fit:
    """Fit by least squares of relative errors, constants not negative.

    Args:
        rows: at least three.
        base: the network that ratios are to.

    Raises:
        ValueError: too few rows, or the base is none of them.
    """
    names = [row.network for row in rows]
    if len(rows) < 3 or base not in names:
        raise ValueError(f"at least three rows are needed, one of them {base}")
    terms = np.array([[row.compute_s / row.threads, row.memory_s] for row in rows])
    published = np.array([row.published_s for row in rows])
    at = names.index(base)
    constants = _constants(terms, published)
    modelled = terms @ constants
    errors = []
    for row in range(len(rows)):
        others = np.arange(len(rows)) != row
        without = terms @ _constants(terms[others], published[others])
        errors.append(_error(without, published, at)[row])
    return Fit(
        compute=float(constants[0]),
        memory=float(constants[1]),
        ratios=dict(zip(names, (modelled / modelled[at]).tolist(), strict=True)),
        # The base's ratio is 1 by definition.
        mean_error=float(np.delete(_error(modelled, published, at), at).mean()),
        left_out=float(np.delete(errors, at).mean()),
        rank_correlation=float(np.corrcoef(ranks(modelled), ranks(published))[0, 1]),
    )


def _constants(terms: Reals, published: Reals) -> Reals:
    from scipy.optimize import nnls

    found: Reals = nnls(terms / published[:, None], np.ones(len(published)))[0]
    return found


def _error(modelled: Reals, published: Reals, base: int) -> Reals:
    errors: Reals = np.abs(modelled / modelled[base] * published[base] / published - 1)
    return errors
