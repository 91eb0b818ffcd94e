"""A case that is deployed and checked in the Python environment that it is timed in."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from facebench.architectures.errors import BadInputError, RefusedError, UnavailableError
from facebench.harness.comparison.interleaved.python_environment import PythonEnvironment
from facebench.harness.devices.registry import DEVICES
from facebench.harness.records.case import Case
from facebench.harness.records.record import Record, from_json
from facebench.harness.stats.arrays import FloatArray
from facebench.harness.storage.serialization import convert, parse_json

# A job in JSON's types.
Request = Mapping[str, Any]

# A first build exports, lowers and compiles.
_LIMIT_S = 900.0

# Seconds that a process may take to end once its output has.
_END_S = 10.0


@dataclass(frozen=True)
class Answer:
    """It is what the process that prepares a case answers, in a facebench of whatever revision.

    Attributes:
        record: as `record.to_json` makes it.
        artifact: as in `PreparedCase`.
        shape: of the images.
        images: float32, little-endian.
    """

    record: dict[str, Any]
    artifact: Path | None = None
    shape: tuple[int, int, int, int] = (0, 3, 0, 0)
    images: bytes = b""


@dataclass(frozen=True, eq=False)
class PreparedCase:
    """It is what turns are taken with.

    Attributes:
        environment: where its processes run.
        case: what is measured.
        fingerprint: of the job that it was made for.
        record: of a short measurement: its environment, provenance and checks are the case's.
        artifact: what a runtime opens; None where the record is not `ok`.
        images: `(N, 3, H, W)`, one batch.
    """

    environment: PythonEnvironment
    case: Case
    fingerprint: str
    record: Record
    artifact: Path | None
    images: FloatArray


def prepare(environment: PythonEnvironment, request: Request) -> PreparedCase:
    """Deploy and check a case in its Python environment.

    Args:
        environment: where.
        request: the job, as `Job.to_json` of the facebench there makes it.

    Raises:
        RefusedError: the case's device is another machine.
        UnavailableError: facebench does not run there.
    """
    case = convert(request["case"], Case)
    if DEVICES[case.device].remote:
        raise RefusedError(
            f"{case}: {case.device} is another machine; only cases of this one are measured side "
            "by side"
        )
    text, last = ask(
        environment, environment.layout.prepare, json.dumps(request), threads=case.threads
    )
    try:
        made = convert(parse_json(text), Answer, extra=True)
        images = np.frombuffer(made.images, "<f4").reshape(made.shape)
    except (BadInputError, ValueError) as error:
        raise UnavailableError(f"{case} in {environment.name}: {last}") from error
    record = from_json(made.record)
    return PreparedCase(environment, case, request["fingerprint"], record, made.artifact, images)


def ask(
    environment: PythonEnvironment, module: str, request: str, *arguments: str, threads: int = 1
) -> tuple[bytes, str]:
    """Return what a module of an environment answers, and its last line of standard error."""
    with environment.start(module, threads, *arguments) as process:
        process.send(request.encode(), last=True)
        with process.limit(_LIMIT_S):
            answer = process.output.read()
        if process.hung:
            return b"", f"its process said nothing for {_LIMIT_S:.0f} s"
        return answer, process.ended(_END_S).said or "its process ended without a word"
