"""Defines the protocol of devices, and their registry.

A device is one file in this package. `local` is this machine; others are
families of names: what follows the colon says which one, such as
`rpc://board:9090` or `emulated:cortex-a72`.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from facebench.architectures.registry import Registry
from facebench.harness.runtimes.registry import RUNTIMES
from facebench.harness.runtimes.session import Session


@dataclass(frozen=True)
class Facts:
    """These are the facts that a device states of itself.

    Attributes:
        target: the name of the compiler's target for it; empty where it does not say.
        runtimes: names of those that it can open.
        slots: cases that it runs at once without disturbing each other.
        identity: hash of what makes its figures comparable.
        cores: CPU cores that a runtime may use.
        core: the name of the emulated core; empty for a real one.
    """

    target: str
    runtimes: tuple[str, ...]
    slots: int
    identity: str
    cores: int
    core: str = ""


class Device(Protocol):
    """A device is a place where runtimes run.

    Attributes:
        name: as in `Case.device`.
        remote: whether nothing of this machine is used while it runs.
    """

    name: str
    remote: bool

    @property
    def kind(self) -> str:
        """Say what its figures are: `measured` or `emulated`; never raises."""
        ...

    def facts(self) -> Facts:
        """Return what it says of itself; asked for once.

        Raises:
            UnavailableError: it cannot be reached, or is not set up; the message has the mend.
        """
        ...

    def open(self, runtime: str, artifact: Path, threads: int, counting: bool = False) -> Session:
        """Open an artifact there, where asked for so that the session can count.

        Raises:
            UnavailableError: it cannot be reached, or lacks the runtime.
            LostError: it was reached and answers no more.
        """
        ...


DEVICES: Registry[Device] = Registry("device", package="facebench.harness.devices")


def require_precision(runtime: str, precision: str, device: str, timed: bool = True) -> None:
    """See that a runtime can be used, on a device and for networks of a precision.

    Args:
        runtime: its name.
        precision: of `fp32`, `fp16` and `int8`.
        device: its name.
        timed: whether its time there is wanted, or what it answers alone.

    Raises:
        RefusedError: it does not run this precision there.
        UnavailableError: it is not installed here; or it depends on the device, which cannot be
            reached.
    """
    chosen = RUNTIMES[runtime]
    if not timed and chosen.scores_anywhere(precision):
        precision = "fp32"
    everywhere = precision in chosen.precisions_on()
    chosen.require(precision, "" if everywhere else DEVICES[device].facts().target)
