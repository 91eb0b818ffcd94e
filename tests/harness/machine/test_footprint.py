"""What a process took beside its times: from the stand to the record, the terminal and compare."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from facebench.harness.cli.output.start import starts, throughputs
from facebench.harness.comparison.extract import entry
from facebench.harness.machine.energy import why_not
from facebench.harness.models import networks
from facebench.harness.models.export import Exported
from facebench.harness.models.networks import Network
from facebench.harness.records.comparable import PEAK_MEMORY
from facebench.harness.records.latency import Latency
from facebench.harness.runtimes.session import LocalSession
from facebench.harness.timing.sampler import Budget
from tests.harness.command_line import facebench
from tests.reports.report_records import beside_time, latency, started


def test_a_stand_says_how_it_started(tiny_exported: Exported) -> None:
    stand = LocalSession("onnxruntime", tiny_exported.onnx, 1)
    stand.sample(tiny_exported.reference()[0][:1], Budget(0.05, 0.01))
    footprint, no_energy = stand.footprint()
    assert footprint.open_ms is not None
    assert 0 < footprint.open_ms <= stand.load_ms
    assert footprint.first_ms is not None
    assert footprint.first_ms > 0
    assert footprint.memory is not None
    memory = footprint.memory
    assert 0 < memory.before_bytes <= memory.loaded_bytes <= memory.sampled_bytes
    assert no_energy == why_not()
    assert (footprint.energy is None) == bool(no_energy)


def test_figures_are_medians_of_the_processes_that_tell() -> None:
    result = started("mobilefacenet", "ncnn", energy=True).result
    assert isinstance(result, Latency)
    assert result.import_ms == 120.5
    assert result.added_bytes == 15_000_000.5
    assert result.joules == pytest.approx(0.06)
    assert result.net_joules == pytest.approx(0.035)
    silent = latency("mobilefacenet", "ncnn").result
    assert isinstance(silent, Latency)
    assert silent.import_ms is silent.added_bytes is silent.joules is None


def test_memory_is_compared_and_is_no_exact_count() -> None:
    figures = {one.name: one for one in entry(started("mobilefacenet", "ncnn")).figures}
    assert figures[PEAK_MEMORY].value == 15_000_000.5
    assert not figures[PEAK_MEMORY].exact  # type: ignore[union-attr]
    assert PEAK_MEMORY not in {f.name for f in entry(latency("mobilefacenet", "ncnn")).figures}


def test_tables_of_start_and_of_throughput() -> None:
    assert starts([latency("mobilefacenet", "ncnn")]) is None
    table = starts([started("mobilefacenet", "ncnn", energy=True)])
    assert table is not None
    heads = [str(column.header) for column in table.columns]
    assert heads[-2:] == ["mJ an inference", "above idle"]
    rates = throughputs(beside_time())
    assert [str(column.header) for column in rates.columns][-2:] == ["1 thread", "2 threads"]
    assert "refused" in list(rates.columns[4].cells)


@pytest.fixture
def face(tiny_onnx: Path) -> Network:
    return networks.resolve(f"onnx:{tiny_onnx}")


def test_throughput_against_batch_and_threads(
    face: Network, cache_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = facebench(
        "throughput", f"onnx:{face.path}", "--runtime", "onnxruntime,ncnn", "--batch", "1,2",
        "--seconds", "0.05", "--json",
    )  # fmt: skip
    assert code == 0
    found = json.loads(capsys.readouterr().out)
    assert [(one["runtime"], one["batch"], one["status"]) for one in found] == [
        ("onnxruntime", 1, "ok"), ("onnxruntime", 2, "ok"),
        ("ncnn", 1, "ok"), ("ncnn", 2, "refused"),
    ]  # fmt: skip


@pytest.mark.parametrize("batch", ["", "0", "x", "1,,2000", "-1"])
def test_batches_that_are_none_are_refused(
    face: Network, batch: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert facebench("throughput", f"onnx:{face.path}", "--batch", batch) == 2
    assert "whole numbers from 1 to 1024" in capsys.readouterr().err
