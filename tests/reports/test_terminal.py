from __future__ import annotations

import io
from dataclasses import replace

import pytest
from rich.console import Console

from facebench.harness.records.latency import Latency
from facebench.harness.records.record import Record
from facebench.reports.terminal import summary
from tests.reports.report_records import NETWORKS, hostile_run, latency, synthetic


def printed(records: list[Record], width: int = 120) -> str:
    stream = io.StringIO()
    Console(file=stream, width=width, force_terminal=False).print(summary(records))
    return stream.getvalue()


@pytest.mark.parametrize("width", [60, 80, 120, 200])
def test_a_full_run_fits_the_terminal_uncut(records: list[Record], width: int) -> None:
    text = printed(records, width)
    assert "…" not in text
    assert all(name in text for name in NETWORKS)
    assert all(len(line.rstrip()) <= width for line in text.splitlines())


def test_what_a_narrow_terminal_leaves_out_is_named_and_is_not_where_times_are_short(
    records: list[Record],
) -> None:
    text = printed(records, 80)
    (named,) = [line for line in text.splitlines() if line.startswith("In the report too: ")]
    assert "ncnn" not in named
    assert "onnxruntime" in named
    assert "In the report too" not in printed(records, 200)


def test_accuracy_on_drawn_faces_is_not_in_the_table() -> None:
    text = printed([latency("mobilefacenet", "ncnn"), synthetic("mobilefacenet")])
    assert "synth" not in text
    assert "%" not in text.splitlines()[4]


def test_it_shows_spread_refusals_and_untuned_code(records: list[Record]) -> None:
    text = printed(records)
    assert "2.25±0.01" in text
    assert "refused" in text
    assert "failed" in text
    assert "untuned" in text


def test_hostile_names_do_not_reach_the_terminal() -> None:
    text = printed(hostile_run())
    assert "\x07" not in text
    assert "\u202e" not in text


def test_operators_that_a_runtime_does_not_delegate_are_named() -> None:
    made = latency("shufflenet_v1", "ncnn")
    assert isinstance(made.result, Latency)
    left = replace(made, result=replace(made.result, label="not delegated: avg_pool2d"))
    text = " ".join(printed([left, latency("mobilefacenet", "ncnn")]).split())
    assert "ncnn, not delegated: avg_pool2d (in shufflenet_v1)." in text
    assert "untuned" not in text
