"""Computes 95 % intervals of a search's figures over the probes' people.

Searches of one person's images go together, and so do false alarms: the people that probes
show are chance, as in `facebench.harness.verification.intervals`, and for TPIR and TAR the
threshold with them. Which distractors there are is chance too: searches that the same
distractor decides go together as those of the same person do. This module needs neither
torch nor TVM.
"""

from __future__ import annotations

from collections.abc import Sequence
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
        rank1=_bounds(np.isfinite(first), person[probe], found.whose[probe, 0]),
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
    raised = (alarms >= point.threshold).astype(np.float64)
    spread = _spread(raised, person, found.whose[:, 0])
    limits = threshold_interval(
        np.sort(alarms)[::-1].astype(np.float64), found.probes, point.rate, spread
    )
    return _bounds(
        first >= point.threshold,
        person[probe],
        found.whose[probe, 0],
        [first >= one for one in limits],
    )


def _tar(found: Search, point: OperatingPoint, person: IntArray) -> Bounded:
    genuine, count = found.genuine, found.probes * found.distractors
    limits = threshold_interval(
        found.impostors.astype(np.float64), count, point.rate, _false(found, point, person)
    )
    who = person[found.pairs[:, 0]]
    return _bounds(genuine >= point.threshold, who, None, [genuine >= one for one in limits])


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
    hits: Booleans, person: IntArray, whose: IntArray | None, limits: Sequence[Booleans] = ()
) -> Bounded:
    value = float(np.mean(hits))
    if 0 < value < 1:
        spread = _spread(hits.astype(np.float64), person, whose)
        made = Bounded(value, rate_interval(value, spread))
    else:
        made = seen_nowhere(value, len(np.unique(person)), "people")
    if made.interval is None or not limits:
        return made
    others = [float(np.mean(one)) for one in limits]
    return replace(made, interval=joined(value, made.interval, others))


def _spread(values: Reals, person: IntArray, whose: IntArray | None) -> ClusteredSpread:
    """Spread of a mean over searches or probes, each of one person and decided by one distractor.

    Where no distractor decides there are people alone.
    """
    second = person if whose is None else int(person.max()) + 2 + whose
    return _of_both(person, second, (values - values.mean()) / len(values))


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
