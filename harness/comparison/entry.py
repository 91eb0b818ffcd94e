"""Holds what comparing needs of a record, no more: a case's figures and where they come from."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from facebench.harness.measures.validity import DISTURBANCES
from facebench.harness.records.case import Case
from facebench.harness.records.comparable import Figure
from facebench.harness.runs.machine_history import LongRun


@dataclass(frozen=True)
class Entry:
    """An entry is one side of a comparison: a case and its figures.

    Attributes:
        case: what was measured.
        kind: one of `record.KINDS`.
        status: as in `Record`.
        reason: why there are no figures, where there are none.
        label: of the code, such as `untuned`.
        environment: as in `Record`.
        figures: what came of the case; empty where status is not `ok`.
        doubts: conditions of validity that did not hold, a sentence each.
        created: time of the record, ISO 8601.
        revision: of facebench's checkout, where it is known.
        long_run: how much jobs differed on its machine until then; None where that is not known.
        run: that a time came of, in whose course the processes of all its cases took turns;
            empty where that is not known, or where several are pooled.
    """

    case: Case
    kind: str
    status: str = "ok"
    reason: str = ""
    label: str = ""
    environment: dict[str, Any] = field(default_factory=dict)
    figures: tuple[Figure, ...] = ()
    doubts: tuple[str, ...] = ()
    created: str = ""
    revision: str = ""
    long_run: LongRun | None = None
    run: str = ""

    @property
    def disturbances(self) -> tuple[str, ...]:
        """Return the doubts that say that something else slowed the machine."""
        names = tuple(f"{name}: no" for name in DISTURBANCES)
        return tuple(doubt for doubt in self.doubts if doubt.startswith(names))
