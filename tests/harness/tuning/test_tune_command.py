"""`facebench tune` as its users see it."""

import json
from pathlib import Path

import pytest

from facebench.harness.cli.output.tuning import against, in_words
from facebench.harness.compiler.records import TuningRecord
from facebench.harness.tuning import measured
from facebench.harness.tuning.summary import TuningSummary
from tests.harness.command_line import facebench

Output = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("FACEBENCH_TUNING", str(tmp_path))
    monkeypatch.setattr(measured, "_SECONDS", 0.01)
    return tmp_path


def test_a_network_is_tuned_once_and_its_compile_says_so(
    tiny_onnx: Path, tmp_path: Path, capfd: Output
) -> None:
    network = f"onnx:{tiny_onnx}"
    assert facebench("tune", network, "--target", "host", "--trials", 2, "--json") == 0
    said = capfd.readouterr()
    (summary,) = json.loads(said.out)
    assert (summary["workloads"], summary["kept"], summary["tuned"]) == (3, 0, 3)
    assert "2/3 depthwise 3x3 8x8 8 relu6: " in said.err
    found = [json.loads(line) for line in Path(summary["path"]).read_text().splitlines()]
    assert len(found) == 3
    assert all(line["how"].startswith("measured on ") for line in found)
    assert facebench("tune", network, "--target", "host", "--trials", 2) == 0
    assert "3 workloads, 3 had records, 0 tuned" in capfd.readouterr().out
    assert facebench("compile", network, "--target", "host", "-o", tmp_path, "--json") == 0
    (compiled,) = json.loads(capfd.readouterr().out)
    assert compiled["kernels"]["tuned"] == 3


def test_several_places_share_the_work(
    tiny_onnx: Path, tmp_path: Path, capfd: Output, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FACEBENCH_TEST_BOARD_IS_GONE", "1")
    how = ("tune", f"onnx:{tiny_onnx}", "--target", "host", "--trials", 1, "--device")
    # The board is not there: the others go on.
    assert facebench(*how, "local,rpc://127.0.0.1:1,local", "--json") == 0
    said = capfd.readouterr()
    (summary,) = json.loads(said.out)
    assert (summary["workloads"], summary["tuned"], summary["failures"]) == (3, 3, [])
    assert "rpc://127.0.0.1:1: " in said.err
    assert "it is left out" in said.err
    assert facebench(*how, "local,local") == 0
    assert "3 had records, 0 tuned" in capfd.readouterr().out


def test_a_plan_says_networks_and_targets(
    tiny_onnx: Path, tmp_path: Path, capfd: Output, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = tmp_path / "plan.toml"
    plan.write_text(f'networks = ["onnx:{tiny_onnx}"]\ntargets = ["host"]\n')
    assert facebench("tune", "--missing", plan, "--trials", 1) == 0
    assert "3 workloads, 3 tuned" in capfd.readouterr().out
    assert facebench("tune", "--trials", 9, "--missing", plan) == 0
    assert "3 had records, 0 tuned" in capfd.readouterr().out


def test_a_target_that_cannot_be_tuned_here_stops_no_other(tiny_onnx: Path, capfd: Output) -> None:
    targets = "cortex-a7,host"
    assert facebench("tune", f"onnx:{tiny_onnx}", "--target", targets, "--trials", 1) == 2
    said = capfd.readouterr()
    assert "3 workloads, 3 tuned" in said.out
    assert "target cortex-a7 has no emulated core whose cycles are modelled" in said.err


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--target", "host"], "name a network to tune, or a plan"),
        (["mobilefacenet"], "say what to tune for with --target, one of host, x86-64-v3"),
        (["mobilefacenet", "--target", "hots"], "did you mean host"),
        (["mobilefacenet", "--target", "host", "--missing", "quick"], "quick names a plan and"),
        (["--target", "host", "--missing", "quickly"], "no plan 'quickly'"),
        (["mobilefacenet", "--target", "cortex-a72", "--device", "rpc://x"], "HOST:PORT"),
        (["mobilefacenet", "--target", "host", "--trials", "0"], "0 is not in the range"),
    ],
)
def test_bad_input_is_answered_in_a_sentence(
    arguments: list[str], reason: str, tiny_onnx: Path, capfd: Output
) -> None:
    given = [f"onnx:{tiny_onnx}" if word == "mobilefacenet" else word for word in arguments]
    assert facebench("tune", *given) == 2
    said = capfd.readouterr().err
    assert reason in said
    assert "Traceback" not in said


def test_a_damaged_file_of_records_is_named(tiny_onnx: Path, own: Path, capfd: Output) -> None:
    (own / "x86-64-v3.jsonl").write_text("nonsense\n")
    for command in ("tune", "compile"):
        assert facebench(command, f"onnx:{tiny_onnx}", "--target", "x86-64-v3") == 2
        assert "x86-64-v3.jsonl, line 1, is no tuning record" in capfd.readouterr().err


def test_costs_and_gains_are_in_words() -> None:
    record = TuningRecord("w", {}, "0", 30e-6, 40e-6, "seconds", "measured on paper", 8)
    assert in_words(31.24e-6, "seconds") == "31.2 us"
    assert in_words(12345.6, "cycles") == "12,346 cycles"
    assert against(30.0, 40.0) == "25 % under the schedule"
    assert against(40.0, 40.0) == "the model's choice"
    same = TuningRecord("w", {}, "0", 1.0, 1.0, "seconds", "", 8)
    summary = TuningSummary("t", "p", "measured on paper", 3, 1, [record, same], [])
    assert summary.improved == 1
    assert summary.gain == pytest.approx((4 / 3) ** 0.5)
    assert "3 workloads, 1 had records, 2 tuned; 1 improved, at most 1.155" in summary.in_words()
