"""Finds which environments records come from, and whether they may be compared."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from facebench.harness.machine import facts
from facebench.harness.measures.registry import MEASURES
from facebench.harness.records.record import Record


@dataclass(frozen=True)
class EnvironmentDifference:
    """It is one fact on which two environments disagree."""

    name: str
    left: Any
    right: Any

    def __str__(self) -> str:
        return f"{self.name} ({self.left} and {self.right})"


@dataclass(frozen=True)
class Environment:
    """It is a distinct environment: its facts and how many records come from it."""

    facts: Mapping[str, Any]
    records: int


def differences(left: Mapping[str, Any], right: Mapping[str, Any]) -> list[EnvironmentDifference]:
    """Return facts that both environments state, and state differently."""
    return [
        EnvironmentDifference(name, ours, right[name])
        for name, ours in left.items()
        # What is equal, nearly all, is passed over before anything else is asked.
        if name in right
        and right[name] != ours
        and facts.stays(name, ours)
        and facts.stays(name, right[name])
    ]


def another_machine(found: Iterable[EnvironmentDifference]) -> list[EnvironmentDifference]:
    """Return those of the differences that make it another machine."""
    return [difference for difference in found if difference.name in facts.MACHINE]


def apart(records: Sequence[Record]) -> list[Record]:
    """Return the records, those that this machine timed named after it where there are several
    machines.

    In a record `local` is the machine that it was made on. Times of two machines are two
    cases: neither replaces the other, and no ratio is made of both.
    """
    timed = [record for record in records if _timed_locally(record)]
    by_name = any("timed_on" in record.provenance for record in timed)

    def machine_of(record: Record) -> tuple[str, ...]:
        machine = tuple(str(record.environment.get(name, "")) for name in facts.MACHINE)
        if not by_name:
            return machine
        # Machines of a cluster can be of one model, and are still several.
        host = record.environment.get("host", "")
        return (*machine, str(record.provenance.get("timed_on", host)))

    machines = dict.fromkeys(machine_of(record) for record in timed)
    if len(machines) < 2:
        return list(records)
    models = [str(machine[0]) or "a machine" for machine in machines]
    names = [
        model if models.count(model) == 1 else f"{model} ({index})"
        for index, model in enumerate(models, start=1)
    ]
    name_of = dict(zip(machines, names, strict=True))
    return [
        replace(record, case=replace(record.case, device=name_of[machine_of(record)]))
        if _timed_locally(record)
        else record
        for record in records
    ]


def _timed_locally(record: Record) -> bool:
    # A process that died says nothing of its machine.
    known = bool(record.environment)
    return known and record.case.device == "local" and MEASURES[record.case.measure].timed


def distinct(records: Iterable[Record]) -> list[Environment]:
    """Return the environments of the records, those that contradict nowhere taken as one."""
    found: list[tuple[dict[str, Any], int]] = []
    for record in records:
        if not record.environment:
            continue
        for index, (known, count) in enumerate(found):
            if not differences(known, record.environment):
                found[index] = (known | facts.lasting(record.environment), count + 1)
                break
        else:
            found.append((facts.lasting(record.environment), 1))
    return [Environment(known, count) for known, count in found]


def disagreements(environments: Sequence[Environment]) -> list[str]:
    """Return names of the facts on which the environments do not all agree."""
    names = dict.fromkeys(name for one in environments for name in one.facts)
    return [
        name
        for name in names
        if len({repr(one.facts[name]) for one in environments if name in one.facts}) > 1
    ]
