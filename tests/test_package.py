"""What is installed is whole: data, templates and plans travel with the code."""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.places import ROOT

# A GitHub file is 100 MB at most, a package on PyPI too; ours stays far below.
_LARGEST_BYTES = 45e6


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps"]
    command += ["--no-build-isolation", "-w", str(folder), str(ROOT)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert not done.returncode, done.stderr
    (built,) = folder.glob("*.whl")
    return built


def test_the_wheel_holds_every_file_that_the_code_reads(wheel: Path) -> None:
    held = set(zipfile.ZipFile(wheel).namelist())
    for folder in (
        *("results/paper", "results/reference", "results/tuning", "results/weights"),
        *("reports/templates", "harness/runs/plans", "harness/training/recipes"),
        *("harness/devices/emulator", "harness/cli/templates"),
    ):
        for path in (ROOT / folder).iterdir():
            if path.is_file():
                assert f"facebench/{folder}/{path.name}" in held
    assert {"facebench/py.typed", "facebench/harness/machine/cores.toml"} <= held


def test_the_wheel_has_one_name_at_its_top_and_is_small(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    tops = {name.partition("/")[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"facebench"}
    apart = ("tests/", "benchmarks/", "/out/", "/baselines/", "/error_rates/")
    assert not [name for name in names if any(part in name for part in apart)]
    assert wheel.stat().st_size < _LARGEST_BYTES
