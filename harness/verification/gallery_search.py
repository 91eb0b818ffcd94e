"""Searches for templates in galleries, 1:N, as IJB-B and IJB-C do it.

Each probe is compared with every template of a gallery. The person of a *mated* probe has a
template there; the others should find nobody. Sources: C. Whitelam et al., "IARPA Janus
Benchmark-B Face Dataset", CVPRW 2017; B. Maze et al., "IARPA Janus Benchmark - C", ICB 2018;
FNIR and FPIR are those of ISO/IEC 19795-1. Intervals take the probes' people for chance, and the
threshold with them; the galleries are as they are. This module needs neither torch nor TVM.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from facebench.architectures.errors import BadInputError
from facebench.harness.records.accuracy import Bounded
from facebench.harness.stats.arrays import Booleans, FloatArray, IntArray, Reals
from facebench.harness.stats.clustered import ClusteredSpread, Members, rate_interval, too_few
from facebench.harness.stats.procedures import procedure
from facebench.harness.verification.faces import GallerySet, Rows
from facebench.harness.verification.intervals import joined, seen_nowhere, threshold_interval

# Ranks and rates that are reported: those of the sets' own papers.
RANKS = (1, 5, 10)
ONE_IN_FPIR = (10, 100)

# Probes that are compared with a gallery at a time.
_PROBES = 1024


@dataclass(frozen=True, eq=False)
class GallerySearch:
    """It says what the search in one gallery gave.

    Attributes:
        mate: `(M,)`; the score of each mated probe with its person's template.
        rank: `(M,)`; how many other templates score as high or higher.
        person: `(M,)`; who they are.
        alarm: `(N,)`; the highest score of each probe whose person isn't there.
        stranger: `(N,)`; who these are.
    """

    mate: FloatArray
    rank: IntArray
    person: IntArray
    alarm: FloatArray
    stranger: IntArray


@dataclass(frozen=True)
class SearchRates:
    """They are means over the galleries, each with its interval.

    Attributes:
        found: share of the mated probes that find their person at each of `RANKS`.
        fpirs: rates of false alarms that the unmated probes of each gallery support.
        fnir: at each of these, the share of mated probes that don't find their person first and
            above the threshold.
        thresholds: at each of these, one a gallery.
    """

    found: tuple[Bounded, ...]
    fpirs: tuple[float, ...]
    fnir: tuple[Bounded, ...]
    thresholds: tuple[tuple[float, ...], ...]


def search_galleries(templates: FloatArray, faces: GallerySet) -> list[GallerySearch]:
    """Search for all probes in each gallery.

    A template without a face scores -1 with all others: as a probe it finds nobody, and so
    raises no false alarm.

    Args:
        templates: at unit length, `(T, E)`.
        faces: galleries and probes of them.

    Raises:
        BadInputError: no probe's person is in a gallery, or every one's is.
    """
    return [_search(templates, faces, rows) for rows in faces.galleries]


def _search(templates: FloatArray, faces: GallerySet, gallery: Rows) -> GallerySearch:
    who = np.asarray(faces.people[faces.probes], np.int64)
    place = np.full(int(faces.people.max()) + 1, -1)
    place[faces.people[gallery]] = np.arange(len(gallery))
    column = place[who]
    mated = column >= 0
    if not mated.any() or mated.all():
        raise BadInputError(
            f"of {len(who):,} probes of {faces.name} {np.sum(mated):,} show a person of a gallery "
            f"of {len(gallery):,}: both some that do and some that don't are needed"
        )
    mate, rank = np.full(len(who), -1, np.float32), np.full(len(who), len(gallery))
    alarm = np.empty(len(who), np.float32)
    for start in range(0, len(who), _PROBES):
        part = slice(start, start + _PROBES)
        scores = _scores(templates, faces, faces.probes[part], gallery)
        alarm[part] = scores.max(axis=1)
        inside = np.flatnonzero(mated[part])
        own = scores[inside, column[part][inside]]
        mate[start + inside] = own
        rank[start + inside] = np.count_nonzero(scores[inside] >= own[:, None], axis=1) - 1
    return GallerySearch(mate[mated], rank[mated], who[mated], alarm[~mated], who[~mated])


def _scores(templates: FloatArray, faces: GallerySet, probes: Rows, gallery: Rows) -> FloatArray:
    scores = templates[probes] @ templates[gallery].T
    scores[faces.missed[probes]] = -1.0
    scores[:, faces.missed[gallery]] = -1.0
    return np.asarray(scores, np.float32)


@procedure("gallery search")
def search_rates(found: Sequence[GallerySearch]) -> SearchRates:
    """Return the figures of searches in galleries, means over these, with intervals."""
    supported = [
        one_in for one_in in ONE_IN_FPIR if all(len(one.alarm) >= 3 * one_in for one in found)
    ]
    fnir, thresholds = [], []
    for one_in in supported:
        at = [_threshold(one, one_in) for one in found]
        thresholds.append(tuple(at))
        limits = [_limits(one, one_in, threshold) for one, threshold in zip(found, at, strict=True)]
        missed = [_misses(one, threshold) for one, threshold in zip(found, at, strict=True)]
        others = [
            float(
                np.mean(
                    [np.mean(_misses(g, pair[end])) for g, pair in zip(found, limits, strict=True)]
                )
            )
            for end in (0, 1)
        ]
        fnir.append(_bounded(missed, found, others))
    return SearchRates(
        tuple(_bounded([one.rank < rank for one in found], found) for rank in RANKS),
        tuple(1 / one_in for one_in in supported),
        tuple(fnir),
        tuple(thresholds),
    )


def _threshold(found: GallerySearch, one_in: int) -> float:
    """Return the lowest threshold that no more than one in so many strangers reach."""
    alarms = np.sort(found.alarm)[::-1]
    return float(np.nextafter(alarms[len(alarms) // one_in], np.float32(np.inf)))


def _misses(found: GallerySearch, threshold: float) -> Booleans:
    return np.asarray((found.rank > 0) | (found.mate < threshold))


def _limits(found: GallerySearch, one_in: int, threshold: float) -> tuple[float, float]:
    """Return the highest and the lowest threshold at which the true FPIR may be the one meant."""
    raised = (found.alarm >= threshold).astype(np.float64)
    influence = (raised - raised.mean()) / len(raised)
    spread = Members.of(_twice(found.stranger), np.zeros(len(raised))).spread(influence)
    highest = np.sort(found.alarm)[::-1].astype(np.float64)
    return threshold_interval(highest, len(highest), 1 / one_in, spread)


def _bounded(
    hits: Sequence[Booleans], found: Sequence[GallerySearch], others: Sequence[float] = ()
) -> Bounded:
    """Return the mean of shares with its interval; the people of two galleries are others."""
    value = float(np.mean([np.mean(one) for one in hits]))
    person = np.concatenate([one.person for one in found])
    people = len(np.unique(person))
    if few := too_few(people):
        return Bounded(value, None, few)
    if not 0 < value < 1:
        made = seen_nowhere(value, people, "people")
    else:
        made = Bounded(value, rate_interval(value, _spread(hits, person)))
    assert made.interval is not None
    if not others:
        return made
    return Bounded(value, joined(value, made.interval, sorted(others)), made.note)


def _spread(hits: Sequence[Booleans], person: IntArray) -> ClusteredSpread:
    influence: list[Reals] = [(one - np.mean(one)) / (len(one) * len(hits)) for one in hits]
    gallery = np.repeat(np.arange(len(hits)), [len(one) for one in hits])
    return Members.of(_twice(person), gallery).spread(np.concatenate(influence))


def _twice(person: IntArray) -> IntArray:
    return np.stack([person, person], axis=1)
