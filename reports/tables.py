"""Provides typed rows of the report's tables, from records, and their way to pandas."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import pandas as pd

from facebench.harness.records.artifacts import Compilation
from facebench.harness.records.case import Case
from facebench.harness.records.cost import Cost
from facebench.harness.records.latency import Latency
from facebench.harness.records.record import Record
from facebench.reports.digits import Estimate

CellValue = str | int | float | None

LEAST_COLUMNS = ("network", "kind", "status", "reason")

# A spreadsheet takes text that begins so for a formula.
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")


@dataclass(frozen=True)
class Setting:
    """A setting is that in which a network was timed. Only times of one setting make a ratio."""

    runtime: str
    target: str = ""
    device: str = "local"
    precision: str = "fp32"
    threads: int = 1
    batch: int = 1
    kind: str = "measured"
    denormals: str = ""

    @property
    def label(self) -> str:
        """Return the runtime, and of the rest what is not the default; threads left out."""
        extra = [
            self.target if self.target not in ("", "host") else "",
            self.device if self.device != "local" else "",
            self.precision if self.precision != "fp32" else "",
            f"batch {self.batch}" if self.batch != 1 else "",
            f"denormals {self.denormals}" if self.denormals else "",
            self.kind if self.kind != "measured" else "",
        ]
        return ", ".join([self.runtime, *filter(None, extra)])

    @property
    def threads_text(self) -> str:
        """Return the thread count in words."""
        return f"{self.threads} thread{'s' if self.threads != 1 else ''}"


@dataclass(frozen=True)
class LatencyRow:
    """One latency record; the figures are None where status is not `ok`."""

    network: str
    setting: Setting
    weights: str
    status: str
    reason: str
    median: Estimate | None
    p90_ms: float | None
    minimum_ms: float | None
    samples: int
    label: str
    record: Record

    @property
    def ranked(self) -> bool:
        """Say whether it may take part in a ranking: measured, and not untuned code."""
        return self.median is not None and self.setting.kind == "measured" and not self.untuned

    @property
    def untuned(self) -> bool:
        """Say whether the code that was timed was never tuned."""
        return "untuned" in self.label

    @property
    def remark(self) -> str:
        """Say what else limits what the time means, such as operators that were not delegated."""
        return f"{self.setting.label}, {self.label}" if self.label and not self.untuned else ""


def latency_rows(records: Iterable[Record]) -> list[LatencyRow]:
    """Return the latency records as rows."""
    return [_latency_row(r) for r in records if r.case.measure == "latency"]


def settings(rows: Iterable[LatencyRow], threads: int | None = None) -> list[Setting]:
    """Return the settings that occur, in order of first occurrence; of one thread count, if
    given.
    """
    found = dict.fromkeys(row.setting for row in rows)
    return [one for one in found if threads is None or one.threads == threads]


def of_measure(records: Iterable[Record], measure: str) -> list[Record]:
    """Return the records of one measure."""
    return [record for record in records if record.case.measure == measure]


def unsuccessful(records: Iterable[Record]) -> list[Record]:
    """Return every record that holds no figure: failed or refused."""
    return [record for record in records if record.status != "ok"]


def latency_frame(rows: Iterable[LatencyRow]) -> pd.DataFrame:
    """Return all latencies, in full precision."""
    return frame(
        {
            **identity(row.record),
            **_setting(row.setting),
            "label": row.label,
            "median_ms": row.median.value if row.median else None,
            "median_low_ms": row.median.low if row.median else None,
            "median_high_ms": row.median.high if row.median else None,
            "p90_ms": row.p90_ms,
            "minimum_ms": row.minimum_ms,
            "samples": row.samples,
            **outcome(row.record),
        }
        for row in rows
    )


def cost_frame(records: Iterable[Record]) -> pd.DataFrame:
    """Return all costs, one column for each convention and precision."""
    return frame(
        {
            **identity(record),
            **(_cost(record.result) if isinstance(record.result, Cost) else {}),
            **outcome(record),
        }
        for record in of_measure(records, "cost")
    )


def compile_frame(records: Iterable[Record]) -> pd.DataFrame:
    """Return all compiled libraries."""
    return frame(
        {
            **identity(record),
            "target": record.case.target,
            **(_compilation(record.result) if isinstance(record.result, Compilation) else {}),
            **outcome(record),
        }
        for record in of_measure(records, "compile")
    )


def frame(rows: Iterable[Mapping[str, CellValue]]) -> pd.DataFrame:
    """Return rows as a frame of Python's own types; text that reads as a formula gets an
    apostrophe.
    """
    lines = [{name: harmless(value) for name, value in row.items()} for row in rows]
    # An empty file would be no CSV: its head says that there are no rows.
    return pd.DataFrame(lines, columns=None if lines else list(LEAST_COLUMNS), dtype=object)


def identity(record: Record) -> dict[str, CellValue]:
    """Return what was looked at."""
    return {
        "network": record.case.network,
        "weights": record.case.weights,
        "precision": record.case.precision,
    }


def outcome(record: Record) -> dict[str, CellValue]:
    """Return how it was obtained, and whether it was."""
    return {"kind": record.kind, "status": record.status, "reason": record.reason}


def _latency_row(record: Record) -> LatencyRow:
    case, result = record.case, record.result
    found = result if isinstance(result, Latency) and record.status == "ok" else None
    return LatencyRow(
        network=case.network,
        setting=_setting_of(case, record.kind),
        weights=case.weights,
        status=record.status,
        reason=record.reason,
        median=Estimate(found.median_ms, *found.interval_ms) if found else None,
        p90_ms=found.p90_ms if found else None,
        minimum_ms=found.minimum_ms if found else None,
        samples=len(found.samples_ms) if found else 0,
        label=found.label if found else "",
        record=record,
    )


def _setting_of(case: Case, kind: str) -> Setting:
    return Setting(
        case.runtime,
        case.target,
        case.device,
        case.precision,
        case.threads,
        case.batch,
        kind,
        case.denormals,
    )


def _setting(setting: Setting) -> dict[str, CellValue]:
    return {
        "runtime": setting.runtime,
        "target": setting.target,
        "device": setting.device,
        "threads": setting.threads,
        "batch": setting.batch,
    }


def _cost(cost: Cost) -> dict[str, CellValue]:
    return {
        "parameters": cost.parameters,
        "parameters_bn_folded": cost.parameters_bn_folded,
        **{f"madds[{name}]": count for name, count in cost.madds.items()},
        "activations": cost.activations,
        "weight_bytes": cost.weight_bytes,
        "activation_bytes": cost.activation_bytes,
        "peak_activation_bytes": cost.peak_activation_bytes,
        **{f"size_bytes[{name}]": size for name, size in cost.size_bytes.items()},
        "input_height": cost.input_size[0],
        "input_width": cost.input_size[1],
        "embedding_size": cost.embedding_size,
    }


def _compilation(made: Compilation) -> dict[str, CellValue]:
    return {
        "triple": made.triple,
        "elf_machine": made.elf_machine,
        "features": " ".join(made.features),
        "size_bytes": made.size_bytes,
        **{f"kernels[{name}]": count for name, count in made.kernels.items()},
        "seconds": made.seconds,
    }


def harmless(value: CellValue) -> CellValue:
    """Return a value as no spreadsheet runs it: text that reads as a formula gets an apostrophe."""
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value
