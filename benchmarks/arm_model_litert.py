"""Holds the model against published times of TensorFlow Lite; `arm_model.py` prints its lines.

It tells the errors of ncnn's constants for each code that was counted, those of constants that are
fitted to these times alone, on what was left out, and the former by part of a phone.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from facebench.harness.devices.emulator import calibration, model
from facebench.harness.devices.emulator.calibration import Left
from facebench.harness.devices.emulator.published_litert import OWN_KERNELS, Code, counts, rows
from facebench.harness.stats.arrays import Reals

_HEAD = "| times | mean | median | 90th percentile | bias |"
_RULE = "|---|---|---|---|---|"

# The phone that the model is farthest off for, by any code.
FARTHEST = "Galaxy A03s"

_LEFT_OUT = {
    "network": calibration.network,
    "phone": lambda row: row.time.device,
    "core family": calibration.family,
}


def table() -> Iterator[str]:
    """Yield the lines on TensorFlow Lite that the page docs/model.md shows."""
    yield f"| code | constants of | left out {_HEAD}"
    yield f"|---|---|---{_RULE}"
    for code in counts():
        yield from _of(code)
    yield ""
    yield f"| its own kernels, by ncnn's constants | core {_HEAD}"
    yield f"|---|---{_RULE}"
    found = rows(OWN_KERNELS)
    for board in dict.fromkeys(row.time.board for row in found):
        left = calibration.errors([row for row in found if row.time.board == board], _shipped())
        time = left[0].row.time
        yield f"| `{board}`, {time.device} | {time.core} {_errors(left)}"


def _of(code: Code) -> Iterator[str]:
    found = rows(code)
    name = f"{code.release}, {code.kernels}"
    yield f"| {name} | ncnn | nothing {_errors(calibration.errors(found, _shipped()))}"
    others = [row for row in found if row.time.device != FARTHEST]
    if len(others) < len(found):
        by_ncnn = calibration.errors(others, _shipped())
        yield f"| {name} | ncnn | {FARTHEST} {_errors(by_ncnn)}"
    if code != OWN_KERNELS:
        return
    own = calibration.fit(found)
    listed = ", ".join(f"{constant:.2f}" for constant in own)
    yield f"| {name} | its own: {listed} | nothing (fit) {_errors(calibration.errors(found, own))}"
    for what, key in _LEFT_OUT.items():
        yield f"| {name} | its own | {what} {_errors(calibration.left_out(found, key))}"


def _shipped() -> Reals:
    by = model.constants()
    return np.array([by.pipeline, by.l1_misses, by.memory])


def _errors(left: Sequence[Left]) -> str:
    relative: Reals = 100 * np.array([one.relative for one in left])
    off = np.abs(relative)
    figures = (off.mean(), np.median(off), np.percentile(off, 90))
    listed = " | ".join(f"{figure:.1f} %" for figure in figures)
    return f"| {len(left)} | {listed} | {relative.mean():+.1f} % |"
