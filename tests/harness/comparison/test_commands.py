"""compare, baseline and history as their users and their pipelines see them."""

from __future__ import annotations

import json
import re
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from facebench.architectures.registry import mobile_names
from facebench.harness.comparison.baselines import FOLDER, Baselines
from facebench.harness.records.latency import Latency
from facebench.harness.records.record import Record
from facebench.harness.records.store import Store
from facebench.harness.runs.plan import load
from tests.harness.command_line import facebench
from tests.harness.comparison.sides import ENVIRONMENT, HOSTILE, LATENCY, latency, processes
from tests.harness.comparison.sides import cost as cost_entry
from tests.places import ROOT
from tests.reports.report_records import cost, emulated

Output = pytest.CaptureFixture[str]


def write(path: Path, ms: float = 5.0, seed: int = 0, **fields: object) -> Path:
    """A results file: a time of ten jobs, what was counted, and what was emulated."""
    store = Store(path)
    for median in processes(ms, seed=seed):
        result = Latency((0.99 * median, median, 1.02 * median), (), 1.0, 0.0, processes=(3,))
        given: dict[str, Any] = {"status": "ok", "result": result, "environment": ENVIRONMENT}
        made = {**given, "fingerprint": "f", **fields}
        store.append(Record(LATENCY, "measured", **made))
    for record in (cost("mobilefacenet"), *emulated("mobilefacenet")):
        store.append(record)
    return path


@pytest.fixture
def base(tmp_path: Path) -> Path:
    return write(tmp_path / "base.jsonl")


@pytest.fixture
def same(tmp_path: Path) -> Path:
    return write(tmp_path / "same.jsonl", seed=1)


@pytest.fixture
def slow(tmp_path: Path) -> Path:
    return write(tmp_path / "slow.jsonl", 5.4, seed=1)


def test_the_exit_code_says_whether_there_is_a_regression(
    base: Path, same: Path, slow: Path, capfd: Output
) -> None:
    assert facebench("compare", base, same) == 0
    assert facebench("compare", base, slow) == 1
    assert facebench("compare", slow, base) == 0
    assert facebench("compare", base, slow, "--margin", "20%") == 0
    assert facebench("compare", base, "nowhere") == 2
    assert capfd.readouterr().err.count("no results file nowhere") == 1


def test_two_sides_without_a_case_in_common_are_an_error(
    base: Path, tmp_path: Path, capfd: Output
) -> None:
    other = tmp_path / "other.jsonl"
    Store(other).append(cost("mobilenet_v2"))
    assert facebench("compare", base, other) == 2
    told = capfd.readouterr()
    assert told.out == ""
    assert len(told.err.splitlines()) == 1
    for part in (
        "no case in common",
        "BASE has latency mobilefacenet",
        "NEW has cost mobilenet_v2",
    ):
        assert part in told.err
    assert facebench("compare", base, other, "--measure", "cost") == 2


def test_two_sides_of_which_nothing_can_be_compared_are_an_error(
    base: Path, tmp_path: Path, capfd: Output
) -> None:
    older = write(tmp_path / "o.jsonl", environment={**ENVIRONMENT, "onnxruntime": "1.19.0"})
    assert facebench("compare", older, base) == 0, "counts are compared"
    capfd.readouterr()
    assert facebench("compare", older, base, "--measure", "latency") == 2
    told = capfd.readouterr()
    assert "not comparable" in told.out
    assert len(told.err.splitlines()) == 1
    for part in ("nothing could be compared: latency mobilefacenet", "--across versions allows"):
        assert part in told.err


def of_pytest_benchmark(path: Path, seconds: float) -> Path:
    """A file as that tool leaves one, of a function of 100 rounds in one process."""
    stats = {"median": seconds, "rounds": 100}
    one = {"fullname": "tests/test_it.py::test_it", "name": "test_it", "stats": stats}
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps({"benchmarks": [one], "machine_info": {"machine": "x86_64"}}))
    return path


def test_one_json_of_pytest_benchmark_a_side_finds_what_is_three_times_slower(
    tmp_path: Path, capfd: Output
) -> None:
    before = of_pytest_benchmark(tmp_path / "before.json", 0.010)
    assert facebench("compare", before, of_pytest_benchmark(tmp_path / "after.json", 0.030)) == 1
    assert "slower" in capfd.readouterr().out
    # Two CI jobs may differ so: it says what would have been found, and what else to do.
    assert facebench("compare", before, of_pytest_benchmark(tmp_path / "a.json", 0.012)) == 0
    out = capfd.readouterr().out
    assert "not decidable" in out
    assert "slow-downs of +" in out
    assert "git:BASE git:NEW" in out
    assert facebench("compare", before, tmp_path / "a.json", "--between-jobs", "1%") == 1
    assert facebench("compare", before, tmp_path / "a.json", "--between-jobs", "x") == 2


def test_a_folder_of_json_files_is_as_many_jobs(tmp_path: Path, capfd: Output) -> None:
    for number in range(4):
        of_pytest_benchmark(tmp_path / "before" / f"{number}.json", 0.010 + number * 1e-5)
        of_pytest_benchmark(tmp_path / "after" / f"{number}.json", 0.0105 + number * 1e-5)
    assert facebench("compare", tmp_path / "before", tmp_path / "after") == 1
    assert "taken to differ" not in capfd.readouterr().out


def test_a_case_that_fails_now_is_a_regression(base: Path, tmp_path: Path, capfd: Output) -> None:
    broken = write(tmp_path / "b.jsonl", status="failed", result=None, reason="it was killed")
    assert facebench("compare", base, broken) == 1
    assert "NEW: failed: it was killed" in capfd.readouterr().out


def test_people_read_the_change_its_interval_its_kind_and_why(
    base: Path, slow: Path, capfd: Output
) -> None:
    facebench("compare", base, slow)
    out = capfd.readouterr().out
    row = next(line for line in out.splitlines() if "5.4" in line)
    for part in ("latency mobilefacenet onnxruntime", " % to +", "measured", "slower"):
        assert part in row
    assert "slower: latency mobilefacenet onnxruntime, latency: above the margin" in out
    assert "exact figures are the same" in out
    assert "chance of any false alarm 1 %" in out


def test_programs_read_json_and_nothing_else(base: Path, slow: Path, capfd: Output) -> None:
    assert facebench("compare", base, slow, "--json") == 1
    found = json.loads(capfd.readouterr().out)
    assert found["regressions"] == 1
    (alarm,) = [line for line in found["lines"] if line["alarm"]]
    assert alarm["verdict"] == "slower"
    assert alarm["interval"][0] < alarm["change"] < alarm["interval"][1]
    assert alarm["case"]["network"] == "mobilefacenet"
    assert found["policy"]["margin"] == 0.01
    kinds = {line["figure"]: line["kind"] for line in found["lines"]}
    assert kinds["instructions"] == "emulated"
    assert kinds["modelled time, 1 thread"] == "modelled"


def test_other_tools_get_their_files(
    base: Path, slow: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: Output
) -> None:
    summary = tmp_path / "summary.md"
    summary.write_text("before\n")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(summary))
    files = {name: tmp_path / "new" / name for name in ("junit", "benchmark", "times")}
    code = facebench(
        "compare", base, slow, "--github", "--junit", files["junit"],
        "--benchmark-action", files["benchmark"], "--pytest-benchmark", files["times"],
    )  # fmt: skip
    assert code == 1
    assert ElementTree.parse(files["junit"]).getroot().attrib["failures"] == "1"
    assert len(json.loads(files["benchmark"].read_text())) > 3
    assert len(json.loads(files["times"].read_text())["benchmarks"]) == 1
    assert summary.read_text().startswith("before\n### facebench")
    lines = capfd.readouterr().out.splitlines()
    assert lines[0].startswith("::stop-commands::")
    (error,) = [line for line in lines if line.startswith("::error")]
    assert "slower%3A latency mobilefacenet onnxruntime" in error


@pytest.mark.parametrize("network", HOSTILE)
def test_hostile_names_reach_every_output_harmless(
    network: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: Output
) -> None:
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "summary.md"))
    store = ("--store", tmp_path / "store")
    named = replace(LATENCY, network=network)
    for name, count in (("old", 5), ("new", 6)):
        entry = cost_entry(count, replace(named, measure="cost"))
        Baselines(tmp_path / "store").save(name, [entry, latency(count, named)])
    options = ("--github", "--junit", tmp_path / "j", "--pytest-benchmark", tmp_path / "p")
    assert facebench("compare", "baseline:old", "baseline:new", *options, *store) == 1
    for command in (("baseline", "show", "new"), ("baseline", "list")):
        assert facebench(*command, *store) == 0
    out = capfd.readouterr().out
    assert not set(out) & set("\x07\x1b\u202e")
    outside = re.sub(r"(?s)::stop-commands::(\w+)\n.*?::\1::\n", "", out)
    commands = [line for line in outside.splitlines() if line.lstrip().startswith("::")]
    assert [line.split(" ")[0] for line in commands] == ["::error", "::error", "::notice"]


def test_without_a_summary_to_write_to_there_are_annotations_still(
    base: Path, same: Path, monkeypatch: pytest.MonkeyPatch, capfd: Output
) -> None:
    monkeypatch.delenv("GITHUB_STEP_SUMMARY", raising=False)
    assert facebench("compare", base, same, "--github") == 0
    assert "::notice title=facebench compare::" in capfd.readouterr().out


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (("--margin", "much"), "give percents"),
        (("--margin", "-1%"), "give percents"),
        (("--margin", "nan"), "give percents"),
        (("--across", "weather"), "'weather' is not one of machine"),
        (("--json", "--github"), "choose one"),
    ],
)
def test_options_that_will_not_do_are_one_sentence(
    options: tuple[str, ...], sentence: str, base: Path, capfd: Output
) -> None:
    assert facebench("compare", base, base, *options) == 2
    assert sentence in capfd.readouterr().err


def test_another_machine_is_named_and_may_be_allowed(
    base: Path, tmp_path: Path, capfd: Output
) -> None:
    other = write(tmp_path / "b.jsonl", 9.0, environment={**ENVIRONMENT, "cpu_model": "A72"})
    assert facebench("compare", base, other) == 0
    assert "they differ in cpu_model (AMD EPYC 9B45 and A72)" in capfd.readouterr().out
    assert facebench("compare", base, other, "--across", "machine,versions") == 1


def test_a_baseline_is_saved_listed_shown_compared_and_removed(
    base: Path, slow: Path, tmp_path: Path, capfd: Output
) -> None:
    store = ("--store", tmp_path / "store")
    assert facebench("baseline", "save", "main", base, *store) == 0
    assert "4 cases saved" in capfd.readouterr().out
    assert facebench("baseline", "list", "--json", *store) == 0
    (row,) = json.loads(capfd.readouterr().out)
    assert (row["name"], row["cases"]) == ("main", 4)
    assert facebench("baseline", "show", "main", *store) == 0
    assert "1,003,136" in capfd.readouterr().out
    assert facebench("compare", "baseline:main", slow, *store) == 1
    assert facebench("baseline", "save", "copy", "baseline:main", *store) == 0
    assert facebench("compare", "baseline:main", "baseline:copy", *store) == 0
    assert facebench("baseline", "rm", "main", *store) == 0
    capfd.readouterr()
    assert facebench("compare", "baseline:main", slow, *store) == 2
    assert "(there: copy)" in capfd.readouterr().err


def test_only_the_measures_asked_for_are_kept_and_compared(
    base: Path, slow: Path, tmp_path: Path, capfd: Output
) -> None:
    counts = ("--measure", "cost,instructions")
    store = ("--store", tmp_path / "store")
    assert facebench("baseline", "save", "counts", slow, *counts, *store) == 0
    assert "2 cases saved" in capfd.readouterr().out
    assert facebench("compare", base, slow, *counts) == 0
    capfd.readouterr()
    assert facebench("compare", base, slow, "--measure", "speed") == 2
    assert "unknown measure 'speed'" in capfd.readouterr().err


def test_what_could_not_be_saved_is_said(tmp_path: Path, capfd: Output) -> None:
    broken = write(tmp_path / "b.jsonl", status="failed", result=None, reason="it was killed")
    assert facebench("baseline", "save", "main", broken, "--store", tmp_path / "store") == 0
    captured = capfd.readouterr()
    assert "3 cases saved" in captured.out
    assert "not saved: latency mobilefacenet onnxruntime: failed: it was killed" in captured.err


@pytest.mark.parametrize("name", ["../main", "a/b", ""])
def test_a_name_that_leaves_the_store_is_one_sentence(
    name: str, base: Path, tmp_path: Path, capfd: Output
) -> None:
    assert facebench("baseline", "save", name, base, "--store", tmp_path / "store") == 2
    assert "is no name of a baseline" in capfd.readouterr().err


def test_history_is_told_and_drawn(
    base: Path, same: Path, slow: Path, tmp_path: Path, capfd: Output
) -> None:
    files = [option for path in (base, same, slow) for option in ("--results", path)]
    drawing = tmp_path / "new" / "history.png"
    assert facebench("history", "latency", *files, "-o", drawing) == 0
    assert drawing.read_bytes().startswith(b"\x89PNG")
    assert "too few revisions: 10 at least" in capfd.readouterr().out
    assert facebench("history", *files, "--json") == 0
    found = {one["figure"]: one for one in json.loads(capfd.readouterr().out)}
    assert [p["revision"] for p in found["latency"]["points"]] == [
        "base.jsonl", "same.jsonl", "slow.jsonl",
    ]  # fmt: skip
    assert found["instructions"]["kind"] == "emulated"


def test_history_of_a_baseline_is_that_of_its_commits(tmp_path: Path, capfd: Output) -> None:
    store = tmp_path / "store"
    git = ["git", "-C", str(tmp_path), "-c", "user.name=a", "-c", "user.email=a@b.example"]
    subprocess.run([*git, "init", "-q"], check=True)
    for seed in range(2):
        write(tmp_path / f"{seed}.jsonl", seed=seed)
        facebench("baseline", "save", "main", tmp_path / f"{seed}.jsonl", "--store", store)
        subprocess.run([*git, "add", "store"], check=True)
        subprocess.run([*git, "commit", "-qm", "measured"], check=True)
    capfd.readouterr()
    assert facebench("history", "latency", "--baseline", "main", "--store", store, "--json") == 0
    (found,) = json.loads(capfd.readouterr().out)
    assert len(found["points"]) == 2


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ((), "name what the history is of"),
        (("--baseline", "main", "--results", "x"), "name what the history is of"),
        (("--results", "BASE", "-o", "a.pdf"), "end its name with .png or .svg"),
        (("nothing", "--results", "BASE"), "check the words"),
        (("--baseline", "main"), "no baseline"),
    ],
)
def test_a_history_that_cannot_be_told_is_one_sentence(
    options: tuple[str, ...], sentence: str, base: Path, tmp_path: Path, capfd: Output
) -> None:
    chosen = [base if option == "BASE" else option for option in options]
    assert facebench("history", *chosen, "--store", tmp_path) == 2
    assert sentence in capfd.readouterr().err


def test_a_gain_fails_only_where_any_change_is_to(
    base: Path, slow: Path, same: Path, capfd: Output
) -> None:
    assert facebench("compare", slow, base) == 0
    assert facebench("compare", slow, base, "--any-change") == 1
    assert "1 figures became better: save the baseline anew" in capfd.readouterr().err
    assert facebench("compare", base, same, "--any-change") == 0


def test_a_baseline_of_other_versions_alone_is_refused_and_says_how_it_is_renewed(
    base: Path, tmp_path: Path, capfd: Output
) -> None:
    older = latency(environment={**ENVIRONMENT, "onnxruntime": "1.19.0"})
    Baselines(tmp_path / "store").save("ci", [older])
    arguments = ("compare", "baseline:ci", base, "--any-change", "--store", tmp_path / "store")
    assert facebench(*arguments) == 2
    out = capfd.readouterr().out
    assert "onnxruntime (1.19.0 and 1.20.0)" in out
    assert f"'facebench baseline save ci {base}' renews it" in out
    facebench("compare", base, base)
    assert "renews" not in capfd.readouterr().out


def test_every_network_is_in_the_baseline_of_this_repository() -> None:
    held = {(e.case.measure, e.case.network) for e in Baselines(ROOT / FOLDER).load("ci")}
    counted = mobile_names()
    assert {("cost", name) for name in counted} <= held
    assert {("export", name) for name in counted} <= held
    wanted = load(str(ROOT / ".ci" / "instructions.toml")).networks
    assert {("instructions", name) for name in wanted} <= held
