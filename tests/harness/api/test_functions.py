"""What the functions return is what the commands print, and neither runs what the other did."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import warnings
from dataclasses import replace
from pathlib import Path

import onnx
import pytest
from torch import nn

import facebench
from facebench.architectures import extensions, registry
from facebench.architectures.errors import (
    BadInputError,
    FacebenchError,
    RefusedError,
    UnavailableError,
    UnknownNameError,
)
from facebench.harness.api import measuring
from facebench.harness.api.shown_progress import NotebookProgress
from facebench.harness.machine.processes import ChildProcess
from facebench.harness.measures.job import Job
from facebench.harness.models.networks import resolve
from facebench.harness.records.case import Case
from facebench.harness.records.record import Record
from facebench.harness.records.store import RECORDS, Store
from facebench.harness.runs import runner, worker_pool
from facebench.harness.runs.plan import Plan, jobs
from facebench.harness.storage.progress import SILENT
from tests.harness import command_line
from tests.harness.conftest import SIZE, tiny_module

FLATTEN = nn.Sequential(nn.Flatten())
QUICK = {"processes": 1, "seconds": 0.01}


def printed(capfd: pytest.CaptureFixture[str], *arguments: object) -> list[dict[str, object]]:
    capfd.readouterr()
    assert command_line.facebench(*arguments, "--json") == 0
    found = json.loads(capfd.readouterr().out)
    return found if isinstance(found, list) else [found]


def test_costs_are_those_that_the_command_prints(capfd: pytest.CaptureFixture[str]) -> None:
    names = ["mobilefacenet", "squeezenet"]
    frame = facebench.cost(names).frame()
    for line in printed(capfd, "cost", *names):
        mine = frame[frame.network == line["network"]].set_index("figure").value
        assert mine["parameters"] == line["parameters"]
        assert mine["parameters (BN folded)"] == line["parameters_bn_folded"]
        madds, sizes = line["madds"], line["size_bytes"]
        assert isinstance(madds, dict)
        assert isinstance(sizes, dict)
        assert {f"MAdds ({name})": count for name, count in madds.items()}.items() <= {
            **mine
        }.items()
        assert mine["size (int8)"] == sizes["int8"]


def test_a_module_counts_as_its_file_does(tiny_onnx: Path) -> None:
    counted = facebench.cost([facebench.network(tiny_module(), size=SIZE), tiny_onnx])
    parameters = counted.frame().query("figure == 'parameters (BN folded)'")
    assert parameters.value.nunique() == 1
    assert list(parameters.network.str.partition(":")[0]) == ["module", "onnx"]


def test_what_was_timed_is_in_the_folder_and_is_not_timed_again(tmp_path: Path) -> None:
    def timed() -> facebench.Records:
        return facebench.latency(
            tiny_module(), size=SIZE, runtime="onnxruntime", out=tmp_path, **QUICK
        )

    first = timed()
    assert [one.case.runtime for one in first] == ["onnxruntime"]
    assert all(one.status == "ok" for one in first)
    assert timed() == first == facebench.read(tmp_path)
    assert len((tmp_path / RECORDS).read_text().splitlines()) == 1


def test_a_run_of_a_plan_takes_what_was_counted_here(tmp_path: Path) -> None:
    facebench.cost("mobilefacenet", out=tmp_path)
    plan = Plan(["mobilefacenet"], runtimes=["onnxruntime"], targets=[], datasets=[])
    wanted = [job for job in jobs(plan, None) if job.case.measure == "cost"]
    (known,) = Store(tmp_path / RECORDS).read()
    assert known.fingerprint == wanted[0].fingerprint

    def nothing(*given: object) -> list[Record]:
        assert not given[0]
        return []

    assert runner.run(wanted, Store(tmp_path / RECORDS), obtain=nothing) == [known]  # type: ignore[arg-type]


def test_scores_are_those_of_the_record(tmp_path: Path) -> None:
    pooled = nn.Sequential(nn.AdaptiveAvgPool2d(4), nn.Flatten())
    scored = facebench.verify(pooled, runtime="onnxruntime", out=tmp_path / "scores.jsonl")
    (row,) = scored.frame().query("figure == 'accuracy'").itertuples()
    (record,) = facebench.read(tmp_path / "scores.jsonl")
    assert row.value == record.result.accuracy  # type: ignore[union-attr]
    assert row.dataset == "synthetic"


def test_files_are_those_that_the_command_writes(
    tmp_path: Path, tiny_onnx: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (mine,) = facebench.export(tiny_onnx, tmp_path / "mine")
    (line,) = printed(capfd, "export", f"onnx:{tiny_onnx}", "-o", tmp_path / "command")
    assert mine.path.read_bytes() == Path(str(line["path"])).read_bytes()
    assert mine.flat() | {"path": ""} == line | {"path": ""}
    (exported,) = facebench.export(tiny_module(), tmp_path, size=SIZE)
    assert onnx.load(exported.path).graph.output[0].name == "embedding"


def test_a_file_says_what_it_is_and_carries_its_records(tmp_path: Path) -> None:
    (file,) = facebench.export(tiny_module(), tmp_path, size=SIZE)
    counted = facebench.cost(tiny_module(), size=SIZE)
    told = {one.key: one.value for one in onnx.load(file.path).metadata_props}
    assert told["facebench.network"] == file.network == counted[0].case.network
    assert told["facebench.weights"] == counted[0].case.weights
    assert json.loads(told["facebench.preprocessing"]) == file.facts["preprocessing"]
    path = counted.convert("onnx", tmp_path / "with.onnx", into=file.path)
    assert facebench.read(path) == counted
    assert told.items() < {one.key: one.value for one in onnx.load(path).metadata_props}.items()


def test_a_comparison_is_that_of_the_command(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    for name, network in (("before", tiny_module()), ("after", tiny_module()[:-2] + FLATTEN)):
        (record,) = facebench.cost(network, size=SIZE)
        Store(tmp_path / f"{name}.jsonl").append(replace(record, case=Case("cost", "mine")))
    files = [tmp_path / "before.jsonl", tmp_path / "after.jsonl"]
    found = facebench.compare(*files)
    command_line.facebench("compare", *files, "--json")
    told = json.loads(capfd.readouterr().out)
    frame = found.frame()
    assert list(frame.verdict) == [line["verdict"] for line in told["lines"]]
    assert list(frame.change) == [line["change"] for line in told["lines"]]
    sides = [facebench.read(file) for file in files]
    assert facebench.compare(*sides).frame().equals(frame)
    assert found.gains
    assert "<table" in found._repr_html_()
    with pytest.raises(BadInputError, match="no case in common"):
        facebench.compare(sides[0], facebench.cost(tiny_module(), size=SIZE))


def test_two_networks_are_held_against_each_other() -> None:
    small, large = tiny_module()[:-2] + FLATTEN, tiny_module()
    one, other = (facebench.network(module, size=SIZE) for module in (small, large))
    counted = facebench.cost([one, other])
    found = facebench.compare(counted, counted, networks=(one, other.name))
    frame = found.frame().set_index("figure")
    figures = counted.frame().pivot_table("value", "network", "figure")
    before, after = figures.loc[one.name], figures.loc[other.name]
    assert frame.verdict["parameters"] == "worse"
    assert frame.change["parameters"] == after["parameters"] / before["parameters"] - 1
    with pytest.raises(BadInputError, match="nothing of mobilefacenet, but of module:Sequential"):
        facebench.compare(counted, counted, networks=("mobilefacenet", other))


def test_a_file_of_python_is_taken_as_it_stands_now(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(extensions.VARIABLE, "")
    path = tmp_path / "own.py"
    text = (
        "from torch import nn\nfrom facebench.architectures.registry import register\n"
        '@register("own_block", input_size=(8, 8), embedding_size=4, reference="mine")\n'
        "def _own():\n"
        "    return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, 4))\n"
    )
    try:
        counts = []
        for linear in ("nn.Linear(3, 4)", "nn.Linear(3, 4, bias=False)"):
            path.write_text(text.replace("nn.Linear(3, 4)", linear))
            frame = facebench.cost(path).frame()
            counts.append(int(frame.set_index("figure").value["parameters"]))
            path.write_text("fails(\n")
            with pytest.raises(BadInputError, match=r"own\.py, line 1: SyntaxError"):
                facebench.cost(path)
        assert counts == [16, 12]
    finally:
        registry.forget(set(registry.names()) & {"own_block"})


def test_errors_are_the_command_s_sentences(capfd: pytest.CaptureFixture[str]) -> None:
    assert command_line.facebench("cost", "mobilefacenett") == 2
    said = capfd.readouterr().err.strip().removeprefix("facebench: ")
    with pytest.raises(facebench.errors.UnknownNameError) as caught:
        facebench.cost("mobilefacenett")
    assert str(caught.value) == said


@pytest.mark.parametrize(
    ("call", "kind", "said"),
    [
        (lambda: facebench.cost([]), BadInputError, "no network is given"),
        (lambda: facebench.cost(nn.Conv2d), BadInputError, "an instance of torch.nn.Module"),
        (lambda: facebench.cost(tiny_module(), size=(1, 2, 3)), BadInputError, r"size=\(1, 2, 3\)"),
        (lambda: facebench.network("mobilefacenet", name="x"), BadInputError, "has a name already"),
        (lambda: facebench.network(resolve("mobilefacenet")), BadInputError, "already"),
        (lambda: facebench.network("mobilefacenet", mean=(1, 2)), BadInputError, "one a channel"),
        (lambda: facebench.network("mobilefacenet", scale=0), BadInputError, "cannot be 0"),
        (lambda: facebench.network("mobilefacenet", channels="GRB"), BadInputError, "RGB or BGR"),
        (lambda: facebench.latency("mobilefacenet", runtime="nccn"), UnknownNameError, "ncnn"),
        (lambda: facebench.latency("mobilefacenet", precision="fp8"), UnknownNameError, "fp16"),
        (lambda: facebench.latency("mobilefacenet", threads=0), BadInputError, "give 1 to 1024"),
        (lambda: facebench.latency("mobilefacenet", seconds=0), BadInputError, "seconds=0 is not"),
        (lambda: facebench.verify("mobilefacenet", flip="both"), BadInputError, "concatenation"),
        (lambda: facebench.verify("mobilefacenet", far=2), BadInputError, "far=2 is not valid"),
        (lambda: facebench.compare("a", "b"), BadInputError, "no results file a"),
        (lambda: facebench.read(), BadInputError, "no results are named"),
    ],
)
def test_what_is_wrong_is_one_sentence(call: object, kind: type[Exception], said: str) -> None:
    assert callable(call)
    with pytest.raises(kind, match=said) as caught:
        call()
    assert "\n" not in str(caught.value)


def test_what_failed_is_a_warning_where_something_did_not() -> None:
    case = Case("cost", "mobilefacenet")
    good = facebench.cost("mobilefacenet")[0]
    refused, failed = (Record(case, "counted", one, reason="why") for one in ("refused", "failed"))
    with pytest.warns(facebench.CaseWarning, match="cost mobilefacenet: refused: why"):
        found = measuring._checked([good, refused])
    assert list(found.failures) == [refused]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(RefusedError, match="why"):
            measuring._checked([refused])
        with pytest.raises(FacebenchError, match="why"):
            measuring._checked([refused, failed])


def test_what_libraries_tell_their_developers_is_kept_back(tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error", FutureWarning)
        facebench.cost(tiny_module(1), size=SIZE)
        facebench.export(tiny_module(1), tmp_path, size=SIZE)


def test_an_interrupted_call_leaves_no_process_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[ChildProcess] = []

    def sleeping(jobs: object) -> ChildProcess:
        started.append(ChildProcess([sys.executable, "-c", "import time; time.sleep(600)"]))
        return started[0]

    def interrupted(*given: object) -> list[Record]:
        """As where threads wait for processes and Ctrl-C reaches the main one."""
        job = Job(Case("cost", "mobilefacenet"), resolve("mobilefacenet"))
        stream = worker_pool.execute([job], SILENT, sleeping)
        threading.Thread(target=lambda: list(stream), daemon=True).start()
        while not started or started[0] not in worker_pool._running:
            pass
        raise KeyboardInterrupt

    monkeypatch.setattr(runner, "run", interrupted)
    with pytest.raises(KeyboardInterrupt):
        measuring._run([])
    assert started[0].ended(60).signal == "SIGKILL"


def test_a_notebook_s_bar_shows_what_is_done_and_obeys_no_text() -> None:
    shown: list[str] = []
    case = Case("cost", "<script>")
    with NotebookProgress(2, shown.append) as progress:
        progress.at(3, 8)
        progress.record(Record(case, "counted", "failed", reason="<b>"), False)
        progress.say("a sentence & more")
    assert 'max="2"' in shown[0]
    assert "images 3 of 8" in shown[1]
    assert "1 of 2 cases" in shown[2]
    assert "&lt;script&gt;: failed: &lt;b&gt;" in shown[2]
    assert shown[-1] == "<div>a sentence &amp; more</div>"
    assert not [one for one in shown if "<script>" in one]


def test_parquet_without_its_package_names_what_installs_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(UnavailableError, match=r"pip install facebench\[notebook\]"):
        facebench.cost(tiny_module(), size=SIZE).to_parquet(tmp_path / "records.parquet")


# The class stands in no file that a worker could import.
_SCRIPT = """
import facebench, torch
from torch import nn

class Local(nn.Module):
    def forward(self, x):
        return torch.relu(x).flatten(1)

timed = facebench.latency(Local(), size=4, runtime="torch", processes=1, seconds=0.01)
print(timed.frame().runtime[0], timed[0].case.network.partition("@")[0])
"""


@pytest.mark.slow
def test_a_script_s_own_class_is_timed(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _SCRIPT], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.stdout.split() == ["torch", "module:Local"], done.stderr
