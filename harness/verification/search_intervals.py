"""Computes 95 % intervals of a search's figures over the probes' people.

Searches of one person's images go together, and so do false alarms: the people that probes
show are chance, as in `facebench.harness.verification.intervals`, and for TPIR and TAR the
threshold with them. Which distractors there are is chance too: a figure's variance by them is
that among searches in random halves of the distractors (J. Shao, C. F. J. Wu, "A general theory
for jackknife variance estimation", Annals of Statistics 17(3), 1989: of the figure of all of
them, where it is a mean, and more where few distractors decide). This module needs neither torch
nor TVM.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from facebench.harness.records.accuracy import Bounded, OperatingPoint, SearchBounds
from facebench.harness.stats.arrays import Booleans, FloatArray, IntArray, Reals
from facebench.harness.stats.clustered import ClusteredSpread, Members, rate_interval, too_few
from facebench.harness.stats.procedures import procedure
from facebench.harness.verification.identification import Search
from facebench.harness.verification.intervals import joined, seen_nowhere, threshold_interval
from facebench.harness.verification.tiles import RANKS

# Of a probe's ten highest scores so many may pass a threshold on average before it is not
# known of too many probes how many do.
_MOST_PASSING = RANKS / 5

# Searches in halves of the distractors: they know a standard deviation to a twentieth.
_HALVES = 200


@procedure("search")
def search_bounds(found: Search) -> SearchBounds:
    """Return intervals of rank 1, and of TPIR and TAR at each rate that the search supports."""
    person = people_of(found)
    if few := too_few(found.identities):
        rank1 = found.found_at[0] / found.mated_searches
        return SearchBounds(
            Bounded(rank1, None, few),
            tuple(Bounded(point.true_rate, None, few) for point in found.tpir),
            tuple(Bounded(point.true_rate, None, few) for point in found.tar),
        )
    probe, mate = found.pairs.T.ravel(), np.tile(found.genuine, 2)
    first = np.where(mate > found.top[probe, 0], mate, -np.inf)
    return SearchBounds(
        rank1=_bounds(
            np.isfinite(first),
            person[probe],
            _over_halves(found, lambda alarms: float(np.mean(mate > alarms[probe]))),
        ),
        tpir=tuple(_tpir(found, point, first, person) for point in found.tpir),
        tar=tuple(_tar(found, point, person) for point in found.tar),
    )


def people_of(found: Search) -> IntArray:
    """Number the person that each probe shows, `(P,)`: the lowest row that shows them."""
    person = np.arange(found.probes)
    # All pairs of a person are there, the lower row first: the lowest row is in all of them.
    np.minimum.at(person, found.pairs[:, 1], found.pairs[:, 0])
    return np.asarray(person)


def _tpir(found: Search, point: OperatingPoint, first: FloatArray, person: IntArray) -> Bounded:
    probe = found.pairs.T.ravel()
    alarms = found.top[:, 0]
    mate = np.tile(found.genuine, 2)

    def rate(highest: FloatArray) -> float:
        least = float(np.quantile(highest, 1 - point.rate, method="lower"))
        return float(np.mean(mate > np.maximum(highest[probe], least)))

    raised = (alarms >= point.threshold).astype(np.float64)
    spread = _spread(raised, person)
    limits = threshold_interval(
        np.sort(alarms)[::-1].astype(np.float64), found.probes, point.rate, spread
    )
    return _bounds(
        first >= point.threshold,
        person[probe],
        _over_halves(found, rate),
        [first >= one for one in limits],
    )


def _over_halves(found: Search, figure: Callable[[FloatArray], float]) -> float:
    """Return a figure's variance over the distractors.

    Args:
        found: a search, of which ten distractors a probe are known. A half without any of them
            lies below all of these.
        figure: of the highest distractors' scores, `(P,)`.
    """
    names, index = np.unique(found.whose, return_inverse=True)
    number = index.reshape(found.whose.shape)
    draw = np.random.default_rng(0)
    values = []
    for _ in range(_HALVES):
        kept = (draw.permutation(max(found.distractors, len(names))) % 2 == 0)[number]
        kept &= found.whose >= 0
        place = kept.argmax(axis=1)[:, None]
        top = np.take_along_axis(found.top, place, axis=1)[:, 0]
        values.append(figure(np.where(kept.any(axis=1), top, -np.inf)))
    return float(np.var(values, ddof=1))


def _tar(found: Search, point: OperatingPoint, person: IntArray) -> Bounded:
    genuine, count = found.genuine, found.probes * found.distractors
    limits = threshold_interval(
        found.impostors.astype(np.float64), count, point.rate, _false(found, point, person)
    )
    who = person[found.pairs[:, 0]]
    return _bounds(genuine >= point.threshold, who, 0.0, [genuine >= one for one in limits])


def _false(found: Search, point: OperatingPoint, person: IntArray) -> ClusteredSpread:
    """Spread of the FAR: how many scores of each probe pass, as far as the highest ten say.

    Where more of them pass, people are taken to differ by the same factors as higher up.
    """
    floor = np.sort(found.top.ravel())[::-1][
        min(int(_MOST_PASSING * found.probes), found.top.size - 1)
    ]
    probe, rank = np.nonzero(found.top >= max(point.threshold, float(floor)))
    # Each score that passes, and of each probe the mean of all.
    influence = np.concatenate(
        [np.full(len(probe), 1 / len(probe)), np.full(found.probes, -1 / found.probes)]
    )
    second = np.append(found.probes + found.whose[probe, rank], person)
    relative = _of_both(np.append(person[probe], person), second, influence)
    count = found.probes * found.distractors
    variance = relative.variance * point.rate**2
    return ClusteredSpread(variance, point.rate * (1 - point.rate) / count, relative.carriers)


def _bounds(
    hits: Booleans, person: IntArray, by_distractors: float, limits: Sequence[Booleans] = ()
) -> Bounded:
    value = float(np.mean(hits))
    if 0 < value < 1:
        spread = _spread(hits.astype(np.float64), person).wider(by_distractors)
        made = Bounded(value, rate_interval(value, spread))
    else:
        made = seen_nowhere(value, len(np.unique(person)), "people")
    if made.interval is None or not limits:
        return made
    others = [float(np.mean(one)) for one in limits]
    return replace(made, interval=joined(value, made.interval, others))


def _spread(values: Reals, person: IntArray) -> ClusteredSpread:
    """Return the spread of a mean over searches or probes, each of one person."""
    who = np.stack([person, person], axis=1)
    influence = (values - values.mean()) / len(values)
    return Members.of(who, np.zeros(len(person))).spread(influence)


def _of_both(person: IntArray, second: IntArray, influence: Reals) -> ClusteredSpread:
    """Return the spread over people and distractors; as sure as the people alone that it comes
    of.
    """
    strata = np.zeros(len(person))
    both, people = (
        Members.of(np.stack([person, other], axis=1), strata).spread(influence)
        for other in (second, person)
    )
    return replace(people, variance=max(both.variance, people.variance))
