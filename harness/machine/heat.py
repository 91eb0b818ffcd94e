"""Reads how hot a board is and whether it slowed down for it, and waits until it is cool.

All of it is read from sysfs. What a machine does not show, such as any sensor
in a virtual machine, is left out and never an error.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

_ROOT = Path("/")

# Sensors of phones also report currents, and codes for "off".
_PLAUSIBLE_C = (-40.0, 150.0)

# Up to the Raspberry Pi 4 `soc/soc:firmware`; then with an address, `soc@107c000000/...`.
_PI_FLAGS = "sys/devices/platform/soc*/soc*:firmware/get_throttled"

# Bits of the Raspberry Pi's flags that are of the moment; the same, shifted by
# sixteen, say that it has been so since boot.
# https://www.raspberrypi.com/documentation/computers/os.html#get_throttled
_PI_NOW = {
    0: "under-voltage",
    1: "capped frequency",
    2: "throttling",
    3: "the soft temperature limit",
}
_PI_SINCE_BOOT = 16
_PI_HEAT = 0b1110  # no waiting mends a weak supply

# Governors that hold the frequency, unless the driver takes them for a hint.
_FIXED_GOVERNORS = {"performance", "powersave", "userspace"}
_FREE_DRIVERS = {"amd-pstate", "amd-pstate-epp", "intel_pstate"}
_LEAST_FALL = 0.05

_INTERVAL_S = 1.0
_COOL_C = 60.0
_MARGIN_C = 5.0
_coolest_c: dict[Path, float] = {}


@dataclass(frozen=True)
class Cpu:
    """A CPU's clock; what cannot be read is None or empty."""

    name: str
    frequency_hz: int | None = None
    minimum_hz: int | None = None
    maximum_hz: int | None = None
    hardware_maximum_hz: int | None = None
    governor: str = ""
    driver: str = ""

    @property
    def fixed(self) -> bool:
        """Say whether the governor asks for one frequency, so that a fall is not its choice."""
        return self.governor in _FIXED_GOVERNORS and self.driver not in _FREE_DRIVERS


@dataclass(frozen=True)
class Cooler:
    """A cooling device that is active: a fan that turns, or a CPU held back."""

    name: str
    kind: str
    state: int

    @property
    def slows_cpu(self) -> bool:
        """Say whether it cools by holding the CPU back."""
        return bool(re.search("cpu|processor|powerclamp", self.kind, re.IGNORECASE)) and not (
            re.search("fan", self.kind, re.IGNORECASE)
        )


@dataclass(frozen=True)
class ThermalZone:
    """It is a temperature sensor, in degrees Celsius."""

    name: str
    kind: str
    temperature_c: float


@dataclass(frozen=True)
class ThermalState:
    """It is a board's heat and clocks at one moment.

    Attributes:
        zones: temperature sensors that can be read.
        cpus: those with a clock that can be read.
        cooling: cooling devices that are active.
        pi_flags: the Raspberry Pi's throttling flags; None on other boards.
    """

    zones: tuple[ThermalZone, ...] = ()
    cpus: tuple[Cpu, ...] = ()
    cooling: tuple[Cooler, ...] = ()
    pi_flags: int | None = None

    @property
    def hottest_c(self) -> float | None:
        """Return the highest temperature; None where there is no sensor."""
        return max((zone.temperature_c for zone in self.zones), default=None)

    def to_json(self) -> dict[str, Any]:
        """Return the state as plain data for JSON."""
        return asdict(self)


def capture(root: Path = _ROOT) -> ThermalState:
    """Return the state now, of the machine whose file system begins at `root`."""
    return ThermalState(
        zones=tuple(_zones(root / "sys/class/thermal")),
        cpus=tuple(_cpus(root / "sys/devices/system/cpu")),
        cooling=tuple(_cooling(root / "sys/class/thermal")),
        pi_flags=next(_pi_flags(root), None),
    )


def throttled(
    before: ThermalState, after: ThermalState, during: Sequence[ThermalState] = ()
) -> str:
    """Return why a case did not run at full speed, in a sentence; empty where nothing says so.

    Args:
        before: the state as the case began.
        after: the state as it ended.
        during: states in between; with more of them, less is missed.
    """
    later = [*during, after]
    reasons = [
        *_raised_flags(before, later),
        *_lowered_limits(before, later),
        *_active_cooling(later),
        *_fallen_clocks(before, later),
    ]
    return "; ".join(dict.fromkeys(reasons))


def cool_down(
    limit_s: float, root: Path = _ROOT, sleep: Callable[[float], object] = time.sleep
) -> float:
    """Wait until the board is cool, at most `limit_s` seconds; returns those waited.

    Cool is: nothing holds the CPU back for its heat, and the hottest sensor is
    at 60 °C or less, or within 5 °C of the coolest that it has been at a look
    of this process. Without sensors there is nothing to wait for.
    """
    waited = 0.0
    while not _is_cool(capture(root), root) and waited < limit_s:
        pause = min(_INTERVAL_S, limit_s - waited)
        sleep(pause)
        waited += pause
    return waited


def _is_cool(state: ThermalState, root: Path) -> bool:
    if any(cooler.slows_cpu for cooler in state.cooling) or (state.pi_flags or 0) & _PI_HEAT:
        return False
    hottest = state.hottest_c
    if hottest is None:
        return True
    _coolest_c[root] = min(hottest, _coolest_c.get(root, hottest))
    return hottest <= max(_COOL_C, _coolest_c[root] + _MARGIN_C)


def _raised_flags(before: ThermalState, later: list[ThermalState]) -> Iterator[str]:
    """Flags that were up at a look, or that say they have been between two looks."""
    new = (later[-1].pi_flags or 0) & ~(before.pi_flags or 0)
    seen = new >> _PI_SINCE_BOOT if before.pi_flags is not None else 0
    for state in [before, *later]:
        seen |= state.pi_flags or 0
    for bit, name in _PI_NOW.items():
        if seen >> bit & 1:
            yield f"the Raspberry Pi's firmware reported {name}"


def _lowered_limits(before: ThermalState, later: list[ThermalState]) -> Iterator[str]:
    for old, new in _pairs(before, later):
        if old.maximum_hz and new.maximum_hz and new.maximum_hz < old.maximum_hz:
            limits = f"from {_mhz(old.maximum_hz)} to {_mhz(new.maximum_hz)}"
            yield f"{old.name}'s highest frequency was lowered {limits}"


def _active_cooling(later: list[ThermalState]) -> Iterator[str]:
    for state in later:
        for cooler in state.cooling:
            if cooler.slows_cpu:
                yield f"the cooling device {cooler.kind} held the CPU back"


def _fallen_clocks(before: ThermalState, later: list[ThermalState]) -> Iterator[str]:
    slowest: dict[Cpu, int] = {}
    for old, new in _pairs(before, later):
        if old.fixed and new.fixed and old.frequency_hz and new.frequency_hz:
            slowest[old] = min(new.frequency_hz, slowest.get(old, new.frequency_hz))
    for cpu, frequency_hz in slowest.items():
        if cpu.frequency_hz and frequency_hz < (1 - _LEAST_FALL) * cpu.frequency_hz:
            fall = f"from {_mhz(cpu.frequency_hz)} to {_mhz(frequency_hz)}"
            yield f"{cpu.name} fell {fall} under the {cpu.governor} governor"


def _pairs(before: ThermalState, later: list[ThermalState]) -> Iterator[tuple[Cpu, Cpu]]:
    """Yield each CPU as it was before, with itself at each later look."""
    known = {cpu.name: cpu for cpu in before.cpus}
    for state in later:
        yield from ((known[cpu.name], cpu) for cpu in state.cpus if cpu.name in known)


def _mhz(hz: int) -> str:
    return f"{hz / 1e6:.0f} MHz"


def _pi_flags(root: Path) -> Iterator[int]:
    for path in root.glob(_PI_FLAGS):
        if re.fullmatch(r"(0x)?[0-9a-f]+", flags := _text(path)):
            yield int(flags, 16)


def _zones(folder: Path) -> Iterator[ThermalZone]:
    lowest, highest = _PLAUSIBLE_C
    for path in _numbered(folder, "thermal_zone"):
        millidegrees = _number(path / "temp")
        if millidegrees is not None and lowest <= millidegrees / 1000 <= highest:
            yield ThermalZone(path.name, _text(path / "type"), millidegrees / 1000)


def _cooling(folder: Path) -> Iterator[Cooler]:
    for path in _numbered(folder, "cooling_device"):
        state = _number(path / "cur_state")
        if state is not None and state > 0:  # an idle powerclamp says -1
            yield Cooler(path.name, _text(path / "type"), state)


def _cpus(folder: Path) -> Iterator[Cpu]:
    for path in _numbered(folder, "cpu"):
        clock = path / "cpufreq"
        cpu = Cpu(
            path.name,
            frequency_hz=_hz(clock / "scaling_cur_freq"),
            minimum_hz=_hz(clock / "scaling_min_freq"),
            maximum_hz=_hz(clock / "scaling_max_freq"),
            hardware_maximum_hz=_hz(clock / "cpuinfo_max_freq"),
            governor=_text(clock / "scaling_governor"),
            driver=_text(clock / "scaling_driver"),
        )
        if cpu != Cpu(path.name):
            yield cpu


def _numbered(folder: Path, stem: str) -> list[Path]:
    """Return the folders `<stem><number>`, by number."""
    found = [path for path in folder.glob(f"{stem}*") if path.name[len(stem) :].isdecimal()]
    return sorted(found, key=lambda path: int(path.name[len(stem) :]))


def _hz(path: Path) -> int | None:
    khz = _number(path)
    return None if khz is None else khz * 1000


def _number(path: Path) -> int | None:
    try:
        return int(_text(path))
    except ValueError:
        return None


def _text(path: Path) -> str:
    """Return a file's text, empty where it cannot be read: a sensor that is off fails to."""
    try:
        return path.read_text(encoding="ascii", errors="replace").strip()
    except OSError:
        return ""
