from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from facebench.architectures.errors import BadInputError
from facebench.harness.comparison.baselines import Baselines
from facebench.harness.comparison.compare import compare
from facebench.harness.comparison.entry import Entry
from facebench.harness.comparison.sources import load
from facebench.harness.comparison.tools import pytest_benchmark
from facebench.harness.comparison.verdict import Verdict
from facebench.harness.records.case import Case
from facebench.harness.records.comparable import Timed
from facebench.harness.records.latency import Latency
from facebench.harness.records.record import Record
from facebench.harness.records.store import Store
from tests.harness.comparison.sides import HOSTILE, accuracy, cost, latency, side

SLEEPER = """
import time
def test_sleep(benchmark):
    benchmark.pedantic(time.sleep, args=(0.0005,), rounds=5, warmup_rounds=1)
"""


@pytest.fixture
def baselines(tmp_path: Path) -> Baselines:
    return Baselines(tmp_path / "baselines")


def foreign(folder: Path, name: str) -> Path:
    """A file as pytest-benchmark writes it."""
    folder.mkdir(parents=True, exist_ok=True)
    test = folder / "test_it.py"
    test.write_text(SLEEPER)
    path = folder / name
    command = [
        sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-c", "/dev/null",
        "--rootdir", str(folder), f"--benchmark-json={path}", str(test),
    ]  # fmt: skip
    # pytest-benchmark measures nothing in a worker of xdist's, which these tests may run in.
    alone = {name: value for name, value in os.environ.items() if "XDIST" not in name}
    subprocess.run(command, check=True, capture_output=True, cwd=folder, env=alone)
    return path


def timed(entry: Entry) -> Timed:
    (figure,) = entry.figures
    assert isinstance(figure, Timed)
    return figure


def test_a_results_file_and_the_folder_of_a_run_are_the_same(
    tmp_path: Path, baselines: Baselines
) -> None:
    result = Latency((1.0, 2.0), (), 1.0, 0.0, processes=(1, 1))
    record = Record(Case("latency", "m", runtime="ncnn"), "measured", "ok", result)
    Store(tmp_path / "run" / "records.jsonl").append(record)
    folder = load(str(tmp_path / "run"), baselines)
    file = load(str(tmp_path / "run" / "records.jsonl"), baselines)
    assert folder.entries == file.entries
    assert timed(file.entries[0]).medians == (1.0, 2.0)


def test_a_baseline_is_named_by_its_prefix(baselines: Baselines) -> None:
    baselines.save("main", [cost()])
    assert load("baseline:main", baselines).entries == tuple(baselines.load("main"))


def test_a_foreign_file_is_read_as_one_process_and_a_folder_of_them_as_several(
    tmp_path: Path, baselines: Baselines
) -> None:
    folder = tmp_path / "benchmarks"
    one = foreign(folder, "0001_a.json")
    alone = load(str(one), baselines)
    figure = timed(alone.entries[0])
    assert len(figure.medians) == 1
    assert 0.5 <= figure.medians[0] < 50
    assert figure.samples == (5,)
    assert alone.entries[0].case.network == "test_it.py::test_sleep"
    assert alone.entries[0].environment["python"] == sys.version.split()[0]
    (folder / "0002_b.json").write_text(one.read_text())
    assert len(timed(load(str(folder), baselines).entries[0]).medians) == 2
    (line,) = compare(alone, alone).lines
    assert line.verdict is Verdict.NOT_DECIDABLE


def test_what_is_written_for_pytest_benchmark_is_read_again_and_compares_the_same(
    tmp_path: Path, baselines: Baselines
) -> None:
    path = tmp_path / "times.json"
    path.write_text(json.dumps(pytest_benchmark.write([latency(), cost()])))
    (found,) = load(str(path), baselines).entries
    assert found.figures == latency().figures
    (line,) = compare(load(str(path), baselines), side(latency(5.5, seed=1))).lines
    assert line.verdict is Verdict.SLOWER


def test_its_own_tool_reads_what_is_written(tmp_path: Path) -> None:
    path = tmp_path / "times.json"
    data = pytest_benchmark.write([latency()])
    path.write_text(json.dumps(data))
    command = [str(Path(sys.executable).parent / "pytest-benchmark"), "compare", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "latency mobilefacenet onnxruntime" in done.stdout


def test_the_statistics_written_have_the_fields_and_values_of_its_own(tmp_path: Path) -> None:
    stats = json.loads(foreign(tmp_path, "a.json").read_text())["benchmarks"][0]["stats"]
    (made,) = pytest_benchmark.write([latency()])["benchmarks"]
    assert set(made["stats"]) == set(stats)
    medians = timed(latency()).medians
    assert made["stats"]["min"] == pytest.approx(min(medians) / 1e3)
    assert made["stats"]["data"] == pytest.approx([median / 1e3 for median in medians])


@pytest.mark.parametrize("network", HOSTILE)
def test_hostile_names_survive_pytest_benchmarks_json(network: str) -> None:
    named = latency(case=Case("latency", network, runtime="ncnn"))
    data = json.loads(json.dumps(pytest_benchmark.write([named])))
    assert pytest_benchmark.read(data)[0].case == named.case


@pytest.mark.parametrize(
    "benchmarks",
    [
        [3],
        [{}],
        [{"name": "a", "stats": {"median": "x", "rounds": 1}}],
        [{"name": "a", "stats": {"median": 0.0, "rounds": 1}}],
        [{"name": "a", "stats": {"median": float("nan"), "rounds": 1}}],
        [{"name": "a", "stats": {"median": 1.0}}],
        [{"name": "a", "extra_info": 3, "stats": {"median": 1.0, "rounds": 1}}],
        [{"name": "a", "extra_info": {"facebench": {"case": {"measure": 3}}}}],
        [{"name": "a", "extra_info": {"facebench": [1]}}],
    ],
)
def test_a_damaged_foreign_file_is_one_sentence(
    benchmarks: list[Any], tmp_path: Path, baselines: Baselines
) -> None:
    path = tmp_path / "a.json"
    path.write_text(json.dumps({"benchmarks": benchmarks}))
    with pytest.raises(BadInputError, match=r"a\.json is no JSON file of pytest-benchmark"):
        load(str(path), baselines)


def test_machine_info_of_any_sort_is_no_crash(tmp_path: Path, baselines: Baselines) -> None:
    path = tmp_path / "a.json"
    one = {"name": "a", "stats": {"median": 1.0, "rounds": 1}}
    machines: tuple[object, ...] = (None, {}, {"cpu": None}, {"cpu": {}})
    for machine in machines:
        path.write_text(json.dumps({"benchmarks": [one], "machine_info": machine}))
        assert load(str(path), baselines).entries
    path.write_text(json.dumps({"benchmarks": [one], "machine_info": "x"}))
    with pytest.raises(BadInputError):
        load(str(path), baselines)


def test_what_is_not_there_or_empty_is_one_sentence(tmp_path: Path, baselines: Baselines) -> None:
    with pytest.raises(BadInputError, match="give a file of records"):
        load(str(tmp_path / "none"), baselines)
    with pytest.raises(BadInputError, match="holds neither records.jsonl nor"):
        load(str(tmp_path), baselines)
    empty = tmp_path / "empty.jsonl"
    empty.touch()
    with pytest.raises(BadInputError, match="holds no records"):
        load(str(empty), baselines)
    empty.write_text("[]\n")
    with pytest.raises(BadInputError, match="is no results file: it is JSON"):
        load(str(empty), baselines)


def test_only_times_are_written_for_pytest_benchmark() -> None:
    assert pytest_benchmark.write([cost(), accuracy()])["benchmarks"] == []
