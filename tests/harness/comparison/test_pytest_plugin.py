"""The fixture, in tests of another repository that pytest runs in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from facebench.harness.comparison.baselines import Baselines, to_text
from facebench.harness.records.comparable import PEAK_MEMORY, Timed
from tests.harness.comparison.sides import ENVIRONMENT, LATENCY, entry, latency, timed
from tests.places import ROOT

TEST = """
def test_the_network_stays_fast(facebench_latency):
    facebench_latency("mobilefacenet", runtime="onnxruntime", baseline="main")
"""

# What the harness would measure, so that nothing is.
CONFTEST = """
import pytest
from facebench.harness.comparison import pytest_plugin
from facebench.harness.comparison.baselines import from_text

@pytest.fixture(autouse=True)
def measured(monkeypatch):
    entry = from_text(open("measured.json").read(), "measured.json")
    monkeypatch.setattr(pytest_plugin, "_measured", lambda *args: entry)
"""


def run(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """Run the tests in a folder; the plugin is loaded by name, installed or not."""
    command = [
        sys.executable, "-m", "pytest", "-q", "-rsw", "-c", "/dev/null", "--rootdir", str(folder),
        "-p", "no:cacheprovider", "-p", "facebench.harness.comparison.pytest_plugin", *options,
    ]  # fmt: skip
    here = {"PYTHONPATH": str(ROOT), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    return subprocess.run(
        command, capture_output=True, text=True, cwd=folder, env={**os.environ, **here}
    )


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    (tmp_path / "test_it.py").write_text(TEST)
    (tmp_path / "conftest.py").write_text(CONFTEST)
    measures(tmp_path)
    return tmp_path


def measures(folder: Path, ms: float = 5.0) -> None:
    (folder / "measured.json").write_text(to_text(latency(ms, seed=1)))


def test_the_baseline_is_made_by_an_option_and_kept_to_after_that(repository: Path) -> None:
    first = run(repository)
    assert first.returncode == 1
    assert "pytest --facebench-update-baseline" in first.stdout
    assert "Traceback" not in first.stdout
    assert run(repository, "--facebench-update-baseline").returncode == 0
    assert len(Baselines(repository / "results/baselines").load("main")) == 1
    assert run(repository).returncode == 0
    measures(repository, 5.5)
    slower = run(repository)
    assert slower.returncode == 1
    assert "latency mobilefacenet onnxruntime: slower: +" in slower.stdout


def test_the_store_can_be_chosen(repository: Path) -> None:
    run(repository, "--facebench-update-baseline", "--facebench-store", str(repository / "s"))
    assert Baselines(repository / "s").names() == ["main"]


def test_what_cannot_be_said_is_no_failure_and_is_told(repository: Path) -> None:
    other = latency(environment={**ENVIRONMENT, "cpu_model": "Cortex-A72"})
    Baselines(repository / "results/baselines").save("main", [other])
    skipped = run(repository)
    assert skipped.returncode == 0
    assert "they differ in cpu_model (Cortex-A72 and AMD EPYC 9B45)" in skipped.stdout
    one = entry(LATENCY, timed([5.2]))
    Baselines(repository / "results/baselines").save("main", [one])
    warned = run(repository)
    assert warned.returncode == 0
    assert "slow-downs of +" in warned.stdout


def test_pytest_alone_is_all_that_is_imported_until_the_fixture_is_asked_for() -> None:
    code = (
        "import sys, facebench.harness.comparison.pytest_plugin;"
        "print(sorted({name.split('.')[0] for name in sys.modules} & {'torch', 'numpy', 'scipy'}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


@pytest.mark.slow
def test_the_fixture_measures_a_network(
    tiny_onnx: Path, tmp_path: Path, cache_folder: Path
) -> None:
    (tmp_path / "test_it.py").write_text(
        "def test_it(facebench_latency):\n"
        f"    facebench_latency('onnx:{tiny_onnx}', processes=2, margin=0.5)\n"
    )
    assert run(tmp_path, "--facebench-update-baseline").returncode == 0
    (found,) = Baselines(tmp_path / "results/baselines").load("main")
    figure, memory = found.figures
    assert isinstance(figure, Timed)
    assert memory.name == PEAK_MEMORY
    assert len(figure.medians) == 2
    again = run(tmp_path)
    assert "failed" not in again.stdout.splitlines()[-1]


@pytest.mark.slow
def test_the_fixture_times_two_networks_in_turns(
    tiny_onnx: Path, tmp_path: Path, cache_folder: Path
) -> None:
    other = tmp_path / "other.onnx"
    other.write_bytes(tiny_onnx.read_bytes())
    (tmp_path / "test_it.py").write_text(
        "def test_it(facebench_latency):\n"
        f"    facebench_latency('onnx:{other}', against='onnx:{tiny_onnx}',\n"
        "                      processes=2, margin=3)\n"
    )
    done = run(tmp_path)
    assert done.returncode == 0, done.stdout
    assert "jobs" not in done.stdout
