"""A case with what is needed to obtain it but is no part of its identity."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from facebench.harness.models.export import Exported, export
from facebench.harness.models.networks import Network
from facebench.harness.records.case import Case
from facebench.harness.records.peak import Peak
from facebench.harness.storage.progress import SILENT, Progress
from facebench.harness.timing.sampler import Budget

# Longer than any case of ours is silent, in seconds.
LIMIT_S = 900.0


@dataclass(frozen=True)
class Job:
    """A job is one unit of work for a device.

    Attributes:
        case: what is to be measured.
        network: the network and where its weights are.
        fingerprint: hash of all that the result depends on.
        data: folder of the data sets, or None.
        dataset: the data set as the user named it, with its path; where empty, `case.dataset`.
        landmarks: where landmarks come from, with the path of a detector's weights.
        calibration: the data set that int8 is calibrated on, as the user named it.
        budget: how long to sample.
        exported: folder of the exported network, once there is one.
        phase: of a run, from 0: all jobs of a phase come before those of the next.
        process: number of this process among those of the case, from 0.
        peak: of the machine with as many threads, where this run has measured it.
        shards: how many machines share the work on the case's images, each a shard of them.
        prepares: whether it only makes what the case then finds in the cache.
        shard: which of them this job prepares, from 0; None for the case itself.
        limit_s: a case that says nothing for so many seconds is taken to hang, and stopped.
        progress: told how far the case is, in the process that obtains it: of how many images,
            for the most part.
    """

    case: Case
    network: Network
    fingerprint: str = ""
    data: Path | None = None
    dataset: str = ""
    landmarks: str = "file"
    calibration: str = ""
    budget: Budget = field(default_factory=Budget)
    exported: Path | None = None
    phase: int = 0
    process: int = 0
    peak: Peak | None = None
    prepares: bool = False
    shards: int = 1
    shard: int | None = None
    limit_s: float = LIMIT_S
    progress: Progress = field(default=SILENT, compare=False, repr=False)

    @property
    def begins_turns(self) -> bool:
        """Say whether its process is the case's first that takes turns with all other cases.

        That one imports its runtime itself, and the machine's peak is in its record.
        """
        return self.process == self.budget.ahead

    def to_json(self) -> dict[str, Any]:
        """Return the job in JSON's types, for another process to convert; who watches stays
        here.
        """
        data: dict[str, Any] = _plain(asdict(replace(self, progress=SILENT)))
        del data["progress"]
        return data

    def export(self) -> Exported:
        """Return the exported network: where the runner put it, or made now."""
        return Exported(self.exported) if self.exported else export(self.network)

    def facts(self) -> dict[str, Any]:
        """Return what `Network.facts` says, without torch where possible."""
        if self.exported is None:
            return self.network.facts()
        facts: dict[str, Any] = Exported(self.exported).facts()["architecture"]
        return facts


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _plain(item) for name, item in value.items()}
    return str(value) if isinstance(value, Path) else value
