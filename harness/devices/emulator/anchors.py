"""Corrects modelled times by figures of the very device: published ones of a board, or measured
ones of a phone.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Sequence

from facebench.harness.devices.emulator import calibration, model
from facebench.harness.devices.emulator.calibration import Left
from facebench.harness.devices.emulator.model import Anchor
from facebench.harness.devices.emulator.published import rows


def of_board(board: str) -> Anchor:
    """Return what the published times of a board, or of devices that have it, say."""
    by = model.constants()
    own = [row for row in rows() if row.time.board == board]
    return model.anchor([math.log(row.time.ms / 1e3 / by.seconds(row.terms)) for row in own])


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
