"""A case that is deployed and checked in its place."""

from __future__ import annotations

import base64
import json
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from architectures.errors import RefusedError, UnavailableError
from harness.beside.place import Place
from harness.devices.registry import DEVICES
from harness.export import FloatArray
from harness.job import Job
from harness.record import Record, from_json

# A first build exports, lowers and compiles.
_LIMIT_S = 900.0


@dataclass(frozen=True, eq=False)
class Ready:
    """What turns are taken with.

    Attributes:
        place: where its processes run.
        job: what it was made for.
        record: of a short measurement: its environment, provenance and checks are the case's.
        artifact: what a runtime opens; None where the record is not `ok`.
        images: `(N, 3, H, W)`, one batch.
    """

    place: Place
    job: Job
    record: Record
    artifact: Path | None
    images: FloatArray

    @staticmethod
    def from_json(place: Place, job: Job, data: Mapping[str, Any]) -> Ready:
        """What `prepare.prepare` made."""
        images = np.frombuffer(base64.b64decode(data.get("images", "")), "<f4")
        found = data.get("artifact")
        return Ready(
            place,
            job,
            from_json(data["record"]),
            Path(found) if found else None,
            images.reshape(data.get("shape", (0, 3, 0, 0))),
        )


def prepare(place: Place, job: Job) -> Ready:
    """Deploy and check a job's case in its place.

    Raises:
        RefusedError: the case's device is another machine.
        UnavailableError: facebench does not run there.
    """
    if DEVICES[job.case.device].remote:
        raise RefusedError(
            f"{job.case}: {job.case.device} is another machine; only cases of this one are "
            "measured side by side"
        )
    with tempfile.TemporaryFile() as log:
        process = place.start("harness.beside.prepare", job.case.threads, log)
        request = json.dumps(job.to_json()).encode()
        try:
            answer, _ = process.communicate(request, _LIMIT_S)
        finally:
            process.kill()
            process.wait()
        try:
            return Ready.from_json(place, job, json.loads(answer))
        except ValueError as error:
            raise UnavailableError(f"{job.case} in {place.name}: {_last(log)}") from error


def _last(log: Any) -> str:
    log.seek(0)
    lines = log.read().decode(errors="replace").strip().splitlines()
    return lines[-1][:300] if lines else "its process ended without a word"
