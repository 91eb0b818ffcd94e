"""What a report of ten thousand records takes; a lab's sweep is not larger."""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from pathlib import Path

from pytest_benchmark.fixture import BenchmarkFixture

from facebench.harness.records.cost import Cost
from facebench.harness.records.record import Record
from facebench.reports.render import render
from tests.reports.report_records import BASE_MS, cost, latency

RECORDS = 10_000


def sized(record: Record, times: float) -> Record:
    """The record of a network of so many times the MAdds."""
    assert isinstance(record.result, Cost)
    madds = {name: int(times * count) for name, count in record.result.madds.items()}
    return replace(record, result=replace(record.result, madds=madds))


def sweep() -> list[Record]:
    """Networks of a cost and a latency in each runtime with one and two threads."""
    made: list[Record] = []
    number = 0
    while len(made) < RECORDS:
        name = f"onnx:network-{number}"
        made.append(sized(cost(name), 0.2 + number % 40 / 10))
        made += [latency(name, runtime, threads) for runtime, threads in product(BASE_MS, (1, 2))]
        number += 1
    return made[:RECORDS]


def test_render_ten_thousand_records(benchmark: BenchmarkFixture, tmp_path: Path) -> None:
    records = sweep()
    files = benchmark.pedantic(render, (records, tmp_path), rounds=3)
    benchmark.extra_info["bytes of the page"] = files[0].stat().st_size
