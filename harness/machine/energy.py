"""Reads the energy of the CPU packages, by the RAPL counters that Linux shows in powercap.

A counter is of a whole package: whatever else runs there is in it. See
https://docs.kernel.org/power/powercap/powercap.html.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

_ROOT = Path("/")

# Where the provenance of a record says why it has no energy.
NO_ENERGY = "no_energy"

# Counters move every millisecond: long against that.
_REST_S = 0.5


@dataclass(frozen=True)
class Energy:
    """It is what the packages took while inferences were sampled.

    Attributes:
        joules: of all packages together.
        seconds: that the sampling took.
        inferences: that were sampled.
        idle_w: their power just before, in watts, when this process did nothing.
    """

    joules: float
    seconds: float
    inferences: int
    idle_w: float

    @property
    def joules_an_inference(self) -> float:
        """Return the energy of an inference that the whole packages took, in joules."""
        return self.joules / self.inferences

    @property
    def net_joules_an_inference(self) -> float:
        """Return the energy beyond what the packages would have taken at rest in that time."""
        return (self.joules - self.idle_w * self.seconds) / self.inferences


@dataclass(frozen=True)
class PowerZone:
    """It is a package's counter, in microjoules; after `most_uj` it begins from zero."""

    path: Path
    most_uj: int

    def read_uj(self) -> int:
        """Return the counter now.

        Raises:
            OSError: it cannot be read.
            ValueError: it holds no number.
        """
        return int((self.path / "energy_uj").read_text())


@dataclass(frozen=True)
class Look:
    """It is the counters at one moment."""

    uj: Mapping[PowerZone, int]
    at_s: float


class Meter:
    """Reads the counters around a window of work; of no effect where there are none.

    Example:
        >>> meter = Meter()
        >>> meter.rest()
        >>> meter.start()
        >>> meter.stop(inferences=1)
        >>> meter.energy is None or meter.energy.seconds > 0
        True
    """

    def __init__(self, root: Path = _ROOT) -> None:
        self.why_not = why_not(root)
        self.energy: Energy | None = None
        self._zones = () if self.why_not else tuple(_packages(root))
        self._idle_w = 0.0
        self._began: Look | None = None

    def rest(self, seconds: float = _REST_S) -> None:
        """See what the packages take while this process waits."""
        if not self._zones:
            return
        before = _look(self._zones)
        time.sleep(seconds)
        after = _look(self._zones)
        if before is not None and after is not None:
            self._idle_w = _joules(before, after) / (after.at_s - before.at_s)

    def start(self) -> None:
        """Begin the window."""
        self._began = _look(self._zones)

    def stop(self, inferences: int) -> None:
        """End the window, with so many inferences in it."""
        before, after = self._began, _look(self._zones)
        if before is not None and after is not None:
            seconds = after.at_s - before.at_s
            self.energy = Energy(_joules(before, after), seconds, inferences, self._idle_w)


def why_not(root: Path = _ROOT) -> str:
    """Return why no energy can be read, and what mends it; empty where it can."""
    if not (root / "sys/class/powercap").is_dir():
        return "no powercap: this machine, or its hypervisor, shows no energy counters"
    zones = list(_packages(root))
    if not zones:
        return "powercap has no counter of a CPU package (RAPL)"
    try:
        for zone in zones:
            zone.read_uj()
    except PermissionError:
        return (
            "energy counters need root: sudo chmod a+r /sys/class/powercap/intel-rapl:*/energy_uj"
        )
    except (OSError, ValueError) as error:
        return f"energy counters cannot be read: {error}"
    return ""


def _packages(root: Path) -> Iterator[PowerZone]:
    """Counters of packages; parts of one have two numbers, and the platform another name."""
    for path in sorted((root / "sys/class/powercap").glob("intel-rapl:*")):
        try:
            name = (path / "name").read_text()
            most = int((path / "max_energy_range_uj").read_text())
        except (OSError, ValueError):
            continue
        if name.startswith("package"):
            yield PowerZone(path, most)


def _look(zones: tuple[PowerZone, ...]) -> Look | None:
    try:
        return (
            Look({zone: zone.read_uj() for zone in zones}, time.perf_counter()) if zones else None
        )
    except (OSError, ValueError):
        return None


def _joules(before: Look, after: Look) -> float:
    """Between two looks; a counter wraps at most once, as it takes minutes at full power."""
    total_uj = 0
    for zone, start in before.uj.items():
        end = after.uj[zone]
        total_uj += end - start if end >= start else end + zone.most_uj - start
    return total_uj / 1e6
