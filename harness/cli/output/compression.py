"""Renders what became of weights that were compressed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich.markup import escape

from facebench.harness.cli.output import comparison
from facebench.harness.cli.output.terminal import new_table, out
from facebench.harness.comparison.compression import CompressedFile, Compression
from facebench.harness.comparison.verdict import Comparison, Line
from facebench.harness.records.accuracy import Accuracy
from facebench.harness.records.record import Record
from facebench.harness.verification.intervals import accuracy


def compression(found: Compression) -> None:
    """Print a row for each file: its size, and what it costs in accuracy."""
    scored = any(one.record for one in found.files)
    made = new_table("sparsity")
    columns = ["bits", "weights\nkept", "bytes", "times smaller\nthan fp32"]
    if scored:
        columns += ["accuracy %", "95 % interval", "difference", "95 % interval",
                    "decisions\nchanged", "verdict"]  # fmt: skip
    for name in columns:
        made.add_column(name, justify="right")
    blank = ["", "", f"{found.single_bytes:,}", ""]
    if scored:
        made.add_row("fp32", *blank, *_accuracy(found.records[0]), "", "", "", "")
    else:
        made.add_row("fp32", *blank)
    for one in found.files:
        row = [
            str(one.setting.bits),
            f"{one.kept:.1%}",
            f"{one.size_bytes:,}",
            f"{found.single_bytes / one.size_bytes:.1f}",
        ]
        made.add_row(f"{one.setting.sparsity:g}", *row, *(_scores(one) if scored else ()))
    out.print(made)
    if scored:
        out.print(
            "Differences are of the same pairs, corrected for all files. No runtime here is "
            "asked for kernels for zeros (--time shows what comes of them)."
        )
    for one in found.files:
        out.print(escape(str(one.path)), soft_wrap=True)


def times(comparisons: Sequence[Comparison]) -> None:
    """Print each file's times beside those of the weights as they were."""
    for one in comparisons:
        out.print(f"\n{one.new} beside {one.base}", style="bold", highlight=False)
        comparison.show(one)


def json(found: Compression, comparisons: Sequence[Comparison] = ()) -> dict[str, Any]:
    """Return it as an object."""
    timed = {one.new: [_time(line) for line in one.lines] for one in comparisons}
    return {
        "network": found.network.name,
        "weights": found.network.weights,
        "fp32_bytes": found.single_bytes,
        "files": [
            _file(one) | ({"times": timed[one.path.name]} if timed else {}) for one in found.files
        ],
    }


def _time(line: Line) -> dict[str, Any]:
    return {
        "runtime": line.case.runtime,
        "figure": line.figure,
        "unit": line.unit,
        "before": line.base,
        "now": line.new,
        "change": line.change,
        "interval": line.interval,
        "verdict": line.verdict,
    }


def _file(one: CompressedFile) -> dict[str, Any]:
    told: dict[str, Any] = {
        "path": str(one.path),
        "sparsity": one.setting.sparsity,
        "bits": one.setting.bits,
        "kept": one.kept,
        "bytes": one.size_bytes,
    }
    if one.record and isinstance(one.record.result, Accuracy):
        bounds = accuracy(one.record.result)
        told |= {"accuracy": one.record.result.accuracy, "interval": bounds and bounds.interval}
    if one.agreement:
        told |= {
            "difference": one.agreement.paired.difference,
            "difference_interval": one.agreement.paired.interval,
            "changed_decisions": one.agreement.changed,
            "adjusted_p": one.agreement.adjusted_p,
            "verdict": one.agreement.verdict,
        }
    return told


def _accuracy(record: Record | None) -> tuple[str, str]:
    if record is None or not isinstance(record.result, Accuracy):
        return "failed", ""
    bounds = accuracy(record.result)
    interval = bounds.interval if bounds else None
    between = f"{interval[0]:.2%} to {interval[1]:.2%}" if interval else ""
    return f"{record.result.accuracy:.2%}", between


def _scores(one: CompressedFile) -> tuple[str, ...]:
    found = one.agreement
    if found is None:
        return (*_accuracy(one.record), "", "", "", "")
    low, high = found.paired.interval
    return (
        *_accuracy(one.record),
        f"{found.paired.difference:+.2%}",
        "refused" if found.paired.refused else f"{low:+.2%} to {high:+.2%}",
        f"{found.changed:,} of {found.paired.pairs:,}",
        found.verdict,
    )
