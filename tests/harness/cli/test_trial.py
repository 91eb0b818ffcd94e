"""A block of one's own: from the template to what it costs and how fast it is."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from facebench.architectures.errors import RefusedError
from facebench.harness.comparison.trial import against
from facebench.harness.measures.job import Job
from facebench.harness.measures.layers import profile
from facebench.harness.measures.registry import MEASURES
from facebench.harness.models.export import export
from facebench.harness.models.networks import resolve
from facebench.harness.records.case import Case
from facebench.harness.records.layers import LayerTime, LayerTimes
from tests.harness import command_line
from tests.places import ROOT
from tests.reports.report_records import cost, latency
from tests.sampling import today


def facebench(*arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "facebench", *arguments],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_new_block_is_counted_as_the_frame_it_stands_in(tmp_path: Path) -> None:
    made = facebench("new", "block", "my_block", folder=tmp_path)
    assert "facebench try my_block.py" in made.stdout
    environment = os.environ | {
        "PYTHONPATH": str(ROOT),
        "FACEBENCH_NETWORKS": str(tmp_path / "my_block.py"),
    }
    done = subprocess.run(
        [sys.executable, "-m", "facebench", "cost", "my_block", "mobilefacenet", "--json"],
        env=environment, capture_output=True, text=True, check=True,
    )  # fmt: skip
    mine, ours = json.loads(done.stdout)
    assert mine["madds"] == ours["madds"]
    assert mine["parameters"] == ours["parameters"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["new", "block", "My Block"], "small letters, digits and underscores"),
        (["new", "block", "taken"], "taken.py exists already"),
        (["try", "none.py"], "cannot read"),
    ],
)
def test_what_will_not_do_is_one_sentence(
    arguments: list[str],
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "taken.py").write_text("x = 1\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FACEBENCH_NETWORKS", "")  # `try` sets it
    assert command_line.facebench(*arguments) == 2
    printed = capfd.readouterr().err
    assert said in printed
    assert printed.count("\n") == 1
    assert (tmp_path / "taken.py").read_text() == "x = 1\n"


@pytest.mark.parametrize(
    ("text", "said"),
    today([("x = 1\n", "registers no network"), ("y\n", "my.py, line 1: NameError")], 1),
)
def test_a_file_without_a_block_is_one_sentence(text: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "my.py").write_text(text)
    done = facebench("try", "my.py", folder=tmp_path)
    assert done.returncode == 2
    assert said in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.slow
def test_a_trial_measures_in_turns_and_leaves_a_report(tmp_path: Path) -> None:
    facebench("new", "block", "my_block", folder=tmp_path)
    text = (tmp_path / "my_block.py").read_text()
    (tmp_path / "my_block.py").write_text(text.replace("channels_in * expansion", "channels_in"))
    done = facebench(
        "try", "my_block.py", "--runtime", "onnxruntime", "--core", "", "--rounds", "3",
        folder=tmp_path,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    words = " ".join(done.stdout.split())
    for said in ("my_block beside mobilefacenet", "faster", "where the time goes", "Conv"):
        assert said in words
    assert (tmp_path / "my_block-trial" / "report.html").exists()
    lines = (tmp_path / "my_block-trial" / "records.jsonl").read_text().splitlines()
    times = [r for r in map(json.loads, lines) if r["case"]["measure"] == "latency"]
    assert len({r["result"]["beside"] for r in times}) == 1, "they took turns with each other"


def test_figures_are_held_against_those_of_the_known_network() -> None:
    known, mine = resolve("mobilefacenet"), resolve("mobilenet_v2")
    records = [f(n) for f in (cost, lambda n: latency(n, "ncnn")) for n in (known.name, mine.name)]
    found = against(known, mine, records)
    lines = {line.figure: line for line in found.lines}
    assert (found.base, found.new) == (known.name, mine.name)
    counted = lines["MAdds (conv+linear)"]
    assert counted.base
    assert counted.new
    assert counted.change == pytest.approx(counted.new / counted.base - 1)
    assert "latency" in lines
    assert not found.only_base
    assert not found.only_new


def test_shares_of_layers_sum_to_one() -> None:
    found = LayerTimes((LayerTime("a", "Conv", 3.0), LayerTime("b", "Add", 1.0)), 50)
    assert found.shares == {"Conv": 0.75, "Add": 0.25}
    assert found.total_ms == 4.0
    assert LayerTimes((), 50).shares == {}


def test_every_layer_of_the_graph_has_a_time() -> None:
    exported = export(resolve("mobilefacenet_s"))
    images, _ = exported.reference()
    found = profile(exported.onnx, images[:1])
    convolutions = [layer for layer in found if "Conv" in layer.operator]
    assert len(convolutions) == 48
    assert all(layer.ms >= 0 for layer in found)
    assert sum(layer.ms for layer in found) > 0


def test_a_network_that_no_file_can_hold_is_refused_in_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "odd.py").write_text(
        "import torch\nfrom torch import nn\n"
        "from facebench.architectures.registry import register\n\n"
        "class Odd(nn.Module):\n"
        "    def forward(self, x):\n"
        "        return torch.fft.fft(x).real.mean((2, 3))\n\n"
        "@register('odd', input_size=(32, 32), embedding_size=3, reference='mine')\n"
        "def _odd():\n    return Odd()\n"
    )
    environment = os.environ | {
        "PYTHONPATH": str(ROOT),
        "FACEBENCH_NETWORKS": str(tmp_path / "odd.py"),
    }
    done = subprocess.run(
        [sys.executable, "-m", "facebench", "export", "odd"],
        cwd=tmp_path, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert "cannot be exported to ONNX" in done.stderr
    assert "Traceback" not in done.stderr


def test_layers_are_timed_where_a_profiler_tells_them() -> None:
    job = Job(Case("layers", "mobilefacenet_s", runtime="ncnn"), resolve("mobilefacenet_s"))
    with pytest.raises(RefusedError, match="in onnxruntime alone, not in ncnn"):
        MEASURES["layers"].obtain(job)
