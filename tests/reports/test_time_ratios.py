"""A time is faster than another where processes, runs and the machine leave no doubt of it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from facebench.harness.records.latency import Latency
from facebench.harness.records.record import Check, Record
from facebench.reports.tables import latency_rows
from facebench.reports.time_ratios import fastest, time_ratio
from tests.reports.report_records import latency


def timed(runtime: str, ms: float, processes: int = 4, run: str = "one") -> Record:
    """Processes that are 0.1 % apart."""
    made = latency("mobilefacenet", "ncnn")
    assert isinstance(made.result, Latency)
    draw = np.random.default_rng(processes)
    medians = ms * np.exp(0.001 * draw.normal(size=processes))
    samples = tuple(np.repeat(medians, 16).tolist())
    result = replace(made.result, samples_ms=samples, processes=(16,) * processes)
    case = replace(made.case, runtime=runtime)
    return replace(made, case=case, result=result, provenance=made.provenance | {"run": run})


def fastest_of(*records: Record) -> str:
    best = fastest(latency_rows(records))
    return best.setting.runtime if best else ""


def test_the_fastest_is_faster_than_each_other_one() -> None:
    a, b, c = timed("a", 5.0), timed("b", 5.2), timed("c", 9.0)
    assert fastest_of(b, a, c) == "a"
    assert fastest_of(a, timed("b", 5.0), c) == ""
    assert fastest_of(a) == ""


def test_single_processes_and_other_runs_rank_only_what_is_far_apart() -> None:
    assert fastest_of(timed("a", 5.0, 1), timed("b", 5.2, 1)) == ""
    assert fastest_of(timed("a", 5.0, 1), timed("b", 6.0, 1)) == "a"
    assert fastest_of(timed("a", 5.0), timed("b", 5.5, run="two")) == ""
    assert fastest_of(timed("a", 5.0), timed("b", 8.0, run="two")) == "a"


def test_a_disturbed_machine_ranks_nothing() -> None:
    slow = replace(timed("b", 5.2), checks=(Check("machine kept its speed", False, "1.4 times"),))
    assert fastest_of(timed("a", 5.0), slow) == ""


@pytest.mark.parametrize("runs", ["aa", "ab"])
@pytest.mark.parametrize("processes", [1, 4])
def test_the_surer_the_wider(runs: str, processes: int) -> None:
    one, other = (timed("a", ms, processes, run) for ms, run in zip((5.0, 4.0), runs, strict=True))
    found = [time_ratio(one, other, confidence) for confidence in (0.5, 0.95, 0.99, 0.9999)]
    lows, highs = [one.low for one in found], [one.high for one in found]
    assert lows == sorted(lows, reverse=True)
    assert highs == sorted(highs)
    assert all(one.low < one.value < one.high for one in found)
