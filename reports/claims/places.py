"""Judges a claim in several places at once, so that their number alone decides nothing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from facebench.harness.records.record import Record
from facebench.harness.stats.procedures import procedure
from facebench.reports.claims import UNDECIDED, ClaimFinding

# Chance of any false verdict among all places of a claim.
LEVEL = 0.05


@dataclass(frozen=True)
class ClaimPlace:
    """It is what the records say of a claim in one place, and how surely.

    Attributes:
        finding: with the verdict of the 95 % interval.
        verdict_at: the verdict by the interval of a confidence; None where no interval could
            decide.
    """

    finding: ClaimFinding
    verdict_at: Callable[[float], str] | None = None


@procedure("claim in several places")
def judged_together(places: Sequence[ClaimPlace]) -> list[ClaimFinding]:
    """Return a finding for each place; the chance that any of their verdicts is false is 5 %.

    By Holm's procedure (Scandinavian Journal of Statistics 6(2), 1979): all places are judged
    at the level over their number; those that are decided leave, and the others are judged
    anew at the level over theirs, until none is decided.
    """
    open_ones = [number for number, place in enumerate(places) if place.verdict_at]
    count, decided = len(open_ones), set[int]()
    while open_ones:
        confidence = 1 - LEVEL / len(open_ones)
        found = {number for number in open_ones if _decides(places[number], confidence)}
        if not found:
            break
        decided |= found
        open_ones = [number for number in open_ones if number not in found]
    return [
        place.finding if number in decided else _undecided(place.finding, count)
        for number, place in enumerate(places)
    ]


def _decides(place: ClaimPlace, confidence: float) -> bool:
    return place.verdict_at is not None and place.verdict_at(confidence) != UNDECIDED


def _undecided(found: ClaimFinding, places: int) -> ClaimFinding:
    if found.verdict == UNDECIDED:
        return found
    why = f"It is judged in {places} places, and Holm's correction leaves it open."
    return replace(found, verdict=UNDECIDED, also=(*found.also, why))


def scored_in(record: Record) -> tuple[str, ...]:
    """Return the place of a score: its dataset and runtime, and a precision other than fp32."""
    case = record.case
    extra = [case.precision] if case.precision != "fp32" else []
    return case.dataset, case.runtime, *extra


def pair_place(networks: Sequence[tuple[str, str]], first: str, place: str) -> str:
    """Return a place with the pair of networks before it, where a claim speaks of several.

    A network with GDConv is called what it is without it, as far as its name says so.

    Example:
        >>> pairs = [("mobilenet_v2_gdconv", "mobilenet_v2"), ("a", "b")]
        >>> pair_place(pairs, "mobilenet_v2_gdconv", "lfw"), pair_place(pairs[:1], "a", "lfw")
        ('mobilenet_v2: lfw', 'lfw')
    """
    return f"{first.removesuffix('_gdconv')}: {place}" if len(networks) > 1 else place


def sentence(text: str) -> str:
    """Return a text as a sentence.

    Example:
        >>> sentence("it is so; and that")
        'It is so; and that.'
    """
    return f"{text[:1].upper()}{text[1:]}."
