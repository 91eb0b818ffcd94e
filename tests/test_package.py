"""What is installed is whole: data, templates and plans travel with the code."""

from __future__ import annotations

import json
import re
import tomllib
import zipfile
from itertools import chain
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from tests.installed import Installed
from tests.places import ROOT

# A GitHub file is 100 MB at most, a package on PyPI too; ours stays far below.
_LARGEST_BYTES = 45e6


def test_the_wheel_holds_every_file_that_the_code_reads(wheel: Path) -> None:
    held = set(zipfile.ZipFile(wheel).namelist())
    for folder in (
        *(
            "results/arm_model",
            "results/paper",
            "results/reference",
            "results/tuning",
            "results/weights",
        ),
        *("reports/templates", "harness/runs/plans", "harness/training/recipes"),
        *("harness/devices/emulator", "harness/cli/templates"),
    ):
        for path in (ROOT / folder).iterdir():
            if path.is_file():
                assert f"facebench/{folder}/{path.name}" in held
    assert {"facebench/py.typed", "facebench/harness/machine/cores.toml"} <= held
    assert "facebench/harness/machine/boards.toml" in held


def test_the_wheel_has_one_name_at_its_top_and_is_small(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    tops = {name.partition("/")[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"facebench"}
    apart = ("tests/", "benchmarks/", "/out/", "/baselines/", "/error_rates/")
    assert not [name for name in names if any(part in name for part in apart)]
    assert wheel.stat().st_size < _LARGEST_BYTES


def test_what_is_needed_has_one_version_that_was_tested() -> None:
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pins = dict(line.split("==") for line in lines if not line.startswith("#"))
    tested = {_normal(name): version for name, version in pins.items()}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    for text in chain(project["dependencies"], *project["optional-dependencies"].values()):
        needed = Requirement(text)
        assert needed.specifier.contains(tested[_normal(needed.name)]), text


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def test_site_packages_gain_one_package(installed: Installed) -> None:
    assert {name for name in installed.gained if not name.endswith(".dist-info")} == {"facebench"}
    assert len(installed.gained) == 2


# What an installation finds, wherever it stands.
FOUND = """
import json
from facebench.harness.records.store import Store
from facebench.harness.runs.plan import BUILT_IN
from facebench.harness.storage import shipped

print(json.dumps({
    "installed": shipped.installed(),
    "weights": {name: path.stat().st_size for name, path in shipped.weights().items()},
    "records": len(Store(shipped.folder("reference") / "records.jsonl").read()),
    "tuning": sorted(path.name for path in shipped.folder("tuning").iterdir()),
    "plans": sorted(path.name for path in BUILT_IN.iterdir()),
}))
"""


def test_what_is_shipped_is_found_from_any_folder(installed: Installed, tmp_path: Path) -> None:
    done = installed.run(tmp_path, "python", "-c", FOUND)
    assert done.returncode == 0, done.stderr
    results, plans = ROOT / "results", ROOT / "harness" / "runs" / "plans"
    weights = {path.stem: path.stat().st_size for path in results.glob("weights/*.safetensors")}
    assert weights
    assert json.loads(done.stdout) == {
        "installed": True,
        "weights": weights,
        "records": len((results / "reference" / "records.jsonl").read_text().splitlines()),
        "tuning": sorted(path.name for path in results.glob("tuning/*")),
        "plans": sorted(path.name for path in plans.glob("*.toml")),
    }


@pytest.mark.slow
def test_the_commands_run_from_any_folder(installed: Installed, tmp_path: Path) -> None:
    def printed(*arguments: str) -> str:
        done = installed.run(tmp_path, "facebench", *arguments)
        assert done.returncode == 0, done.stderr
        return done.stdout

    assert "mobilefacenet" in printed("list")
    reference = installed.folder.glob("lib/*/site-packages/facebench/results/reference")
    claims = json.loads(printed("claims", *map(str, reference), "--json"))
    assert "supported" in {claim["verdict"] for claim in claims}
    assert "latency" in printed("plan", "quick")
    counted = json.loads(printed("cost", "mobilefacenet", "--json"))
    assert counted
    assert "mobilefacenet" in printed("export", "mobilefacenet", "--weights", "shipped", "-o", ".")
    assert list(tmp_path.glob("*.onnx"))
