"""Prints records for commands: progress while they are obtained, then tables."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Any

from rich.markup import escape
from rich.table import Table

from facebench.harness.cli.output.terminal import err, new_table, out
from facebench.harness.models.state_dicts import BY_NAME
from facebench.harness.records.case import Case
from facebench.harness.records.cost import Cost
from facebench.harness.records.instructions import Cycles, Instructions
from facebench.harness.records.latency import Latency
from facebench.harness.records.pair_scores import PairScores
from facebench.harness.records.record import Record
from facebench.harness.runs.long_run import long_run_ms


def flat(record: Record) -> dict[str, Any]:
    """Return a record as one object: its case's fields, its result's and the statistics they
    give.
    """
    result = record.result
    figures: dict[str, Any] = {}
    if result is not None:
        derived = [n for n, v in vars(type(result)).items() if isinstance(v, property)]
        figures = asdict(result) | {name: getattr(result, name) for name in derived}
        packed = [n for n, v in vars(result).items() if isinstance(v, PairScores)]
        figures |= {name: _pairs(getattr(result, name)) for name in packed}
    whole = asdict(record)
    del whole["result"]
    case: dict[str, Any] = whole.pop("case")
    return case | figures | whole


def _pairs(pairs: PairScores) -> dict[str, Any]:
    return {
        "scores": pairs.scores.tolist(),
        "same": pairs.same.tolist(),
        "folds": pairs.folds.tolist(),
        "identities": pairs.identities.tolist(),
        "digest": pairs.digest,
    }


def costs(records: Sequence[Record]) -> Table:
    """Return a table with networks down, counts across; each count under its convention."""
    table = new_table(
        "network", "parameters", "BN folded", "MAdds\nconv+linear", "+bn", "+activation"
    )
    for name in ("activations\nwritten", "peak\nactivations", "fp32\nsize"):
        table.add_column(name, justify="right")
    for record in records:
        if isinstance(result := record.result, Cost):
            table.add_row(
                escape(record.case.network),
                f"{result.parameters:,}",
                f"{result.parameters_bn_folded:,}",
                *(f"{count:,}" for count in result.madds.values()),
                f"{result.activations:,}",
                f"{result.peak_activation_bytes / 1e6:.2f} MB",
                f"{result.size_bytes['fp32'] / 1e6:.2f} MB",
            )
    return table


def layers(record: Record) -> Table:
    """Return the layers of one network's cost, in execution order."""
    table = new_table(escape(record.case.network), "operator", "output", "parameters", "MAdds")
    assert isinstance(record.result, Cost)
    for layer in record.result.layers:
        table.add_row(
            escape(layer.name),
            layer.operator,
            "x".join(map(str, layer.output_shape)),
            f"{layer.parameters:,}",
            f"{layer.madds['conv+linear']:,}",
        )
    return table


def timings(records: Sequence[Record]) -> None:
    """Print what was timed, and what was counted and modelled instead."""
    if any(isinstance(record.result, Latency) for record in records):
        out.print(latencies(records))
    if any(isinstance(record.result, Instructions | Cycles) for record in records):
        out.print(emulated(records))


def emulated(records: Sequence[Record]) -> Table:
    """Return a table with cases down; what was counted on a core, and what a model makes of it if
    it was emulated.
    """
    counts = ("M instructions", "MB to memory", "ms, 1 thread", "95 %")
    table = new_table("network", "runtime", "precision", "core", *counts)
    table.add_column("kind")
    modelled = {_place(record): record for record in records if isinstance(record.result, Cycles)}
    for record in records:
        if isinstance(counted := record.result, Instructions):
            times = modelled.get(_place(record))
            cycles = times.result if times is not None else None
            time = cycles if isinstance(cycles, Cycles) and cycles.of_this_model else None
            interval = time.interval_ms if time else None
            kinds = (record.kind, times.kind if times is not None else "", counted.label)
            table.add_row(
                escape(record.case.network),
                record.case.runtime,
                record.case.precision,
                counted.core,
                f"{counted.work.instructions / 1e6:.1f}",
                f"{counted.memory_bytes / 1e6:.1f}" if counted.line_bytes else "",
                f"{time.milliseconds['1']:.3g}" if time else "",
                f"{interval[0]:.3g} to {interval[1]:.3g}" if interval else "",
                ", ".join(filter(None, kinds)),
            )
    return table


def _place(record: Record) -> Case:
    return replace(record.case, measure="")


def latencies(records: Sequence[Record]) -> Table:
    """Return a table with cases down, of one network the fastest first; median with its interval,
    tail, and how the figure was obtained.
    """
    table = new_table("network", "runtime", "precision", "threads", "median ms", "95 % interval")
    for name in ("long run", "P90", "minimum", "samples", "processes"):
        table.add_column(name, justify="right")
    table.add_column("kind")
    for record in _fastest_first(records):
        if isinstance(result := record.result, Latency):
            lower, upper = result.interval_ms
            p90 = f"{result.p90_ms:.3g}" if result.p90_ms is not None else "too few"
            long_run = long_run_ms(record)
            table.add_row(
                escape(record.case.network),
                record.case.runtime,
                record.case.precision,
                str(record.case.threads),
                f"{result.median_ms:.3g}",
                f"{lower:.3g} to {upper:.3g}",
                "{:.3g} to {:.3g}".format(*long_run) if long_run else "not known",
                p90,
                f"{result.minimum_ms:.3g}",
                str(len(result.samples_ms)),
                str(len(result.by_process)),
                " ".join(filter(None, (record.kind, result.label))),
            )
    return table


def _fastest_first(records: Sequence[Record]) -> list[Record]:
    """Return records by network, precision and threads as they came, then by median time."""
    groups: dict[tuple[str, str, int], list[Record]] = {}
    for record in records:
        case = record.case
        groups.setdefault((case.network, case.precision, case.threads), []).append(record)
    return [one for group in groups.values() for one in sorted(group, key=_median_ms)]


def _median_ms(record: Record) -> float:
    return record.result.median_ms if isinstance(record.result, Latency) else 0.0


def warn(records: Sequence[Record]) -> None:
    """Say on standard error how weights were read, which conditions fail, and what went wrong."""
    matched = {r.case.network: r.provenance.get("weights_matched", BY_NAME) for r in records}
    for network, how in matched.items():
        if how != BY_NAME:
            err.print(f"{network}: weights are matched {how}", markup=False, soft_wrap=True)
    for record in records:
        for check in record.failed_checks:
            err.print(f"{record.case}: {check.name}: no, {check.detail}", markup=False)
        if record.status != "ok":
            text = f"{record.case}: {record.status}: {record.reason}"
            err.print(text, markup=False, soft_wrap=True)
