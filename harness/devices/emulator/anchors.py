"""Corrects modelled times by figures of the very device: published ones of a board, or measured
ones of a phone.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass

from facebench.harness.devices.emulator import calibration, model
from facebench.harness.devices.emulator.calibration import Left
from facebench.harness.devices.emulator.model import Anchor
from facebench.harness.devices.emulator.published import counts, rows
from facebench.harness.devices.emulator.terms import Terms
from facebench.harness.machine import phones
from facebench.harness.machine.phones import Figure, Phone


def of_device(name: str) -> Anchor:
    """Return what the published times of a board, or the measured ones of a phone, say."""
    by = model.constants()
    own = [row for row in rows() if row.time.board == name]
    if not own and (phone := phones.find(name)) is not None:
        return model.anchor([held.error for held in of_phone(phone)])
    return model.anchor([math.log(row.time.ms / 1e3 / by.seconds(row.terms)) for row in own])


@dataclass(frozen=True)
class Held:
    """It is a measured time held against the model.

    Attributes:
        ncnn: the version whose counts it was held against.
        modelled_ms: what the model says of it, without what was measured.
        error: the natural logarithm of measured over modelled.
    """

    figure: Figure
    ncnn: str
    modelled_ms: float
    error: float


def of_phone(phone: Phone) -> list[Held]:
    """Hold what was measured on a phone against the model, by the newest counts of its core."""
    figures = phone.described().figures
    assert figures is not None
    found = []
    for figure in phone.measured:
        own = [one for one in counts() if (one.core, one.network) == (phone.core, figure.network)]
        if own:
            newest = max(own, key=lambda one: one.version)
            terms = Terms.of(newest.cycles, newest.l1_misses, newest.memory_bytes, figures)
            ms = model.constants().seconds(terms) * 1e3
            found.append(Held(figure, newest.version, ms, math.log(figure.ms / ms)))
    return found


def anchored(left: Sequence[Left], knows: Callable[[Left, Left], bool]) -> list[tuple[Left, float]]:
    """Return the errors that rows have when others of their device correct them.

    Args:
        left: rows with errors of constants that did not see them.
        knows: says of two rows of one device whether the second one is known when the
            first is modelled.

    Returns:
        Each row with its corrected error, and the reach that it is told with.
    """
    by_device: dict[Hashable, list[Left]] = {}
    for one in left:
        by_device.setdefault(calibration.device(one.row), []).append(one)
    found = []
    for group in by_device.values():
        for one in group:
            known = [other.error for other in group if other is not one and knows(one, other)]
            anchor = model.anchor(known)
            found.append((Left(one.row, one.error - math.log(anchor.factor)), anchor.reach))
    return found
