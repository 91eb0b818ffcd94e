"""Searches for probes among distractors, 1:N, as MegaFace does it.

Source: I. Kemelmacher-Shlizerman et al., "The MegaFace Benchmark: 1 Million Faces
for Recognition at Scale", CVPR 2016, section 4. This module needs neither torch
nor TVM.

A score is the cosine of two embeddings that were normalized in float64, rounded
to float32 and multiplied in float32. Each pair is scored once, and mates go
through the same matrix product as distractors, in tiles of one shape. With
OpenBLAS, equal embeddings then have equal scores bit for bit; a library that
adds up in another order from place to place could part scores that are within
E 2^-24 of each other (E: elements of an embedding; 8e-6 for 128).

All ranks, and all thresholds that are given, are exact for these scores. That
takes the ten highest scores of each probe and the `KEPT` highest of all, never
the whole matrix.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property, reduce
from pathlib import Path

import numpy as np
import numpy.typing as npt

from facebench.architectures.errors import BadInputError, RefusedError
from facebench.harness.records.accuracy import Identification, OperatingPoint, SearchBounds
from facebench.harness.stats.arrays import FloatArray, IntArray
from facebench.harness.storage.progress import SILENT, Progress
from facebench.harness.verification.tiles import (
    RANKS,
    Kept,
    StoredRows,
    highest,
    normalize,
    tiles,
)

# Rates of false alarms that are looked at: one in so many trials.
ONE_IN_FPIR = (10, 100, 1_000)
ONE_IN_FAR = (1_000, 10_000, 100_000, 1_000_000)

_ARRAYS = ("pairs", "genuine", "top", "whose", "impostors")
_COUNTS = ("identities", "distractors", "seconds")


@dataclass(frozen=True, eq=False)
class Search:
    """It holds what is left of a search: raw scores, of which all rates are properties.

    Attributes:
        identities: how many people the probes show.
        distractors: images searched among, D.
        pairs: `(M, 2)`; each two probes of one person, once, the lower row first.
        genuine: `(M,)`; their scores.
        top: `(P, 10)`; the highest distractors' scores of each of P probes,
            descending; -inf where there are fewer distractors.
        whose: `(P, 10)`; a number for the distractor of each of these; -1 where there is none.
        impostors: the highest scores of probes with distractors, descending;
            all `P * D` of them, or `KEPT`.
        seconds: of comparing the probes with the distractors, reading and
            normalizing these included.
    """

    identities: int
    distractors: int
    pairs: IntArray
    genuine: FloatArray
    top: FloatArray
    whose: IntArray
    impostors: FloatArray
    seconds: float

    @property
    def probes(self) -> int:
        """Count the images that were searched for."""
        return len(self.top)

    @property
    def mated_searches(self) -> int:
        """Count the mated searches: a pair of images is two, for either may be the probe."""
        return 2 * len(self.pairs)

    @cached_property
    def found_at(self) -> tuple[int, ...]:
        """Count searches in which fewer than 1, 2, ... 10 distractors score as high as the mate.

        A tie counts against the network, so that a constant one finds nobody.
        """
        probe, mate = self._mated
        return tuple(int(np.sum(mate > self.top[probe, rank])) for rank in range(RANKS))

    @cached_property
    def tpir(self) -> tuple[OperatingPoint, ...]:
        """Count mated searches with the mate at rank 1 and above the threshold, at each FPIR.

        A false alarm is a probe whose highest distractor reaches the threshold
        (ISO/IEC 19795-1, open-set identification). FPIRs that the number of
        probes does not support (see `supported`) are left out.
        """
        probe, mate = self._mated
        first = mate[mate > self.top[probe, 0]]
        alarms = np.sort(self.top[:, 0])[::-1]
        return _operating_points(ONE_IN_FPIR, alarms, self.probes, first, len(mate))

    @cached_property
    def tar(self) -> tuple[OperatingPoint, ...]:
        """Count genuine pairs above the threshold at each FAR, over all probes and distractors.

        FARs that the number of these pairs does not support (see `supported`)
        are left out, and those for which more than `KEPT` scores would have to be held.
        """
        count = self.probes * self.distractors
        return _operating_points(ONE_IN_FAR, self.impostors, count, self.genuine, len(self.genuine))

    @property
    def _mated(self) -> tuple[IntArray, FloatArray]:
        """Return the probe and the mate's score of each mated search."""
        return self.pairs.T.ravel(), np.tile(self.genuine, 2)


def search(
    probes: npt.ArrayLike,
    identities: npt.ArrayLike,
    distractors: Iterable[npt.NDArray[np.floating]],
    progress: Progress = SILENT,
) -> Search:
    """Compare probes with each other and with all distractors.

    The memory it takes does not grow with the number of distractors, and the
    result does not hang on how they are cut into blocks. An image that is the
    only one of its person makes no mated search, but is an impostor among the
    distractors like the others.

    Args:
        probes: embeddings `(P, E)`, not necessarily normalized.
        identities: `(P,)`; a number for each person.
        distractors: blocks `(n, E)`; see `blocks` for an array or a memmap.
        progress: called with the distractors done so far.

    Raises:
        BadInputError: an embedding is not finite or zero; shapes do not fit;
            no two probes show one person; or there are no distractors.

    Example:
        >>> faces = np.eye(3)[[0, 0, 1, 1]]
        >>> found = search(faces, [7, 7, 8, 8], blocks(np.eye(3)[1:]))
        >>> found.mated_searches, found.found_at[:2]
        (4, (2, 4))
    """
    embeddings, people = np.asarray(probes), np.asarray(identities)
    if embeddings.ndim != 2 or not embeddings.size or people.shape != embeddings.shape[:1]:
        raise BadInputError(
            f"probes of shape {embeddings.shape} with identities of shape {people.shape}: "
            "give (P, E) and (P,), none of them 0"
        )
    rows = StoredRows(normalize(embeddings, "the probes", 0))
    pairs, genuine = _genuine(rows, embeddings, people)
    kept = Kept(len(people))
    began, done = time.perf_counter(), 0
    for tile, count in tiles(distractors, embeddings.shape[1]):
        for start, scores in rows.scores(tile):
            scores[:, count:] = -np.inf
            kept.add(scores, start, done)
        done += count
        progress.at(done)
    if not done:
        raise BadInputError("there are no distractors to search among: give at least one block")
    impostors = kept.impostors
    seconds = time.perf_counter() - began
    return Search(
        len(np.unique(people)), done, pairs, genuine, kept.top, kept.whose, impostors, seconds
    )


def join(parts: Iterable[Search]) -> Search:
    """Join searches of the same probes among other distractors each into one.

    Scores do not hang on what a distractor is searched beside, so ranks and thresholds are
    those of one search among all of them, to the last bit. Two searches are held at a time.

    Args:
        parts: at least one.

    Raises:
        RefusedError: machines gave a pair of probes different scores.
    """
    return reduce(_joined, parts)


def save(found: Search, folder: Path) -> None:
    """Write a search's scores and counts into a folder."""
    for name in _ARRAYS:
        np.save(folder / f"{name}.npy", getattr(found, name), allow_pickle=False)
    counts = {name: getattr(found, name) for name in _COUNTS}
    (folder / "search.json").write_text(json.dumps(counts))


def load(folder: Path) -> Search:
    """Read the search that `save` wrote."""
    arrays = {name: np.load(folder / f"{name}.npy", allow_pickle=False) for name in _ARRAYS}
    return Search(**arrays, **json.loads((folder / "search.json").read_text()))


def identification(
    found: Search,
    label: str,
    flip: str,
    images_per_second: float,
    not_found: tuple[str, ...] = (),
    bounds: SearchBounds | None = None,
) -> Identification:
    """Return the record of a search; the other arguments are as in `Identification`."""
    return Identification(
        probes=found.probes,
        mated_searches=found.mated_searches,
        distractors=found.distractors,
        found_at=found.found_at,
        tpir=found.tpir,
        tar=found.tar,
        identities=found.identities,
        label=label,
        flip=flip,
        images_per_second=images_per_second,
        searches_per_second=found.probes / found.seconds,
        not_found=not_found,
        bounds=bounds,
    )


def blocks(
    array: npt.NDArray[np.floating], size: int = 65_536
) -> Iterator[npt.NDArray[np.floating]]:
    """Yield an array or memmap `(D, E)` in blocks of `size` rows; nothing is copied."""
    return (array[start : start + size] for start in range(0, len(array), size))


def supported(one_in: int, trials: int) -> bool:
    """Say whether a rate of one in so many may be stated from so many trials: the rule of three.

    Where no event is seen in n trials, the rate is below 3/n with 95 % confidence
    (J. A. Hanley and A. Lippman-Hand, JAMA 249, 1983). The rule holds for
    independent trials. Those that share a face are not, so it is the least that is needed.
    """
    return trials >= 3 * one_in


def _joined(one: Search, two: Search) -> Search:
    if not np.array_equal(one.genuine, two.genuine) or not np.array_equal(one.pairs, two.pairs):
        raise RefusedError(
            "parts of the search were made on machines whose products differ in the last bits: "
            "search on machines of one kind, or on one"
        )
    top = np.concatenate([one.top, two.top], axis=1)
    # A distractor of the second search has a number beyond those of the first.
    later = np.where(two.whose < 0, two.whose, two.whose + one.distractors)
    whose = np.concatenate([one.whose, later], axis=1)
    order = np.argsort(-top, axis=1, kind="stable")[:, :RANKS]
    return Search(
        one.identities,
        one.distractors + two.distractors,
        one.pairs,
        one.genuine,
        np.take_along_axis(top, order, axis=1),
        np.take_along_axis(whose, order, axis=1),
        highest(one.impostors, two.impostors),
        one.seconds + two.seconds,
    )


def _operating_points(
    one_in: tuple[int, ...], false: FloatArray, count: int, true: FloatArray, trials: int
) -> tuple[OperatingPoint, ...]:
    """Return, for each rate, the lowest threshold at which no more than it pass falsely.

    Args:
        one_in: inverses of the rates.
        false: the highest scores of `count` trials that should fail, descending.
        count: of these trials.
        true: scores of the trials that pass where they reach the threshold.
        trials: those that should pass.
    """
    points = []
    for inverse in one_in:
        allowed = count // inverse
        if supported(inverse, count) and allowed < len(false):
            # The next number above the highest score that must not pass.
            threshold = np.nextafter(false[allowed], np.float32(np.inf))
            accepted = int(np.sum(true >= threshold))
            points.append(OperatingPoint(1 / inverse, float(threshold), accepted, trials))
    return tuple(points)


def _genuine(
    rows: StoredRows, embeddings: npt.NDArray[np.floating], people: npt.NDArray[np.generic]
) -> tuple[IntArray, FloatArray]:
    """Pairs `(M, 2)` of rows that show one person, the lower first, and their scores `(M,)`."""
    pairs, values = [], []
    done = 0
    for tile, count in tiles([embeddings], embeddings.shape[1]):
        for start, scores in rows.scores(tile):
            same = people[start : start + len(scores), None] == people[done : done + count]
            i, j = np.nonzero(np.triu(same, start - done + 1))
            pairs.append(np.stack([i + start, j + done], axis=1))
            values.append(scores[i, j])
        done += count
    found, genuine = np.concatenate(pairs), np.concatenate(values)
    if not len(found):
        raise BadInputError("no two probes show the same person: give at least two images of one")
    order = np.lexsort(found.T[::-1])
    return found[order], genuine[order]
