"""JSON of profiled models as nn-Meter's builder writes and reads it: `12.3 +- 0.4` milliseconds.

Format: https://github.com/microsoft/nn-Meter, `nn_meter/builder/backend_meta/utils.py`. It holds
a mean with the standard deviation of single inferences; what else is known of a time stands
beside it under `facebench`, which nn-Meter keeps and passes over.
"""

from __future__ import annotations

import json
import statistics
from collections.abc import Sequence

from facebench.architectures.errors import RefusedError
from facebench.harness.records.latency import Latency
from facebench.harness.records.record import Record
from facebench.harness.records.store import latest
from facebench.harness.storage import writing
from facebench.reports.exchange.registry import (
    Destination,
    ExchangeFormat,
    Written,
    plural,
    register,
)
from facebench.reports.exchange.rows import rows


def _write(records: Sequence[Record], destination: Destination) -> Written:
    timed = [one for one in latest(records) if _is_profiled(one)]
    if not timed:
        raise RefusedError(
            "nn-Meter's profiled results are times that were measured, and the records hold none "
            "of these: measure with 'facebench latency'"
        )
    models = {f"{one.case} {one.case.key}": _model(one) for one in timed}
    writing.write(destination.path, json.dumps({"facebench": models}, indent=1) + "\n")
    others = len(records) - len(timed)
    told = f"{plural(others, 'record')} that are no measured times, or are older ones of a case"
    return Written(len(timed), "times", (told,) if others else ())


def _is_profiled(record: Record) -> bool:
    return record.kind == "measured" and isinstance(record.result, Latency)


def _model(record: Record) -> dict[str, object]:
    assert isinstance(record.result, Latency)
    samples = record.result.samples_ms
    mean, deviation = statistics.fmean(samples), statistics.pstdev(samples)
    return {"latency": f"{mean!r} +- {deviation!r}", "facebench": rows([record])}


register(
    ExchangeFormat("nn-meter", "measured times, as profiled models", "nn-Meter's builder", _write)
)
