"""The schema of records: what was asked for, what came of it, and where and how.

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
"""

from __future__ import annotations

import base64
import zlib
from dataclasses import asdict, dataclass, field, fields, replace
from datetime import UTC, datetime
from functools import cache
from types import NoneType, UnionType
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

from facebench.architectures.errors import BadInputError, UnknownNameError
from facebench.harness.records.case import Case
from facebench.harness.records.results import RESULTS, Result

SCHEMA_VERSION = 7

# Packed figures of a record unpack to no more than this: a hostile file can't fill the memory.
_LARGEST = 2**28

# How a figure was obtained. `counted` is exact arithmetic on a graph or a file.
KINDS = ("counted", "measured", "emulated", "modelled", "published")


class NewerError(BadInputError):
    """A record that a newer facebench wrote."""


@dataclass(frozen=True)
class Check:
    """One named condition of a figure's validity, and why it holds or not."""

    name: str
    passed: bool
    detail: str


@dataclass(frozen=True)
class Record:
    """A case and what came of it. Immutable.

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
        """Conditions of validity that do not hold."""
        return tuple(check for check in self.checks if not check.passed)

    @property
    def label(self) -> str:
        """What limits the meaning of the figures, such as `untuned`; empty where nothing does."""
        return str(getattr(self.result, "label", ""))


def to_json(record: Record) -> dict[str, Any]:
    """The record as JSON's types, its schema version first."""
    return {"schema": SCHEMA_VERSION, **_plain(asdict(record))}


def from_json(data: Any) -> Record:
    """The record that `to_json` made.

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
        case = _build(Case, data["case"])
        result = data["result"]
        rest = {f.name: data[f.name] for f in fields(Record) if f.name in data}
        record = _build(Record, rest | {"case": case, "result": None})
        if result is None:
            return record
        return replace(record, result=_build(RESULTS[case.measure], result))
    except UnknownNameError as error:
        raise BadInputError(f"a record of an {error}") from error
    except (KeyError, TypeError, ValueError, AttributeError, zlib.error) as error:
        raise BadInputError(f"not a record of this project: {error!r}") from error


def _plain(value: Any) -> Any:
    if isinstance(value, bytes):
        return base64.b64encode(zlib.compress(value)).decode()
    if isinstance(value, dict):
        return {name: _plain(item) for name, item in value.items()}
    # Results hold packed bytes directly; in long tuples of figures there are none.
    return value


T = TypeVar("T")


def _build(kind: type[T], data: dict[str, Any]) -> T:
    """Make a dataclass from JSON's types: lists become tuples, dicts dataclasses.

    Raises:
        ValueError: a value is not of its field's type.
    """
    if not isinstance(data, dict):
        raise ValueError(f"{data!r:.60} where {kind.__name__} is expected")
    hints = _hints(kind)  # type: ignore[arg-type]  # a class is hashable
    return kind(**{name: _convert(hints[name], value) for name, value in data.items()})


@cache
def _hints(kind: Any) -> dict[str, Any]:
    return get_type_hints(kind)


# What JSON may hold where a field has a type; a whole number may stand for any.
_PLAIN: dict[Any, tuple[type, ...]] = {
    bool: (bool,),
    dict: (dict,),
    float: (float, int),
    int: (int,),
    str: (str,),
}


def _convert(hint: Any, value: Any) -> Any:
    if get_origin(hint) is UnionType:
        if value is None and NoneType in get_args(hint):
            return None
        hint = next(kind for kind in get_args(hint) if kind is not NoneType)
    if hint is bytes:
        return _unpacked(value)
    if get_origin(hint) is tuple:
        return _converted(get_args(hint), value)
    if hasattr(hint, "__dataclass_fields__"):
        return value if isinstance(value, hint) else _build(hint, value)
    allowed = _PLAIN.get(get_origin(hint) or hint)
    if allowed is not None and type(value) not in allowed:
        raise ValueError(f"{value!r:.60} where {hint} is expected")
    return value


def _converted(hints: tuple[Any, ...], values: Any) -> tuple[Any, ...]:
    """A tuple of one type, whose second hint is an ellipsis, or of one type each."""
    if not isinstance(values, list | tuple):
        raise ValueError(f"{values!r:.60} where a list is expected")
    if hints[-1] is Ellipsis:
        # Tens of thousands of samples, most often.
        if (allowed := _PLAIN.get(hints[0])) and set(map(type, values)) <= set(allowed):
            return tuple(values)
        return tuple(_convert(hints[0], value) for value in values)
    if len(values) != len(hints):
        raise ValueError(f"{len(values)} values where {len(hints)} are expected")
    return tuple(_convert(hint, value) for hint, value in zip(hints, values, strict=True))


def _unpacked(text: str) -> bytes:
    data = zlib.decompressobj()
    unpacked = data.decompress(base64.b64decode(text, validate=True), _LARGEST)
    if data.unconsumed_tail:
        raise ValueError(f"packed figures of more than {_LARGEST} bytes")
    return unpacked
