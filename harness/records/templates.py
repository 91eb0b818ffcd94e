"""Defines the result of comparing templates, sets of a person's images, 1:1."""

from __future__ import annotations

from dataclasses import dataclass

from facebench.harness.records.accuracy import Bounded, OperatingPoint
from facebench.harness.records.results import Result


@dataclass(frozen=True)
class TemplateVerification(Result):
    """It is the TAR of pairs of templates at FARs, as IJB-B and IJB-C are scored.

    Attributes:
        tar: at each FAR that the impostor pairs support.
        bounds: one each of these: the TAR with its interval.
        refused: why there is none, a sentence for each of the other FARs.
        templates: that are in the set.
        images: they were made of.
        genuine: pairs of one person.
        impostor: pairs of two.
        people: in the pairs.
        over: who they are: `identities` that the lists name, or `groups` of templates that
            genuine pairs join.
        label: what the data set can say; empty for real faces.
        flip: as in `Accuracy`.
        images_per_second: as in `Accuracy`.
        pairs_per_second: compared, from templates to scores.
        not_found: images in which no face was found.
        missed: templates without any face: their pairs score -1.
        excluded_pairs: pairs that were left out because of such templates.
    """

    tar: tuple[OperatingPoint, ...]
    bounds: tuple[Bounded, ...]
    refused: tuple[str, ...]
    templates: int
    images: int
    genuine: int
    impostor: int
    people: int
    over: str
    label: str
    flip: str
    images_per_second: float
    pairs_per_second: float
    not_found: tuple[str, ...] = ()
    missed: int = 0
    excluded_pairs: int = 0
