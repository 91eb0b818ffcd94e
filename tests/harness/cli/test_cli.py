"""The command line as its users and their scripts see it."""

import json
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from facebench.architectures import registry
from facebench.harness.cli import main
from facebench.harness.compiler.targets import TARGETS
from facebench.harness.devices.registry import DEVICES
from facebench.harness.machine.boards import BOARDS
from facebench.harness.machine.cores import CORES
from facebench.harness.measures.registry import MEASURES
from facebench.harness.records.store import Store
from facebench.harness.runtimes.registry import RUNTIMES
from facebench.harness.storage import shipped
from facebench.harness.verification.datasets.registry import DATASETS
from facebench.reports.exchange.registry import FORMATS
from tests.harness.command_line import facebench

Output = pytest.CaptureFixture[str]


def answer(capfd: Output, *arguments: object) -> object:
    """The JSON a command prints; nothing else may be on standard output."""
    capfd.readouterr()
    assert facebench(*arguments, "--json") == 0
    return json.loads(capfd.readouterr().out)


@pytest.mark.parametrize("command", ["export mobilefacenet", "run quick"])
def test_a_folder_below_a_file_is_one_sentence(command: str, tmp_path: Path, capfd: Output) -> None:
    (tmp_path / "file").touch()
    assert facebench(*command.split(), "-o", tmp_path / "file" / "below") == 2
    said = capfd.readouterr().err.splitlines()
    assert [line for line in said if "file/below" in line and "Traceback" not in line]
    assert "Traceback" not in "".join(said)
    assert (tmp_path / "file").read_bytes() == b""


@pytest.mark.parametrize("command", sorted(main.cli.commands))
def test_every_command_has_help_with_an_example(command: str, capfd: Output) -> None:
    assert facebench(command, "--help") == 0
    assert f"facebench {command}" in capfd.readouterr().out


@pytest.mark.parametrize(
    ("kind", "names"),
    [
        ("architectures", registry.names()),
        ("runtimes", RUNTIMES.names()),
        ("targets", TARGETS.names()),
        (
            "devices",
            [
                *DEVICES.names(),
                *(f"{prefix}:<address>" for prefix in DEVICES.families()),
                *(f"emulated:{board.name}" for board in BOARDS),
            ],
        ),
        ("cores", CORES.names()),
        ("measures", MEASURES.names()),
        ("formats", FORMATS.names()),
        ("datasets", [*DATASETS.names(), *(f"{prefix}:<path>" for prefix in DATASETS.families())]),
    ],
)
def test_what_is_registered_is_listed(kind: str, names: list[str], capfd: Output) -> None:
    listed = answer(capfd, "list", kind)
    assert isinstance(listed, list)
    assert [entry["name"] for entry in listed] == names
    assert facebench("list", kind) == 0
    shown = capfd.readouterr().out
    assert [name for name in names if name not in shown] == []


def test_cost_prints_an_object_for_one_network_and_a_list_for_several(capfd: Output) -> None:
    one = answer(capfd, "cost", "mobilefacenet")
    assert isinstance(one, dict)
    # Figures of the paper's Table 1, recomputed layer by layer.
    assert one["parameters"] == 1_003_136
    assert one["madds"]["conv+linear"] == 220_965_376
    assert round(one["parameters_bn_folded"] / 1e6, 4) == 0.9933
    assert one["activations"] > 0
    assert set(one["size_bytes"]) == {"fp32", "fp16", "int8"}
    assert one["kind"] == "counted"
    several = answer(capfd, "cost", "mobilefacenet", "timm:resnet18:gap")
    assert isinstance(several, list)
    assert [entry["network"] for entry in several] == ["mobilefacenet", "timm:resnet18:gap"]


def test_export_and_compile_write_files(tiny_onnx: Path, tmp_path: Path, capfd: Output) -> None:
    network = f"onnx:{tiny_onnx}"
    exported = answer(capfd, "export", network, "-o", tmp_path / "a")
    assert isinstance(exported, list)
    assert Path(exported[0]["path"]).read_bytes()
    compiled = answer(
        capfd, "compile", network, "--target", "cortex-a7,cortex-a76", "-o", tmp_path / "b"
    )
    assert isinstance(compiled, list)
    assert [entry["target"] for entry in compiled] == ["cortex-a7", "cortex-a76"]
    assert all(Path(entry["path"]).read_bytes()[:4] == b"\x7fELF" for entry in compiled)
    assert all(entry["label"] == "" for entry in compiled)


@pytest.mark.parametrize(
    "command", [("cost",), ("export", "-o", "out"), ("compile", "--target", "host", "-o", "out")]
)
def test_one_network_that_fails_hides_no_other(
    command: tuple[str, ...],
    tiny_onnx: Path,
    tmp_path: Path,
    capfd: Output,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "bad.onnx").write_bytes(b"no network")
    assert facebench(*command, "onnx:bad.onnx", f"onnx:{tiny_onnx}") == 2
    printed = capfd.readouterr()
    assert "bad.onnx is no ONNX file" in printed.err
    assert "tiny" in printed.out


def test_latency_gives_a_record_a_case(tiny_onnx: Path, capfd: Output) -> None:
    records = answer(
        capfd, "latency", f"onnx:{tiny_onnx}", "--runtime", "onnxruntime,ncnn", "--seconds", 0.01,
        "--processes", 3, "--known-to", "100%", "--no-pin",
    )  # fmt: skip
    assert isinstance(records, list)
    assert [record["runtime"] for record in records] == ["onnxruntime", "ncnn"]
    for record in records:
        assert record["network"] == "onnx:tiny.onnx"
        assert record["threads"] == 1
        assert len(record["samples_ms"]) >= 64
        assert 3 <= len(record["processes"]) == len(record["process_facts"]) <= 6
        assert not any(facts["conditions"]["pinned"] for facts in record["process_facts"])
        lower, upper = record["interval_ms"]
        assert lower <= record["median_ms"] <= upper
        assert record["kind"] == "measured"


def test_verify_scores_the_synthetic_set_and_says_what_it_is(capfd: Output) -> None:
    (record,) = answer(capfd, "verify", "mobilefacenet_s")  # type: ignore[misc]
    assert len(record["fold_accuracies"]) == 10
    assert record["accuracy"] > 0.5
    assert record["label"] == "synthetic: checks the pipeline, says nothing of real faces"


def test_untrained_weights_are_not_scored_on_real_faces(data_root: Path, capfd: Output) -> None:
    code = facebench("verify", "mobilefacenet_s", "--dataset", "lfw", "--data", data_root)
    assert code == 2
    assert "refused: untrained weights (random:0)" in capfd.readouterr().err


SMALL_PLAN = """
networks = ["onnx:{network}"]
runtimes = ["onnxruntime", "ncnn"]
targets = ["cortex-a72"]
datasets = []
sampling_s = 0.01
processes = 1
"""


@pytest.fixture
def small_plan(tmp_path: Path, tiny_onnx: Path) -> Path:
    path = tmp_path / "plan.toml"
    path.write_text(SMALL_PLAN.format(network=tiny_onnx))
    return path


@pytest.fixture(scope="module")
def ended(tmp_path_factory: pytest.TempPathFactory, tiny_onnx: Path) -> Path:
    """The folder of a run of the small plan that is through."""
    folder = tmp_path_factory.mktemp("ended")
    (folder / "plan.toml").write_text(SMALL_PLAN.format(network=tiny_onnx))
    assert facebench("run", folder / "plan.toml", "-o", folder / "out") == 0
    return folder / "out"


@pytest.fixture
def out(ended: Path, tmp_path: Path) -> Path:
    """A copy of that folder."""
    return Path(shutil.copytree(ended, tmp_path / "out"))


def test_a_run_leaves_records_and_a_report_and_does_nothing_twice(
    small_plan: Path, tmp_path: Path, capfd: Output
) -> None:
    out = tmp_path / "out"
    assert facebench("run", small_plan, "-o", out) == 0
    printed = capfd.readouterr()
    assert "onnx:tiny.onnx" in printed.out
    assert "[5/5]" in printed.err
    assert {"report.html", "report.md", "records.jsonl"} <= {path.name for path in out.iterdir()}
    before = (out / "records.jsonl").read_bytes()
    assert facebench("run", small_plan, "-o", out) == 0
    assert (out / "records.jsonl").read_bytes() == before
    assert facebench("report", out / "records.jsonl", "-o", tmp_path / "again") == 0
    assert (tmp_path / "again" / "report.html").exists()


def test_a_run_that_is_killed_goes_on_where_it_was(small_plan: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    command = [sys.executable, "-P", "-c", "from facebench.harness.cli.main import main; main()"]
    command += ["run", str(small_plan), "-o", str(out), "--processes", "2", "--known-to", "100%"]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    records = out / "records.jsonl"
    deadline = time.monotonic() + 120
    while not records.exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    kept = records.read_bytes()
    assert kept
    again = subprocess.run(command, capture_output=True, text=True)
    assert again.returncode == 0, again.stderr
    assert records.read_bytes().startswith(kept[: kept.rfind(b"\n") + 1])
    assert len(Store(records).read()) == 5


def test_a_failed_case_is_in_the_exit_code_and_the_rest_is_there(
    tiny_onnx: Path, tmp_path: Path, capfd: Output
) -> None:
    (tmp_path / "bad.pth").write_bytes(b"no weights")
    plan = tmp_path / "plan.toml"
    plan.write_text(
        f"networks = ['onnx:{tiny_onnx}', 'mobilefacenet_s']\nruntimes = ['ncnn']\n"
        "targets = []\ndatasets = []\nsampling_s = 0.01\nprocesses = 1\n"
        "[weights]\nmobilefacenet_s = 'bad.pth'\n"
    )
    assert facebench("run", plan, "-o", tmp_path / "out") == 1
    assert "bad.pth holds no weights" in capfd.readouterr().err
    statuses = {r.case.network: r.status for r in Store(tmp_path / "out/records.jsonl").read()}
    assert statuses == {"onnx:tiny.onnx": "ok", "mobilefacenet_s": "failed"}


def test_a_results_file_cut_in_the_middle_is_named_and_a_run_mends_it(
    small_plan: Path, out: Path, tmp_path: Path, capfd: Output
) -> None:
    records = out / "records.jsonl"
    whole = records.read_bytes()
    records.write_bytes(whole[:-100])
    capfd.readouterr()
    assert facebench("report", records, "-o", tmp_path / "r") == 2
    said = r"line 5 is cut off or damaged \(.+\); the 4 records before it are intact"
    assert re.search(said, one_sentence(capfd))
    assert records.read_bytes() == whole[:-100]
    assert facebench("run", small_plan, "-o", out) == 0
    assert "set aside in" in capfd.readouterr().err
    assert len(Store(records).read()) == 5


def one_sentence(capfd: Output) -> str:
    """What a command that failed printed, which must be one line and no traceback."""
    printed = capfd.readouterr()
    assert printed.out == ""
    lines = [line for line in printed.err.splitlines() if line.startswith("facebench: ")]
    assert len(lines) == 1, printed.err
    assert "Traceback" not in printed.err
    return lines[0]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("cost mobilefacent", "did you mean mobilefacenet"),
        ("cost timm:resnet1", "timm"),
        ("latency mobilefacenet --runtime onnx", "unknown runtime 'onnx'"),
        ("latency mobilefacenet --known-to 0%", "--known-to '0%' is not valid: give percents"),
        ("compile mobilefacenet --target cortex-a71", "did you mean cortex-a7"),
        ("verify mobilefacenet --dataset lfww", "did you mean lfw"),
        ("verify mobilefacenet --dataset lfw --data {tmp}", "dataset lfw is not in"),
        ("verify mobilefacenet --runtime tf", "unknown runtime 'tf'"),
        ("run {tmp}/bad.toml", "unknown key 'runtime': did you mean runtimes"),
        ("run nightly", "no plan 'nightly'"),
        ("cost onnx:{tmp}/text.onnx", "text.onnx is no ONNX file"),
        ("export onnx:{tmp}/absent.onnx", "cannot read"),
        ("cost mobilefacenet --weights mobilefacenet={tmp}/text.onnx", "holds no weights"),
        ("cost mobilefacenet --weights other={tmp}/text.onnx", "not among the networks"),
        ("cost mobilefacenet --weights text", "write NETWORK=FILE"),
        ("cost mobilefacenet --mean a", "--mean 'a' is not valid"),
        ("cost mobilefacenet --scale 0", "cannot be 0"),
        ("report {tmp}/absent.jsonl", "no results file"),
        ("report {tmp}/text.onnx", "line 1 is cut off or damaged"),
    ],
)
def test_bad_input_is_one_sentence_and_exit_code_2(
    arguments: str, words: str, tmp_path: Path, capfd: Output, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("FACEBENCH_DATA", raising=False)
    (tmp_path / "bad.toml").write_text("runtime = ['ncnn']")
    (tmp_path / "text.onnx").write_text("not protobuf at all")
    assert facebench(*arguments.format(tmp=tmp_path).split()) == 2
    assert words in one_sentence(capfd)


@pytest.mark.parametrize("arguments", [["cost"], ["cost", "x", "--layer"], ["frobnicate"]])
def test_wrong_usage_is_exit_code_2(arguments: list[str], capfd: Output) -> None:
    assert facebench(*arguments) == 2
    assert "Usage:" in capfd.readouterr().err


def test_a_truncated_image_is_named(data_root: Path, tmp_path: Path, capfd: Output) -> None:
    archive = data_root / "lfw-deepfunneled-view2.tar"
    weights = data_root / "mobilefacenet_table1_public.pth"
    if not archive.exists() or not weights.exists():
        pytest.skip(f"{archive.name} or {weights.name} is not there")
    whole = archive.read_bytes()
    # The data of the tenth image, cut to half by zeros in its place.
    start = [i for i in range(0, 10_000_000, 512) if whole[i : i + 3] == b"\xff\xd8\xff"][9]
    damaged = bytearray(whole)
    damaged[start + 4096 : start + 1_000_000] = bytes(1_000_000 - 4096)
    (tmp_path / archive.name).write_bytes(damaged)
    landmarks = data_root / "lfw-deepfunneled-landmarks.csv"
    (tmp_path / landmarks.name).symlink_to(landmarks)
    chosen = f"mobilefacenet={weights}"
    code = facebench(
        "verify", "mobilefacenet", "--weights", chosen, "--dataset", "lfw", "--data", tmp_path
    )
    assert code == 2
    assert "jpg" in capfd.readouterr().err


def test_a_full_disk_is_one_sentence_and_loses_nothing(
    small_plan: Path, out: Path, tiny_onnx: Path
) -> None:
    whole = (out / "records.jsonl").read_bytes()

    def little_room() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        limit = len(whole) + 200
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    text = small_plan.read_text().replace("0.01", "0.02")
    small_plan.write_text(text)
    done = subprocess.run(
        [sys.executable, "-P", "-c", "from facebench.harness.cli.main import main; main()",
         "run", str(small_plan), "-o", str(out)],
        capture_output=True, text=True, preexec_fn=little_room, env=os.environ,
    )  # fmt: skip
    assert done.returncode == 2, done.stderr
    assert "File too large" in done.stderr
    assert "Traceback" not in done.stderr
    assert (out / "records.jsonl").read_bytes() == whole


@pytest.mark.parametrize("options", [("--json",), ()])
def test_a_full_disk_behind_standard_output_is_no_success(options: tuple[str, ...]) -> None:
    command = [sys.executable, "-m", "facebench.harness.cli.main", "cache", "info", *options]
    with open("/dev/full", "w") as full:
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "No space left on device; make room" in done.stderr


@pytest.mark.parametrize(("arguments", "code"), [("list formats", 0), ("list nothing", 2)])
def test_closed_streams_are_no_failure_and_hide_none(arguments: str, code: int) -> None:
    command = f"exec {sys.executable} -m facebench.harness.cli.main {arguments} <&- >&- 2>&-"
    assert subprocess.run(["sh", "-c", command]).returncode == code


@pytest.mark.parametrize("options", ["", " --json"])
def test_output_that_nobody_reads_is_no_success_and_no_regression(options: str) -> None:
    command = f"{sys.executable} -m facebench.harness.cli.main list measures{options}"
    # `true` has ended before anything is written.
    script = f"set -o pipefail; (sleep 0.1; exec {command}) | true"
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (128 + signal.SIGPIPE, "")


def test_standard_output_that_lacks_letters_has_question_marks() -> None:
    records = shipped.folder("reference") / "arm.jsonl"
    command = [sys.executable, "-m", "facebench.harness.cli.main", "claims", str(records)]
    env = os.environ | {"PYTHONIOENCODING": "ascii"}
    done = subprocess.run(command, capture_output=True, env=env, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert re.search(r"[0-9]\?", done.stdout)  # 1.80×


def test_export_writes_through_no_link(tmp_path: Path, capfd: Output) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_text("not ours")
    (tmp_path / "models").mkdir()
    (tmp_path / "models/mobilefacenet.onnx").symlink_to(elsewhere)
    assert facebench("export", "mobilefacenet", "-o", tmp_path / "models") == 2
    assert "mobilefacenet.onnx is a link" in capfd.readouterr().err
    assert elsewhere.read_text() == "not ours"


@pytest.mark.parametrize("command", [("run", "quick"), ("plan", "quick"), ("report",)])
@pytest.mark.parametrize("planted", ["reports", "reports/out"])
def test_a_folder_that_nobody_chose_is_no_link(
    command: Sequence[str], planted: str, tmp_path: Path, capfd: Output,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (tmp_path / "theirs/reports").mkdir(parents=True)
    link = tmp_path / "theirs" / planted
    if planted == "reports":
        link.rmdir()
    link.symlink_to(elsewhere)
    monkeypatch.chdir(tmp_path / "theirs")
    assert facebench(*command) == 2
    assert f"{planted} is a link, and nobody chose where it leads" in one_sentence(capfd)
    assert not [*elsewhere.iterdir()]
