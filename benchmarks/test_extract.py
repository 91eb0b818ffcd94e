"""What entries of long results files take: four times the records, four times as long."""

from __future__ import annotations

from dataclasses import replace

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from facebench.harness.comparison.extract import entries
from facebench.harness.records.record import Record
from tests.reports.report_records import latency


def history(count: int, cases: int) -> list[Record]:
    """Records of so many cases in turn, each a repetition of the one before."""
    made = [latency(f"onnx:network-{number}", "ncnn", 1) for number in range(cases)]
    return [replace(made[number % cases], fingerprint="f") for number in range(count)]


@pytest.mark.parametrize("share", [1.0, 0.025], ids=["cases", "repetitions"])
@pytest.mark.parametrize("count", [1_000, 4_000])
def test_entries_of_thousands_of_records(
    benchmark: BenchmarkFixture, count: int, share: float
) -> None:
    cases = int(share * count)
    found = benchmark.pedantic(entries, (history(count, cases),), rounds=5, warmup_rounds=1)
    assert len(found) == cases
