"""Says how far a time that is measured now may be from the machine's median over many hours."""

from __future__ import annotations

from dataclasses import asdict, replace
from datetime import datetime

from facebench.harness.devices.registry import DEVICES
from facebench.harness.records.latency import Latency
from facebench.harness.records.record import Record
from facebench.harness.runs import machine_history
from facebench.harness.runs.machine_history import LongRun

# In a record's provenance: how far times of this machine differ from hour to hour.
_LONG_RUN = "long_run"

_HOUR_S = 3600

# Likewise: what times of one run have in common, beside what the machine was like in it.
_RUN = "run"


def told(record: Record, case: str) -> Record:
    """Return the record, with what this machine's past says of its time; and it is kept there.

    A record that is no time of this machine is left as it is.

    Args:
        case: whose times are comparable with it, a fingerprint.
    """
    result = record.result
    if not isinstance(result, Latency) or DEVICES[record.case.device].remote:
        return record
    at = datetime.fromisoformat(record.created).timestamp()
    machine_history.remember(machine_history.Run(case, at, result.median_ms))
    found = machine_history.long_run(machine_history.past())
    if found is None:
        return record
    return replace(record, provenance=record.provenance | {_LONG_RUN: asdict(found)})


def of_run(record: Record, token: str) -> Record:
    """Return the record, with the run that it came of; one that is no time is left as it is."""
    if not isinstance(record.result, Latency):
        return record
    return replace(record, provenance=record.provenance | {_RUN: token})


def run_of(record: Record) -> str:
    """Return what tells the run of a time from others; empty where the record does not say."""
    return str(record.provenance.get(_RUN) or "")


def of_one_run(one: Record, other: Record) -> bool:
    """Return whether two times came of one run, in whose course their processes took turns.

    Of records that do not say, those of an hour are taken for such.
    """
    if _in_turns(one) and _in_turns(one) == _in_turns(other):
        return True
    runs = one.provenance.get(_RUN), other.provenance.get(_RUN)
    if None not in runs:
        return runs[0] == runs[1]
    ends = [datetime.fromisoformat(record.created).timestamp() for record in (one, other)]
    return runs == (None, None) and abs(ends[0] - ends[1]) <= _HOUR_S


def _in_turns(record: Record) -> str:
    return record.result.beside if isinstance(record.result, Latency) else ""


def of(record: Record) -> LongRun | None:
    """Return how far times of its machine differed until then; None after too short a past."""
    match record.provenance.get(_LONG_RUN):
        case {"spread": float(spread), "hours": int(hours)} if hours >= machine_history.LEAST_HOURS:
            return LongRun(spread, hours)
    return None


def long_run_ms(record: Record) -> tuple[float, float] | None:
    """Return the 95 % interval in ms of the median over many hours; None after too short a past."""
    result, found = record.result, of(record)
    if found is None or not isinstance(result, Latency):
        return None
    return found.interval_ms(result.median_ms, result.interval_ms)
