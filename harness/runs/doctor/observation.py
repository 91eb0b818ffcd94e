"""Defines what a check of the doctor finds, and what it is asked to look at."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

OK, MISSING, WARNING = "ok", "missing", "warning"


@dataclass(frozen=True)
class Observation:
    """One thing that was looked at.

    Attributes:
        name: what it is.
        state: `OK`; `MISSING`, where something cannot be done without it; or `WARNING`.
        says: what was found, such as a version or the reason.
        mend: the command, or the act, that mends it; empty where nothing has to be mended.
    """

    name: str
    state: str
    says: str
    mend: str = ""


@dataclass(frozen=True)
class Place:
    """It says what to look at beside the machine itself.

    Attributes:
        data: the folder of the data sets; None for the one that `FACEBENCH_DATA` names.
        results: the folder that a run writes to.
        devices: names of the devices to connect to; no other is asked.
    """

    data: Path | None
    results: Path
    devices: tuple[str, ...] = ()
