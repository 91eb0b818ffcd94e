"""Packs the scores of a dataset's pairs, so that each record can carry its own.

This module needs neither torch nor TVM.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from facebench.harness.storage.serialization import Packed

_SCORE = np.dtype("<f4")
_NUMBER = np.dtype("<u4")
_NO_GROUPS = Packed(b"")


@dataclass(frozen=True)
class PairScores:
    """One score a pair, and what each pair is. Immutable, and equal where its figures are.

    Attributes:
        packed_scores: float32, P of them.
        packed_same: one byte a pair, 1 for genuine.
        packed_folds: uint32, P of them.
        packed_identities: uint32, `(P, 2)`: a number for each person; empty where
            the dataset does not say who is in an image.
        digest: hash of the pairs themselves: two records with the same one
            compare pair by pair.
        recovered: whether identities are groups of images that equal images and genuine pairs
            join, where the dataset names nobody.
        packed_groups: uint8, P of them: which of `group_names` each pair is of; empty where the
            dataset has no groups.
        group_names: such as those of people of one origin.

    Example:
        >>> made = PairScores.pack([0.9, 0.1], [True, False], [0, 1], [(0, 0), (0, 1)], "ab12")
        >>> made.scores, made.same, made.folds, len(made.identities)
        (array([0.9, 0.1], dtype=float32), array([ True, False]), array([0, 1]), 2)
    """

    packed_scores: Packed
    packed_same: Packed
    packed_folds: Packed
    packed_identities: Packed
    digest: str
    recovered: bool = False
    packed_groups: Packed = _NO_GROUPS
    group_names: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        pairs = len(self.packed_same)
        sizes = len(self.packed_scores), len(self.packed_folds), len(self.packed_identities)
        if sizes[:2] != (4 * pairs, 4 * pairs) or sizes[2] not in (0, 8 * pairs):
            raise ValueError(f"scores, folds and identities are not those of {pairs} pairs")
        if len(self.packed_groups) != (pairs if self.group_names else 0):
            raise ValueError(f"groups are not those of {pairs} pairs")

    @classmethod
    def pack(
        cls,
        scores: npt.ArrayLike,
        same: npt.ArrayLike,
        folds: npt.ArrayLike,
        identities: Sequence[tuple[int, int]],
        digest: str,
        recovered: bool = False,
        groups: Sequence[str] = (),
    ) -> PairScores:
        """Pack arrays of P elements each, `(P,)`; `identities` is empty or `(P, 2)`.

        Groups are none, or one name a pair of at most 255.
        """
        names = tuple(dict.fromkeys(groups))
        number = {name: index for index, name in enumerate(names)}
        return cls(
            Packed(np.asarray(scores, _SCORE).tobytes()),
            Packed(np.asarray(same, np.bool_).tobytes()),
            Packed(np.asarray(folds, _NUMBER).tobytes()),
            Packed(np.asarray(identities, _NUMBER).tobytes()),
            digest,
            recovered,
            Packed(bytes(number[name] for name in groups)),
            names,
        )

    def __len__(self) -> int:
        return len(self.packed_same)

    @property
    def over(self) -> str:
        """Say what is known to be independent: `identities`, `groups` of images, or `pairs`."""
        if not self.packed_identities:
            return "pairs"
        return "groups" if self.recovered else "identities"

    @cached_property
    def scores(self) -> npt.NDArray[np.float32]:
        """Return the scores `(P,)`; higher means more alike."""
        return np.frombuffer(self.packed_scores, _SCORE)

    @cached_property
    def same(self) -> npt.NDArray[np.bool_]:
        """Return whether each pair is genuine, `(P,)`."""
        return np.frombuffer(self.packed_same, np.bool_)

    @cached_property
    def folds(self) -> npt.NDArray[np.int64]:
        """Return which part of the cross-validation each pair belongs to, `(P,)`."""
        return np.frombuffer(self.packed_folds, _NUMBER).astype(np.int64)

    @cached_property
    def identities(self) -> npt.NDArray[np.int64]:
        """Return who is in each pair, `(P, 2)`; or `(0, 2)` where they are unknown."""
        return np.frombuffer(self.packed_identities, _NUMBER).astype(np.int64).reshape(-1, 2)

    @cached_property
    def groups(self) -> npt.NDArray[np.uint8]:
        """Return the place of each pair's group in `group_names`, `(P,)`; `(0,)` without any."""
        return np.frombuffer(self.packed_groups, np.uint8)

    def of_group(self, name: str) -> PairScores:
        """Return the scores of one group's pairs alone, which have no groups any more."""
        inside = self.groups == self.group_names.index(name)
        people = self.identities[inside] if len(self.identities) else self.identities
        return PairScores.pack(
            self.scores[inside],
            self.same[inside],
            self.folds[inside],
            [(int(one), int(two)) for one, two in people],
            f"{self.digest}/{name}",
            self.recovered,
        )
