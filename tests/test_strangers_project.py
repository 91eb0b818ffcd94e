"""A project with packages of the names that our folders have, beside an installed facebench."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.harness.conftest import tiny_module, write_onnx
from tests.installed import PYTEST, Installed, borrowing, install

NAMES = ("architectures", "harness", "reports", "results")

TEST = """
import pytest
from tests.helper import HELP

@pytest.mark.parametrize("name", {names})
def test_the_packages_are_the_projects_own(name):
    package = __import__(f"{{name}}.mine")
    assert package.mine.ANSWER == HELP == 42
    assert package.__file__.startswith({folder!r})

def test_the_plugin_is_there(pytestconfig):
    assert pytestconfig.pluginmanager.has_plugin("facebench")
"""

LATENCY = """
def test_the_network_stays_fast(facebench_latency):
    facebench_latency("onnx:tiny.onnx", processes=2, margin=0.5, baseline="main")
"""

PYTESTS = (("pytest",), ("python", "-m", "pytest"))


@pytest.fixture
def project(tmp_path: Path) -> Path:
    files = {f"{name}/mine.py": "ANSWER = 42\n" for name in NAMES}
    files |= {f"{name}/__init__.py": "" for name in (*NAMES, "tests")}
    files |= {
        "tests/helper.py": "HELP = 42\n",
        "tests/test_mine.py": TEST.format(names=NAMES, folder=str(tmp_path)),
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


@pytest.fixture(scope="module")
def alone(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Installed:
    """facebench and pytest, without anything else that facebench needs."""
    return install(wheel, borrowing(tmp_path_factory.mktemp("alone") / "venv", PYTEST))


def last_line(done: subprocess.CompletedProcess[str]) -> str:
    return (done.stdout.strip().splitlines() or [done.stderr])[-1]


@pytest.mark.parametrize("command", PYTESTS)
def test_a_strangers_project_keeps_its_packages(
    command: Sequence[str], project: Path, alone: Installed
) -> None:
    done = alone.run(project, *command, "-q")
    assert done.returncode == 0, done.stdout + done.stderr
    assert last_line(done).startswith(f"{len(NAMES) + 1} passed")


@pytest.mark.slow
def test_a_strangers_project_uses_the_fixture(project: Path, installed: Installed) -> None:
    (project / "tests/test_latency.py").write_text(LATENCY)
    write_onnx(tiny_module(), project / "tiny.onnx")
    missing = installed.run(project, *PYTESTS[0], "-q")
    assert "is not in the baseline main" in missing.stdout
    for command in ((*PYTESTS[0], "--facebench-update-baseline"), PYTESTS[1]):
        done = installed.run(project, *command, "-q")
        assert done.returncode == 0, done.stdout + done.stderr
        assert last_line(done).startswith(f"{len(NAMES) + 2} passed")
    assert list((project / "results/baselines/main").glob("latency-*.json"))
