"""Our own results file, for what another format carries: every sample, as it was recorded."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from facebench.harness.records.record import Record
from facebench.harness.records.store import Store
from facebench.harness.storage import writing
from facebench.reports.exchange.registry import Destination, ExchangeFormat, Written, register


def _write(records: Sequence[Record], destination: Destination) -> Written:
    writing.replace(destination.path, lambda made: _append(made, records))
    return Written(len(records), "records")


def _append(path: Path, records: Sequence[Record]) -> None:
    for record in records:
        Store(path).append(record)


register(
    ExchangeFormat("records", "a results file: what a model file carries", "facebench", _write)
)
