"""Finds the runtimes to ship a network with: those not shown to be slower than the fastest."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from facebench.reports.comparison import THREADS, representative
from facebench.reports.digits import interval
from facebench.reports.emulated import EmulatedCore, EmulatedRow, places
from facebench.reports.environments import another_machine, differences
from facebench.reports.evidence import Evidence
from facebench.reports.tables import LatencyRow, Setting, settings
from facebench.reports.time_ratios import not_slower, time_ratio


@dataclass(frozen=True)
class Choice:
    """It is a network's choice of runtimes, of one precision on one device.

    Attributes:
        network: what is to be shipped.
        precision: that all of these compute in.
        device: where they were timed.
        timed: all that may be ranked, the least time first; two at least.
        ship: those of them that are not shown to be slower than the first.
    """

    network: str
    precision: str
    device: str
    timed: tuple[LatencyRow, ...]
    ship: tuple[LatencyRow, ...]

    @property
    def heading(self) -> str:
        """Return the precision, and the device where it is not this machine."""
        return self.precision if self.device == "local" else f"{self.precision}, {self.device}"

    @property
    def slower(self) -> tuple[LatencyRow, ...]:
        """Return those that are shown to be slower than the first."""
        return tuple(row for row in self.timed if row not in self.ship)


@dataclass(frozen=True)
class ModelledChoice:
    """It is a network's modelled times in the runtimes of one emulated core, the least first."""

    network: str
    core: str
    times: tuple[tuple[EmulatedCore, EmulatedRow], ...]


def runtime(row: LatencyRow) -> str:
    """Return the runtime of a time, with its target where that was chosen."""
    name, target = row.setting.runtime, row.setting.target
    return name if target in ("", "host") else f"{name} ({target})"


def times_longer(row: LatencyRow, first: LatencyRow) -> str:
    """Return the runtime of a time, and the interval of how many times longer it takes."""
    return f"{runtime(row)} × {interval(time_ratio(row.record, first.record))}"


def sentence(choice: Choice) -> str:
    """Return a choice for a terminal."""
    shipped = " or ".join(map(runtime, choice.ship))
    which = f"ship {shipped}"
    if len(choice.ship) > 1:
        which += " (by 95 % intervals none of them is shown to be slower than the first)"
    slower = ", ".join(times_longer(row, choice.timed[0]) for row in choice.slower)
    rest = f"; slower: {slower}" if slower else ""
    return f"{choice.network}, {choice.heading}: {which}{rest}"


def choices(evidence: Evidence) -> list[Choice]:
    """Return the choices that were timed, of one thread and one image; networks in their order."""
    columns = [
        one
        for one in settings(evidence.latencies, threads=THREADS)
        if one.kind == "measured" and one.batch == 1 and not one.denormals
    ]
    found = []
    for network in evidence.networks:
        for device, precision in dict.fromkeys(map(_place, columns)):
            there = [one for one in columns if _place(one) == (device, precision)]
            timed = _ranked(evidence, network, there)
            if len(timed) > 1:
                ship = tuple(not_slower(timed))
                found.append(Choice(network, precision, device, timed, ship))
    return found


def modelled_choices(evidence: Evidence) -> list[ModelledChoice]:
    """Return the networks that two runtimes of an emulated core have modelled times of."""
    shown = [one for one in places(evidence) if one.case.batch == 1]
    shown.sort(key=lambda one: one.core)
    found = []
    for core, group in groupby(shown, key=lambda one: one.core):
        held = list(group)
        for network in evidence.networks:
            times = sorted(_modelled(held, network), key=lambda pair: pair[1].milliseconds or 0.0)
            if len(times) > 1:
                found.append(ModelledChoice(network, core, tuple(times)))
    return found


def _place(setting: Setting) -> tuple[str, str]:
    return setting.device, setting.precision


def _ranked(evidence: Evidence, network: str, columns: Sequence[Setting]) -> tuple[LatencyRow, ...]:
    """Return a network's times that may be ranked, of the first one's machine."""
    found = [representative(evidence, network, one) for one in columns]
    rows = [row for row in found if row is not None and row.ranked]
    alike = [row for row in rows if not _elsewhere(row, rows[0])]
    return tuple(sorted(alike, key=lambda row: row.median.value if row.median else 0.0))


def _elsewhere(row: LatencyRow, first: LatencyRow) -> bool:
    return bool(another_machine(differences(row.record.environment, first.record.environment)))


def _modelled(
    held: Sequence[EmulatedCore], network: str
) -> Iterator[tuple[EmulatedCore, EmulatedRow]]:
    for place in held:
        row = place.row(network)
        if row is not None and row.modelled is not None and not row.untuned:
            yield place, row
