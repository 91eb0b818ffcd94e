"""Holds records as one tidy table: a row a figure, for data frames, notebooks and Parquet."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import singledispatch

import pandas as pd

from facebench.harness.comparison.extract import entry
from facebench.harness.machine.facts import runtime_version
from facebench.harness.records.accuracy import Accuracy, Bounded, Identification
from facebench.harness.records.artifacts import Compilation
from facebench.harness.records.comparable import Decided, Figure
from facebench.harness.records.cost import Cost
from facebench.harness.records.instructions import Cycles, Instructions
from facebench.harness.records.latency import Latency
from facebench.harness.records.record import Record
from facebench.harness.records.results import Result
from facebench.harness.records.templates import TemplateSearch, TemplateVerification
from facebench.harness.records.throughput import Throughput
from facebench.harness.records.trials import TrialScores, over_trials
from facebench.reports.cells import sure
from facebench.reports.scores import summarised

# Of a figure without an interval: an exact count, or one of which none is known.
Interval = tuple[float, float] | None

_CASE = ("network", "weights", "precision", "runtime", "target", "device", "threads", "batch",
         "dataset", "denormals")  # fmt: skip
COLUMNS = ("measure", "figure", "value", "lower", "upper", "unit", "kind", *_CASE, "label",
           "version", "cpu", "affinity", "doubts", "created")  # fmt: skip
_TYPES = {"value": "float64", "lower": "float64", "upper": "float64", "threads": "int64",
          "batch": "int64"}  # fmt: skip


@dataclass(frozen=True)
class TidyFigure:
    """It is one figure of a record.

    Attributes:
        name: such as `median`.
        value: in `unit`.
        unit: empty for counts, shares (0 to 1) and what else has none.
        interval: 95 %, in `unit`; None of an exact count, and where none is known.
    """

    name: str
    value: float
    unit: str = ""
    interval: Interval = None


def tidy_frame(records: Iterable[Record]) -> pd.DataFrame:
    """Return a row for each figure of each record that has some, in `COLUMNS`.

    Raises:
        BadInputError: a figure can be none, such as a count below zero.
    """
    rows = [
        {
            "measure": record.case.measure,
            "figure": figure.name,
            "value": figure.value,
            "lower": figure.interval[0] if figure.interval else None,
            "upper": figure.interval[1] if figure.interval else None,
            "unit": figure.unit,
            "kind": record.kind,
            **{name: getattr(record.case, name) for name in _CASE},
            "label": record.label,
            **_circumstances(record),
            "created": record.created,
        }
        for record in records
        for figure in tidy_figures(record)
    ]
    frame = pd.DataFrame(rows, columns=list(COLUMNS)).astype(_TYPES)
    return frame.assign(created=pd.to_datetime(frame["created"], utc=True))


def tidy_figures(record: Record) -> list[TidyFigure]:
    """Return the figures of a record, the main one first; none where it failed or was refused.

    Raises:
        BadInputError: a figure can be none, such as a count below zero.
    """
    if record.result is None:
        return []
    return list(_figures(record.result, record))


def _circumstances(record: Record) -> dict[str, str]:
    """Return with what a record was made, and what speaks against it."""
    facts = record.environment
    return {
        "version": runtime_version(facts, record.case.runtime),
        "cpu": str(facts.get("cpu_model", "")),
        "affinity": str(facts.get("affinity", "")),
        "doubts": "; ".join(f"{check.name}: no, {check.detail}" for check in record.failed_checks),
    }


@singledispatch
def _figures(result: Result, record: Record) -> Iterator[TidyFigure]:
    """Yield what is compared of a result, of a measure that has no more to say here."""
    for figure in entry(record).figures:
        yield TidyFigure(figure.name, float(figure.value), _unit(figure))


def _unit(figure: Figure) -> str:
    return "" if isinstance(figure, Decided) else figure.unit


@_figures.register
def _(result: Latency, record: Record) -> Iterator[TidyFigure]:
    yield TidyFigure("median", result.median_ms, "ms", result.interval_ms)
    yield from _known("P90", result.p90_ms, "ms")
    yield TidyFigure("minimum", result.minimum_ms, "ms")
    yield TidyFigure("load", result.load_ms, "ms")
    yield from _known("import", result.import_ms, "ms")
    yield from _known("open", result.open_ms, "ms")
    yield from _known("first inference", result.first_ms, "ms")
    yield from _known("peak memory", result.peak_bytes, "bytes")
    yield from _known("added memory", result.added_bytes, "bytes")
    yield from _known("energy", result.joules, "J")


@_figures.register
def _(result: Throughput, record: Record) -> Iterator[TidyFigure]:
    yield TidyFigure("images", result.images_per_second, "1/s", result.interval)


@_figures.register
def _(result: Cost, record: Record) -> Iterator[TidyFigure]:
    yield TidyFigure("parameters", result.parameters)
    yield TidyFigure("parameters (BN folded)", result.parameters_bn_folded)
    for convention, count in result.madds.items():
        yield TidyFigure(f"MAdds ({convention})", count)
    yield TidyFigure("activations", result.activations)
    yield TidyFigure("weights read", result.weight_bytes, "bytes")
    yield TidyFigure("activations moved", result.activation_bytes, "bytes")
    yield TidyFigure("peak activations", result.peak_activation_bytes, "bytes")
    for precision, size in result.size_bytes.items():
        yield TidyFigure(f"size ({precision})", size, "bytes")


@_figures.register
def _(result: Compilation, record: Record) -> Iterator[TidyFigure]:
    yield TidyFigure("size", result.size_bytes, "bytes")
    yield TidyFigure("compilation", result.seconds, "s")


@_figures.register
def _(result: Instructions, record: Record) -> Iterator[TidyFigure]:
    yield TidyFigure("instructions", result.work.instructions)
    if result.line_bytes:
        yield TidyFigure("memory traffic", result.memory_bytes, "bytes")


@_figures.register
def _(result: Cycles, record: Record) -> Iterator[TidyFigure]:
    for threads, milliseconds in result.milliseconds.items():
        interval = result.interval_ms if threads == "1" else None
        yield TidyFigure(f"modelled time, {threads} thread", milliseconds, "ms", interval)


@_figures.register
def _(result: Accuracy, record: Record) -> Iterator[TidyFigure]:
    yield _bounded("accuracy", sure(result))
    summary = summarised(result).summary
    if summary is not None:
        yield _bounded("EER", summary.eer)
        yield _bounded("AUC", summary.auc)
        for rate in summary.tar:
            yield _bounded(f"TAR at FAR {rate.point.rate:g}", rate.tar)
    yield TidyFigure("images", result.images_per_second, "1/s")


@_figures.register
def _(result: Identification, record: Record) -> Iterator[TidyFigure]:
    bounds = result.bounds
    yield _bounded("rank 1", bounds.rank1) if bounds else TidyFigure("rank 1", result.rank1)
    for number, point in enumerate(result.tpir):
        name = f"TPIR at FPIR {point.rate:g}"
        yield _bounded(name, bounds.tpir[number]) if bounds else TidyFigure(name, point.true_rate)
    for number, point in enumerate(result.tar):
        name = f"TAR at FAR {point.rate:g}"
        yield _bounded(name, bounds.tar[number]) if bounds else TidyFigure(name, point.true_rate)
    yield TidyFigure("images", result.images_per_second, "1/s")


@_figures.register
def _(result: TemplateVerification, record: Record) -> Iterator[TidyFigure]:
    for point, bound in zip(result.tar, result.bounds, strict=True):
        yield _bounded(f"TAR at FAR {point.rate:g}", bound)
    yield TidyFigure("images", result.images_per_second, "1/s")


@_figures.register
def _(result: TemplateSearch, record: Record) -> Iterator[TidyFigure]:
    for rank, bound in zip(result.ranks, result.found, strict=True):
        yield _bounded(f"rank {rank}", bound)
    for fpir, bound in zip(result.fpirs, result.fnir, strict=True):
        yield _bounded(f"FNIR at FPIR {fpir:g}", bound)
    yield TidyFigure("images", result.images_per_second, "1/s")


@_figures.register
def _(result: TrialScores, record: Record) -> Iterator[TidyFigure]:
    yield TidyFigure(f"TAR at FAR {result.far:g}, reported", over_trials(result.tar).reported)
    name = f"found at {result.alarm_rate:g} false alarms, reported"
    yield TidyFigure(name, over_trials(result.found).reported)
    yield TidyFigure("images", result.images_per_second, "1/s")


def _bounded(name: str, found: Bounded) -> TidyFigure:
    return TidyFigure(name, found.value, interval=found.interval)


def _known(name: str, value: float | None, unit: str) -> Iterator[TidyFigure]:
    if value is not None:
        yield TidyFigure(name, value, unit)
