"""Computes many scores at a time, as products of matrices in tiles, and keeps the highest.

What a search needs of them is in `identification`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import numpy.typing as npt

from facebench.architectures.errors import BadInputError
from facebench.harness.stats.arrays import FloatArray, IntArray

# Ranks 1 to 10 are reported.
RANKS = 10
# Impostor scores held, 64 MiB of them and as many that wait to be sorted in: enough
# for a FAR of 1e-3 with 1.6e10 pairs, four times MegaFace's 3530 x 1,027,060.
KEPT = 2**24
# Distractors, and at most how many probes, in one product: 16 MiB of scores, which the
# shared cache still holds when they are looked at. In smaller products the threads of
# BLAS wait for each other more often: hardly felt on an idle machine, but on a busy one
# (load 3 on two cores) 256 probes in each took about three times as long as 3584.
COLUMNS, MOST_ROWS = 1024, 4096
# Rows of scores that are looked at together, in the cache of one core; a multiple of
# those that any kernel of BLAS computes at once.
STEP = 256


def tiles(
    distractors: Iterable[npt.NDArray[np.floating]], width: int
) -> Iterator[tuple[FloatArray, int]]:
    """Yield normalized distractors in tiles `(1024, E)`, and how many rows of each count.

    A tile is overwritten by the next. All but the last are full, however large the blocks are.
    """
    tile, filled = np.zeros((COLUMNS, width), np.float32), 0
    for number, block in enumerate(distractors):
        if block.ndim != 2 or block.shape[1] != width:
            raise BadInputError(
                f"distractor block {number} has shape {block.shape}, not (n, {width}) as the "
                "probes have: embed both with one network"
            )
        start = 0
        while start < len(block):
            part = block[start : start + COLUMNS - filled]
            name = f"distractor block {number}"
            tile[filled : filled + len(part)] = normalize(part, name, start)
            start, filled = start + len(part), filled + len(part)
            if filled == COLUMNS:
                yield tile, filled
                filled = 0
    if filled:
        yield tile, filled


def normalize(embeddings: npt.NDArray[np.generic], name: str, first: int) -> FloatArray:
    """Return the same `(n, E)` at unit length; a message counts rows from `first`."""
    wide = np.asarray(embeddings, np.float64)
    # Whatever isn't finite makes the norm so; the squares of float32 don't overflow float64.
    norms = np.sqrt(np.einsum("ne,ne->n", wide, wide))
    bad = ~np.isfinite(norms) | (norms == 0)
    if bad.any():
        row = int(np.argmax(bad))
        what = "zero" if norms[row] == 0 else "not finite"
        raise BadInputError(
            f"row {first + row} of {name} is {what}: check the network's weights and preprocessing"
        )
    return np.asarray(wide / norms[:, None], np.float32)


def highest(one: FloatArray, two: FloatArray) -> FloatArray:
    """Return the `KEPT` highest scores of two lists `(n,)` and `(m,)`, descending."""
    return np.sort(np.concatenate([one, two]))[::-1][:KEPT]


class StoredRows:
    """They are probes at unit length, `(P, E)`, cut for products of one shape.

    BLAS adds up in another order where a matrix is narrow, so they are filled up
    with zeros.
    """

    def __init__(self, unit: FloatArray) -> None:
        self._count = len(unit)
        parts = -(-len(unit) // MOST_ROWS)
        height = -(-len(unit) // (parts * STEP)) * STEP
        padded = np.pad(unit, ((0, parts * height - len(unit)), (0, 0)))
        self._parts = padded.reshape(parts, height, -1)
        # Fresh memory for each product would cost as much as a look at it.
        self._scores = np.empty((height, COLUMNS), np.float32)

    def scores(self, tile: FloatArray) -> Iterator[tuple[int, FloatArray]]:
        """Yield first row and scores `(256, 1024)` of the probes with a tile, slice by slice.

        The last one has fewer rows. All are overwritten in the next product.
        """
        for number, part in enumerate(self._parts):
            np.matmul(part, tile.T, out=self._scores)
            first = number * len(part)
            for start in range(first, min(first + len(part), self._count), STEP):
                yield start, self._scores[start - first :][: min(STEP, self._count - start)]


class Kept:
    """It keeps the highest scores seen so far: ten of each probe, and `KEPT` of all.

    Nearly all scores are done with by one comparison, with the lower of both
    bounds that hold for their row. To partition each tile would cost more than the product.
    """

    def __init__(self, probes: int) -> None:
        self.top = np.full((probes, RANKS), -np.inf, np.float32)
        # Whose scores these are: a number for each distractor.
        self.whose = np.full((probes, RANKS), -1, np.int64)
        # As many wait to be sorted in, at least those of one slice.
        self._highest = np.empty(KEPT + max(KEPT, STEP * COLUMNS), np.float32)
        self._filled = 0
        # No score up to this one is among the highest of all.
        self._floor = np.float32(-np.inf)

    @property
    def impostors(self) -> FloatArray:
        """Return the highest scores of all, `(n,)`, descending; n is `KEPT` at most."""
        self._shrink()
        return np.sort(self._highest[: self._filled])[::-1]

    def add(self, scores: FloatArray, start: int, done: int) -> None:
        """Look at scores `(n, 1024)` of the probes from row `start` on; -inf is ignored.

        So many distractors were looked at before these.
        """
        tenth = self.top[start : start + len(scores), -1]
        bound = np.minimum(tenth, self._floor)
        where = np.flatnonzero(scores > bound[:, None])
        values, rows = scores.ravel()[where], where // scores.shape[1]
        better = values > tenth[rows]
        if better.any():
            whose = where[better] % scores.shape[1] + done
            self._merge(rows[better] + start, values[better], whose)
        self._keep(values[values > self._floor])

    def _merge(self, rows: IntArray, values: FloatArray, whose: IntArray) -> None:
        """Put values into the top ten of their rows, which ascend."""
        changed = np.unique(rows)
        rows = np.concatenate([np.repeat(changed, RANKS), rows])
        values = np.concatenate([self.top[changed].ravel(), values])
        whose = np.concatenate([self.whose[changed].ravel(), whose])
        order = np.lexsort((-values, rows))
        first = np.searchsorted(rows[order], changed)
        chosen = order[first[:, None] + np.arange(RANKS)]
        self.top[changed], self.whose[changed] = values[chosen], whose[chosen]

    def _keep(self, values: FloatArray) -> None:
        if self._filled + len(values) > len(self._highest):
            self._shrink()
            # The floor has risen.
            values = values[values > self._floor]
        self._highest[self._filled : self._filled + len(values)] = values
        self._filled += len(values)

    def _shrink(self) -> None:
        """Drop all but the highest `KEPT`."""
        if self._filled > KEPT:
            held = self._highest[: self._filled]
            held.partition(self._filled - KEPT)
            self._highest[:KEPT] = held[self._filled - KEPT :]
            self._filled = KEPT
            self._floor = self._highest[:KEPT].min()
