"""Files as the tools' documentation shows them, and what is to come of them.

hyperfine's and asv's are written by the tools themselves where they are installed.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from facebench.architectures.errors import BadInputError
from facebench.harness.comparison.baselines import Baselines
from facebench.harness.comparison.compare import compare
from facebench.harness.comparison.entry import Entry
from facebench.harness.comparison.sources import load
from facebench.harness.comparison.tools.registry import TOOLS
from facebench.harness.comparison.verdict import Verdict
from facebench.harness.records.comparable import Timed
from facebench.harness.records.latency import Latency
from facebench.reports.exchange.registry import Destination, convert
from tests.reports.report_records import latency

from ..command_line import facebench

Data = Any


def read(path: Path, data: Data) -> tuple[Entry, ...]:
    path.parent.mkdir(exist_ok=True, parents=True)
    path.write_text(data if isinstance(data, str) else json.dumps(data))
    return load(str(path), Baselines(path.parent / "none")).entries


def times(entries: tuple[Entry, ...]) -> dict[str, tuple[float, ...]]:
    return {
        entry.case.network: figure.medians
        for entry in entries
        for figure in entry.figures
        if isinstance(figure, Timed)
    }


CONTEXT = {
    "date": "2026-11-20T10:00:00+00:00", "host_name": "builder", "executable": "./bench",
    "num_cpus": 8, "mhz_per_cpu": 2400, "cpu_scaling_enabled": False, "caches": [],
    "load_avg": [0.1, 0.2, 0.3], "library_build_type": "release",
}  # fmt: skip


def google(*runs: dict[str, Any], **context: Any) -> dict[str, Any]:
    return {"context": CONTEXT | context, "benchmarks": list(runs)}


def run(name: str, time: float, unit: str = "ns", **others: Any) -> dict[str, Any]:
    return {
        "name": name, "family_index": 0, "per_family_instance_index": 0, "run_name": name,
        "run_type": "iteration", "repetitions": 1, "repetition_index": 0, "threads": 1,
        "iterations": 100, "real_time": time, "cpu_time": time / 2, "time_unit": unit,
    } | others  # fmt: skip


def aggregate(name: str, kind: str, time: float) -> dict[str, Any]:
    made = run(f"{name}_{kind}", time, run_name=name, run_type="aggregate", repetitions=5)
    return made | {"aggregate_name": kind, "aggregate_unit": "time"}


@pytest.mark.parametrize(
    ("unit", "milliseconds"), [("ns", 2e-6), ("us", 2e-3), ("ms", 2.0), ("s", 2000.0)]
)
def test_google_benchmark_by_any_unit(unit: str, milliseconds: float, tmp_path: Path) -> None:
    (entry,) = read(tmp_path / "a.json", google(run("BM_Conv/64", 2.0, unit)))
    assert times((entry,)) == {"BM_Conv/64": (pytest.approx(milliseconds),)}
    assert entry.environment == {"host": "builder", "cores": 8}
    assert (entry.doubts, entry.case.runtime) == ((), "Google Benchmark")


def test_repetitions_of_google_benchmark_are_one_process(tmp_path: Path) -> None:
    three = [run("BM_A", t, "ms", repetition_index=i) for i, t in enumerate((1.0, 2.0, 9.0))]
    (entry,) = read(tmp_path / "a.json", google(*three, aggregate("BM_A", "mean", 4.0)))
    (figure,) = entry.figures
    assert isinstance(figure, Timed)
    assert (figure.medians, figure.samples) == ((2.0,), (3,))


def test_google_benchmark_of_aggregates_only(tmp_path: Path) -> None:
    kinds = (("mean", 5e6), ("median", 4e6), ("stddev", 1.0), ("cv", 0.1))
    written = [aggregate("BM_A", kind, time) for kind, time in kinds]
    fitted = {"name": "BM_A_BigO", "run_name": "BM_A_all", "run_type": "aggregate",
              "aggregate_name": "BigO", "cpu_coefficient": 1.0, "real_coefficient": 1.0,
              "big_o": "N", "time_unit": "ns"}  # fmt: skip
    assert times(read(tmp_path / "a.json", google(*written, fitted))) == {"BM_A": (4.0,)}


def test_google_benchmark_that_failed_is_a_case_that_fails(tmp_path: Path) -> None:
    broken = run("BM_A", 0.0, error_occurred=True, error_message="no file")
    old = read(tmp_path / "old.json", google(run("BM_A", 1.0)))
    new = read(tmp_path / "new.json", google(broken))
    assert (new[0].status, new[0].reason) == ("failed", "no file")
    baselines = Baselines(tmp_path / "none")
    found = compare(*(load(str(tmp_path / f"{n}.json"), baselines) for n in ("old", "new")))
    assert [line.verdict for line in found.lines] == [Verdict.BROKEN]
    assert old[0].status == "ok"


def test_a_debug_build_and_a_free_clock_are_doubts(tmp_path: Path) -> None:
    data = google(run("BM_A", 1.0), library_build_type="debug", cpu_scaling_enabled=True)
    (entry,) = read(tmp_path / "a.json", data)
    assert len(entry.doubts) == 2


def hyperfine(*commands: dict[str, Any]) -> dict[str, Any]:
    return {"results": list(commands)}


def command(name: str, seconds: list[float], **others: Any) -> dict[str, Any]:
    return {
        "command": name, "mean": 1.0, "stddev": None, "median": 1.0, "user": 0.1, "system": 0.1,
        "min": 1.0, "max": 1.0, "times": seconds, "exit_codes": [0] * len(seconds),
    } | others  # fmt: skip


def test_each_run_of_hyperfine_is_a_process(tmp_path: Path) -> None:
    two = hyperfine(command("a 1", [0.1, 0.2]), command("a 2", [0.3]))
    assert times(read(tmp_path / "a.json", two)) == {
        "a 1": pytest.approx((100.0, 200.0)),
        "a 2": pytest.approx((300.0,)),
    }


def test_hyperfine_whose_command_failed_is_doubted(tmp_path: Path) -> None:
    (entry,) = read(tmp_path / "a.json", hyperfine(command("a", [0.1, 0.2], exit_codes=[0, 1])))
    assert entry.doubts == ("1 of 2 runs ended with an error",)


def test_hyperfine_of_version_2(tmp_path: Path) -> None:
    runs = [{"time_wall_clock": {"value": t, "unit": "second"}, "exit_code": 0} for t in (1, 2)]
    data = {"schema_version": 2, "metadata": {}, "primary_metric": "time_wall_clock",
            "results": [{"command": "sleep 1", "name": "one", "measurements": runs}]}  # fmt: skip
    assert times(read(tmp_path / "a.json", data)) == {"one": (1000.0, 2000.0)}


@pytest.mark.skipif(shutil.which("hyperfine") is None, reason="hyperfine is not installed")
def test_what_hyperfine_writes(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    subprocess.run(["hyperfine", "-r3", "-N", "--export-json", path, "sleep 0.01"], check=True)
    (medians,) = times(read(path, path.read_text())).values()
    assert len(medians) == 3
    assert all(9 < median < 1000 for median in medians)


COLUMNS = [
    "result", "params", "version", "started_at", "duration", "stats_ci_99_a", "stats_ci_99_b",
    "stats_q_25", "stats_q_75", "stats_number", "stats_repeat", "samples", "profile",
]  # fmt: skip


def asv(results: dict[str, Any], commit: str = "c" * 40) -> str:
    data = {
        "commit_hash": commit, "env_name": "virtualenv-py3.11", "date": 1_700_000_000_000,
        "params": {"arch": "x86_64", "cpu": "a CPU", "machine": "builder", "num_cpu": "8",
                   "os": "Linux 6.1", "python": "3.11", "ram": "16"},
        "python": "3.11", "requirements": {}, "env_vars": {}, "result_columns": COLUMNS,
        "results": results, "durations": {}, "version": 2,
    }  # fmt: skip
    return json.dumps(data)  # NaN as it is, which asv writes too


def test_asv_by_parameters(tmp_path: Path) -> None:
    rows = {
        "suite.time_conv": [[0.5, 0.25, None, float("nan")], [["1", "2"], ["'a'", "'b'"]], "v1"],
        "suite.Group.time_all": [[0.001], [], "v2", 1, 2.0, [0.1], [0.1], [0.1], [0.1], [3], [2],
                                 [[0.001, 0.001]]],
        "suite.peakmem_all": [[1e6], [], "v3"],
    }  # fmt: skip
    found = read(tmp_path / "a.json", asv(rows))
    assert times(found) == {
        "suite.time_conv(1, 'a')": (500.0,),
        "suite.time_conv(1, 'b')": (250.0,),
        "suite.Group.time_all": (1.0,),
    }
    status = {entry.case.network: entry.status for entry in found}
    assert status["suite.time_conv(2, 'a')"] == "failed"
    assert "suite.time_conv(2, 'b')" not in status  # asv was told to leave it out
    assert status["suite.peakmem_all"] == "refused"
    assert found[0].environment["cpu_model"] == "a CPU"


def test_asv_of_other_code_of_the_benchmark_is_set_apart(tmp_path: Path) -> None:
    sides = []
    for version in ("v1", "v2"):
        path = tmp_path / f"{version}.json"
        path.write_text(asv({"time_a": [[0.5], [], version]}))
        sides.append(load(str(path), Baselines(tmp_path / "none")))
    (line,) = compare(*sides).lines
    assert line.verdict is Verdict.NOT_COMPARABLE
    assert "benchmark v1" in line.reason


def test_a_folder_of_several_commits_is_refused(tmp_path: Path) -> None:
    for commit in ("a" * 40, "b" * 40):
        (tmp_path / f"{commit}.json").write_text(asv({"time_a": [[0.5], [], "v"]}, commit))
    with pytest.raises(BadInputError, match="several commits"):
        load(str(tmp_path), Baselines(tmp_path / "none"))


def test_github_action_benchmark(tmp_path: Path) -> None:
    figures = [
        {"name": "ours", "unit": "ms", "value": 4.5, "range": "± 0.1", "extra": "measured"},
        {"name": "go", "unit": "ns/op", "value": 2e6},
        {"name": "rust", "unit": "ns/iter", "value": 3e6},
        {"name": "pytest", "unit": "iter/sec", "value": 200},
        {"name": "load", "unit": "Percent", "value": 50},
    ]
    found = read(tmp_path / "a.json", figures)
    assert times(found) == {
        "ours": (4.5,), "go": pytest.approx((2.0,)), "rust": pytest.approx((3.0,)),
        "pytest": (5.0,),
    }  # fmt: skip
    assert found[-1].status == "refused"
    assert "Percent" in found[-1].reason


def test_the_newest_of_a_history_is_taken(tmp_path: Path) -> None:
    runs = [
        {"commit": {"id": c}, "date": date, "tool": "customSmallerIsBetter",
         "benches": [{"name": "a", "unit": "ms", "value": value}]}
        for c, date, value in (("old", 1, 1.0), ("new", 3, 3.0), ("middle", 2, 2.0))
    ]  # fmt: skip
    history = {"lastUpdate": 3, "repoUrl": "https://example.org", "entries": {"suite": runs}}
    (entry,) = read(tmp_path / "a.json", history)
    assert (times((entry,)), entry.revision) == ({"suite: a": (3.0,)}, "new")


def mlperf(*results: dict[str, Any]) -> dict[str, Any]:
    phone = {"os_version": "14", "manufacturer": "A", "model_code": "B", "model_name": "Phone 1",
             "board_code": "c", "proc_cpuinfo_soc_name": "SoC 8", "props": []}  # fmt: skip
    return {
        "meta": {"uuid": "0", "creation_date": "2026-11-20T10:00:00", "upload_date": None},
        "results": list(results),
        "environment_info": {
            "platform": "android", "value": {"android": phone, "ios": None, "windows": None},
        },
        "build_info": {
            "version": "5.0", "build_number": "1", "build_date": "2026-11-01T10:00:00",
            "official_release_flag": True, "dev_test_flag": False, "backend_list": ["lib"],
            "git_branch": "main", "git_commit": "abc", "git_dirty_flag": False,
        },
    }  # fmt: skip


def benchmark(name: str, scenario: str = "SingleStream", **run: Any) -> dict[str, Any]:
    loadgen = {
        "query_count": 2048, "latency_mean": 0.004, "latency90": 0.005,
        "is_min_duration_met": True, "is_min_query_met": True, "is_early_stopping_met": True,
        "is_token_based": False, "is_result_valid": True,
    }  # fmt: skip
    timed = {
        "throughput": {"value": 200.0}, "accuracy": None, "accuracy2": None,
        "dataset": {"name": "d", "type": "IMAGENET", "data_path": "", "groundtruth_path": ""},
        "measured_duration": 60.0, "measured_samples": 2048,
        "start_datetime": "2026-11-20T10:00:00", "loadgen": loadgen,
    }  # fmt: skip
    return {
        "benchmark_id": name, "benchmark_name": "Image", "loadgen_scenario": scenario,
        "backend_settings": {
            "accelerator_code": "cpu", "accelerator_desc": "CPU", "framework": "TFLite",
            "delegate": "XNNPACK", "model_path": "m.tflite", "batch_size": 1, "extra_settings": [],
        },
        "backend_info": {"filename": "lib", "vendor_name": "G", "backend_name": "TFLite",
                         "accelerator_name": "CPU"},
        "performance_run": timed | run, "accuracy_run": None,
        "min_duration": 60.0, "min_samples": 1024,
    }  # fmt: skip


def test_mlperf_mobile_by_scenario(tmp_path: Path) -> None:
    old = benchmark("old", loadgen=None, throughput={"value": 500.0})
    offline = benchmark("off", "Offline", throughput={"value": 1000.0})
    accuracy = benchmark("accuracy") | {"performance_run": None}
    found = read(tmp_path / "a.json", mlperf(benchmark("one"), old, offline, accuracy))
    assert times(found) == {
        # The score is the 90th percentile, which is one over the throughput that is shown.
        "one, SingleStream, TFLite, CPU": (pytest.approx(5.0),),
        "old, SingleStream, TFLite, CPU": (pytest.approx(2.0),),
        "off, Offline, TFLite, CPU": (pytest.approx(1.0),),
    }
    assert found[-1].status == "refused"
    assert found[0].environment == {"host": "Phone 1", "system": "14", "cpu_model": "SoC 8"}
    assert (found[0].revision, found[0].doubts) == ("abc", ())


def test_mlperf_mobile_that_is_not_valid_is_doubted(tmp_path: Path) -> None:
    whole = benchmark("one")["performance_run"]["loadgen"]
    short = whole | {"is_min_duration_met": False, "is_result_valid": False}
    (entry,) = read(tmp_path / "a.json", mlperf(benchmark("one", loadgen=short)))
    assert len(entry.doubts) == 2
    tokens = benchmark("llm", loadgen=whole | {"is_token_based": True})
    assert read(tmp_path / "b.json", mlperf(tokens))[0].status == "refused"


def test_nn_meter_by_groups(tmp_path: Path) -> None:
    data = {
        "conv-bn-relu": {"id_0": {"latency": "12.5 +- 0.25"}, "id_1": {"latency": "0 +- 0"}},
        "networks": {"face": {"latency": "4.0 +- 1e-05", "model": "face.tflite"}},
    }
    found = read(tmp_path / "a.json", data)
    assert times(found) == {"conv-bn-relu: id_0": (12.5,), "networks: face": (4.0,)}
    assert [entry.status for entry in found] == ["ok", "failed", "ok"]


def test_what_facebench_writes_for_nn_meter_is_read_again(tmp_path: Path) -> None:
    made = latency("mobilefacenet", "ncnn")
    convert([made], "nn-meter", Destination(tmp_path / "a.json"))
    ((mean,),) = times(read(tmp_path / "a.json", (tmp_path / "a.json").read_text())).values()
    assert isinstance(made.result, Latency)
    assert mean == pytest.approx(sum(made.result.samples_ms) / len(made.result.samples_ms))


EXAMPLES: dict[str, Data] = {
    "Google Benchmark": google(run("a", 1.0)),
    "hyperfine": hyperfine(command("a", [0.1])),
    "asv": json.loads(asv({"time_a": [[0.5], [], "v"]})),
    "github-action-benchmark": [{"name": "a", "unit": "ms", "value": 1.0}],
    "MLPerf Mobile": mlperf(benchmark("a")),
    "nn-Meter": {"a": {"a": {"latency": "1.5 +- 0.1"}}},
    "pytest-benchmark": {"benchmarks": [{"name": "a", "stats": {"median": 1.0, "rounds": 1}}]},
}


def test_each_tool_has_an_example_that_no_other_takes() -> None:
    assert set(EXAMPLES) == set(TOOLS.names())
    for name, data in EXAMPLES.items():
        assert [tool.name for tool in TOOLS if tool.is_one(data)] == [name]


@pytest.mark.parametrize("name", EXAMPLES)
def test_one_file_of_each_side_is_weak_evidence(name: str, tmp_path: Path) -> None:
    for side in ("a", "b"):
        read(tmp_path / f"{side}.json", EXAMPLES[name])
    found = compare(*(load(str(tmp_path / f"{s}.json"), Baselines(tmp_path)) for s in "ab"))
    assert [line.verdict for line in found.lines] == [Verdict.NOT_DECIDABLE]


# What else may stand where a value does.
WRONG = st.sampled_from([None, "x", -1.0, 0, [], {}, [[]], {"a": 1}, True, float("inf")])


def places(data: Data, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inner = (
        data.items()
        if isinstance(data, dict)
        else enumerate(data)
        if isinstance(data, list)
        else ()
    )
    return [path, *(place for key, value in inner for place in places(value, (*path, key)))]


def with_other(data: Data, path: tuple[Any, ...], other: Data) -> Data:
    if not path:
        return other
    changed = dict(data) if isinstance(data, dict) else list(data)
    changed[path[0]] = with_other(data[path[0]], path[1:], other)
    return changed


@given(name=st.sampled_from(sorted(EXAMPLES)), data=st.data(), other=WRONG)
@settings(deadline=None, max_examples=60)
def test_a_file_with_anything_else_in_it_is_read_or_refused_in_a_sentence(
    name: str, data: st.DataObject, other: Data, tmp_path_factory: pytest.TempPathFactory
) -> None:
    place = data.draw(st.sampled_from(places(EXAMPLES[name])))
    path = tmp_path_factory.mktemp("tool") / "a.json"
    try:
        found = read(path, json.dumps(with_other(EXAMPLES[name], place, other)))
    except BadInputError as error:
        told = str(error)
        found = ()
    else:
        told = "a.json"
    assert "a.json" in told
    assert "line 1" not in told
    assert all(0 < value < float("inf") for medians in times(found).values() for value in medians)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('{"metrics": {"a": 1}, "tool": "k6"}', "JSON that no known tool writes .it has metrics"),
        ("[]", "JSON that no known tool writes"),
        ('{\n  "context": {', "no whole JSON text"),
        ('{"Action":"run"}\n{"Action":"pass"}\n', "no whole JSON text"),
        ("command,mean,stddev\na,1,2\n", "no JSON"),
        ("<testsuites></testsuites>", "no JSON"),
    ],
)
def test_a_file_of_no_known_tool_is_named_as_what_it_is(
    text: str, told: str, tmp_path: Path
) -> None:
    with pytest.raises(BadInputError, match=f"a.json is no results file: it is {told}.*hyperfine"):
        read(tmp_path / "a.json", text)


def test_a_file_that_names_a_benchmark_twice_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match=r"a\.json names a benchmark twice"):
        read(tmp_path / "a.json", hyperfine(command("a", [0.1]), command("a", [0.2])))


@pytest.mark.parametrize("name", EXAMPLES)
def test_a_renamed_benchmark_is_not_compared_and_says_so(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = json.dumps(EXAMPLES[name])
    renamed = text.replace('"a"', '"b"').replace("time_a", "time_b")
    (tmp_path / "old.json").write_text(text)
    (tmp_path / "new.json").write_text(renamed)
    assert facebench("compare", tmp_path / "old.json", tmp_path / "new.json") == 2
    assert "no case in common" in capsys.readouterr().err
