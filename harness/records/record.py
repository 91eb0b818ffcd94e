"""Defines the schema of records: what was asked for, what came of it, and where and how.

This module needs neither torch nor TVM.

Version history of the schema:
    1 (2026-11): the first.
    2 (2026-11): `Accuracy` carries the score of each pair, and what became of
        images without a face; `Case` says where landmarks come from and what int8 was
        calibrated on; results of throughput and identification. A record of schema 1
        is read as one that lacks them.
    3 (2026-11): results of instructions and cycles, of emulated devices.
    4 (2026-11): `Latency` carries the peak of the machine it was timed on. A record of
        an earlier schema is read as one that lacks it.
    5 (2026-11): `Latency` says which samples came of which process, and what each found
        on its machine. A time of an earlier schema is read as one of a single process, of
        which that is not known.
    6 (2026-11): results of denormal numbers; `Case` says what a runtime is told to do with
        them, and a record of an earlier schema is read as one that tells it nothing.
        A process of `Latency` says how it started, what memory and energy it took and by how
        much its memory grew; `Throughput` says what its machine did meanwhile. A record of
        an earlier schema is read as one that does not know it.
    7 (2026-11): results of layers' times, and of receptive fields.
    8 (2026-11): `Identification` carries intervals over people; `PairScores` says whether
        people were named or recovered. A record of an earlier schema has no such intervals,
        and its people, where there are any, are named.
    9 (2026-11): `Work` has the cycles of a simulated pipeline, and `Cycles` the time of one
        thread with its interval. A record of an earlier schema has neither; its modelled
        times are of another model.
    10 (2026-11): a process of `Latency` says how many of its threads worked. A record of an
        earlier schema is read as one that does not know it.
    11 (2026-11): results of comparing templates, and of searching for them; `PairScores` says
        of which group each pair is. A record of an earlier schema has no groups.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any

from facebench.architectures.errors import BadInputError, UnknownNameError
from facebench.harness.records.case import Case
from facebench.harness.records.results import RESULTS, Result
from facebench.harness.storage.serialization import Packed, convert, without

SCHEMA_VERSION = 11

# How a figure was obtained. `counted` is exact arithmetic on a graph or a file; `recorded` was
# measured elsewhere, and its record came with facebench: reports say so, no file does.
KINDS = ("counted", "measured", "emulated", "modelled", "published", "recorded")


class NewerError(BadInputError):
    """It is a record that a newer facebench wrote."""


@dataclass(frozen=True)
class Check:
    """One named condition of a figure's validity, and why it holds or not."""

    name: str
    passed: bool
    detail: str


@dataclass(frozen=True)
class Record:
    """A record is a case with what came of it. It is immutable.

    Attributes:
        case: what was asked for.
        kind: one of `KINDS`.
        status: `ok`; `failed` (it went wrong here); `refused` (the figure
            could not be supported, or not be had at all, for `reason`).
        result: the figures, where status is `ok`.
        reason: a sentence, where it is not.
        checks: conditions of validity that were looked at.
        environment: the machine and the versions, by name.
        provenance: how it was obtained: facebench's version, hash of its code and,
            in a checkout, revision; the artifact; and the network's `paper_row`,
            `reference` and `note`.
        fingerprint: hash of all that the result depends on; the cache key.
        created: time of the record, ISO 8601, UTC.
        duration_s: of the whole case, process start included.
    """

    case: Case
    kind: str
    status: str
    result: Result | None = None
    reason: str = ""
    checks: tuple[Check, ...] = ()
    environment: dict[str, Any] = field(default_factory=dict)
    provenance: dict[str, Any] = field(default_factory=dict)
    fingerprint: str = ""
    created: str = field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="seconds"))
    duration_s: float = 0.0

    @property
    def failed_checks(self) -> tuple[Check, ...]:
        """Return the conditions of validity that do not hold."""
        return tuple(check for check in self.checks if not check.passed)

    @property
    def label(self) -> str:
        """Say what limits the figures' meaning, such as `untuned`; empty where nothing does."""
        return str(getattr(self.result, "label", ""))


def to_json(record: Record) -> dict[str, Any]:
    """Return the record as JSON's types, its schema version first."""
    return {"schema": SCHEMA_VERSION, **_plain(asdict(record))}


def from_json(data: Any) -> Record:
    """Return the record that `to_json` made.

    Raises:
        NewerError: it is of a newer schema.
        BadInputError: it is not a record.
    """
    if not isinstance(data, dict):
        raise BadInputError("not a record of this project: a JSON object is expected")
    version = data.get("schema")
    if isinstance(version, int) and version > SCHEMA_VERSION:
        raise NewerError(
            f"a record of schema {version} was written by a newer facebench "
            f"(this one reads up to {SCHEMA_VERSION}): upgrade facebench to read it"
        )
    try:
        return _record(data)
    except UnknownNameError as error:
        raise BadInputError(f"a record of an {error}") from error
    except BadInputError as error:
        raise BadInputError(f"not a record of this project: {error}") from error


def _record(data: dict[str, Any]) -> Record:
    # What lies beside a record's own fields, such as a line's checksum, is no part of it.
    own = {name: data[name] for name in _ENVELOPE.__dataclass_fields__ if name in data}
    envelope = convert(own, _ENVELOPE)
    if "result" not in data:
        raise BadInputError("result is missing")
    return Record(**vars(envelope), result=_result(envelope.case.measure, data["result"]))


def _result(measure: str, data: Any) -> Any:
    if data is None:
        return None
    kind = RESULTS[measure]
    try:
        return convert(data, kind)
    except BadInputError as error:
        raise BadInputError(f"result: {error}") from error


# A record but for its result, the type of which its measure says.
_ENVELOPE = without(Record, "result")


def _plain(value: Any) -> Any:
    if isinstance(value, Packed):
        return value.to_text()
    if isinstance(value, dict):
        return {name: _plain(item) for name, item in value.items()}
    # Results hold packed bytes directly; in long tuples of figures there are none.
    return value
