"""Looks at this machine and at the devices that it is told to connect to."""

from __future__ import annotations

from collections.abc import Iterator

from facebench.architectures.errors import UnavailableError
from facebench.harness.devices.emulator import setup
from facebench.harness.devices.registry import DEVICES
from facebench.harness.machine import busy, environment, perf_events
from facebench.harness.runs.doctor.observation import MISSING, OK, WARNING, Observation, Place

# A moment of quiet comes within so many seconds, or the machine is busy.
_WAIT_S = 2.0


def processor(place: Place) -> Iterator[Observation]:
    """Check the processor, its memory and the kernel."""
    found = environment.identity()
    says = (
        f"{found['cpu_model']}, {found['machine']}, {found['memory_bytes'] / 1e9:.1f} GB of "
        f"memory, Linux {found['kernel']}"
    )
    yield Observation("processor", OK, says)


def cores(place: Place) -> Iterator[Observation]:
    """Check the cores that cases can have."""
    usable, physical = environment.cores(), environment.identity()["cores"]
    says = f"{usable} usable, of a machine of {physical}"
    if usable > 1:
        yield Observation("cores", OK, says)
    else:
        mend = "give this process a second core: whatever else runs disturbs the one it has"
        yield Observation("cores", WARNING, says, mend)


def quiet(place: Place) -> Iterator[Observation]:
    """Check whether a case with one thread could be timed now."""
    wait = busy.wait_for_quiet(1, _WAIT_S)
    load = "unknown" if wait.load_1min is None else f"{wait.load_1min:.1f}"
    taken = "" if wait.share is None else f", others keep {wait.share.others:.1f} CPUs busy"
    stolen = "" if wait.share is None else f", a hypervisor takes {wait.share.stolen:.0%}"
    says = f"load {load}{taken}{stolen}, {wait.slowness:.2f} times its fastest time seen here"
    if wait.quiet:
        yield Observation("quiet", OK, says)
    else:
        yield Observation("quiet", WARNING, says, "end what else runs before anything is timed")


def counters(place: Place) -> Iterator[Observation]:
    """Check the processor's counter of instructions."""
    try:
        with perf_events.instructions():
            yield Observation("instruction counter", OK, "the kernel lends it")
    except UnavailableError as error:
        yield Observation("instruction counter", MISSING, str(error), setup.COMMAND)


def devices(place: Place) -> Iterator[Observation]:
    """Check the devices that were named; each is connected to and asked what it is."""
    for name in place.devices:
        device = DEVICES[name]
        try:
            facts = device.facts()
        except UnavailableError as error:
            yield Observation(name, MISSING, str(error), f"facebench device list {name}")
        else:
            what = facts.core or facts.target or "a CPU that it does not name"
            says = f"{what}, {facts.cores} cores, runs {', '.join(facts.runtimes)}"
            yield Observation(name, OK, says)
