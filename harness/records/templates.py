"""Defines results of templates, sets of a person's images: compared 1:1, and searched for 1:N."""

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


@dataclass(frozen=True)
class TemplateSearch(Result):
    """It is what searches in galleries give, means over these, as IJB-B and IJB-C are scored.

    Attributes:
        ranks: that `found` is given at.
        found: share of mated probes whose person is among so many first ones.
        fpirs: shares of unmated probes that may raise a false alarm.
        fnir: one each: share of mated probes whose person is not first, or below the threshold.
        thresholds: one each, and of these one a gallery.
        galleries: templates in each.
        probes: searched for in all galleries.
        mated: probes of each gallery whose person is there.
        people: that mated probes show.
        images: that templates are made of.
        label: what the data set can say; empty for real faces.
        flip: as in `Accuracy`.
        images_per_second: as in `Accuracy`.
        searches_per_second: probes compared with a gallery, a second.
        not_found: images in which no face was found.
        missed: templates without any face, which nobody is found by.
    """

    ranks: tuple[int, ...]
    found: tuple[Bounded, ...]
    fpirs: tuple[float, ...]
    fnir: tuple[Bounded, ...]
    thresholds: tuple[tuple[float, ...], ...]
    galleries: tuple[int, ...]
    probes: int
    mated: tuple[int, ...]
    people: int
    images: int
    label: str
    flip: str
    images_per_second: float
    searches_per_second: float
    not_found: tuple[str, ...] = ()
    missed: int = 0
