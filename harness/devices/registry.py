"""The protocol of devices and their registry."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol

from architectures.registry import Registry
from harness.job import Job, Progress
from harness.record import Record


class Device(Protocol):
    """A place that runs jobs.

    Attributes:
        name: as in `Case.device`.
        kind: what its figures are: `measured`, `emulated` or `modelled`.
    """

    name: str
    kind: str

    def execute(self, jobs: Sequence[Job], progress: Progress) -> Iterator[Record]:
        """Run jobs one after the other in a process of their own; a record each, as it comes.

        `progress` is told how far a long case is.
        """
        ...


DEVICES: Registry[Device] = Registry("device", package="harness.devices")
