"""A case that is deployed and checked in its place."""

from __future__ import annotations

import base64
import json
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from facebench.architectures.errors import RefusedError, UnavailableError
from facebench.harness.comparison.interleaved.python_environment import PythonEnvironment
from facebench.harness.devices.registry import DEVICES
from facebench.harness.records.case import Case
from facebench.harness.records.record import Record, from_json
from facebench.harness.stats.arrays import FloatArray

# A job in JSON's types.
Request = Mapping[str, Any]

# A first build exports, lowers and compiles.
_LIMIT_S = 900.0


@dataclass(frozen=True, eq=False)
class PreparedCase:
    """What turns are taken with.

    Attributes:
        place: where its processes run.
        case: what is measured.
        fingerprint: of the job that it was made for.
        record: of a short measurement: its environment, provenance and checks are the case's.
        artifact: what a runtime opens; None where the record is not `ok`.
        images: `(N, 3, H, W)`, one batch.
    """

    place: PythonEnvironment
    case: Case
    fingerprint: str
    record: Record
    artifact: Path | None
    images: FloatArray

    @staticmethod
    def from_json(
        place: PythonEnvironment, request: Request, data: Mapping[str, Any]
    ) -> PreparedCase:
        """What `prepare.prepare` made of a request."""
        images = np.frombuffer(base64.b64decode(data.get("images", "")), "<f4")
        found = data.get("artifact")
        return PreparedCase(
            place,
            Case(**request["case"]),
            request["fingerprint"],
            from_json(data["record"]),
            Path(found) if found else None,
            images.reshape(data.get("shape", (0, 3, 0, 0))),
        )


def prepare(place: PythonEnvironment, request: Request) -> PreparedCase:
    """Deploy and check a case in its place.

    Args:
        place: where.
        request: the job, as `Job.to_json` of the place's own facebench makes it.

    Raises:
        RefusedError: the case's device is another machine.
        UnavailableError: facebench does not run there.
    """
    case = Case(**request["case"])
    if DEVICES[case.device].remote:
        raise RefusedError(
            f"{case}: {case.device} is another machine; only cases of this one are measured side "
            "by side"
        )
    answer, last = ask(
        place,
        "facebench.harness.comparison.interleaved.prepare",
        json.dumps(request),
        threads=case.threads,
    )
    try:
        return PreparedCase.from_json(place, request, json.loads(answer))
    except ValueError as error:
        raise UnavailableError(f"{case} in {place.name}: {last}") from error


def ask(
    place: PythonEnvironment, module: str, request: str, *arguments: str, threads: int = 1
) -> tuple[bytes, str]:
    """What a module of a place's facebench answers, and the last line of its standard error."""
    with tempfile.TemporaryFile() as log:
        process = place.start(module, threads, log, *arguments)
        try:
            answer, _ = process.communicate(request.encode(), _LIMIT_S)
        except subprocess.TimeoutExpired:
            return b"", f"its process said nothing for {_LIMIT_S:.0f} s"
        finally:
            process.kill()
            process.wait()
        return answer, _last(log)


def _last(log: Any) -> str:
    log.seek(0)
    lines = log.read().decode(errors="replace").strip().splitlines()
    return lines[-1][:300] if lines else "its process ended without a word"
