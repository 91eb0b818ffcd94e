"""Releases from before all of facebench lay under one package are measured still."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from dataclasses import asdict
from importlib.util import find_spec
from pathlib import Path

import pytest

from facebench.harness.comparison.interleaved.layout import (
    CURRENT,
    LAYOUTS,
    THREE_PACKAGES,
    Layout,
)
from facebench.harness.comparison.interleaved.python_environment import PythonEnvironment
from facebench.harness.comparison.revisions import plans
from facebench.harness.comparison.revisions.measure import Wanted, measure
from facebench.harness.records.latency import Latency
from facebench.harness.records.store import Store
from facebench.harness.storage.progress import SILENT
from tests.harness.comparison.revisions.environments import Borrowing
from tests.places import ROOT

# The last commit of the three packages.
OLD = "f2fd3376aecb0fb5c56c488d18812ad05ddac4c0"

PLAN = """
networks = ["mobilefacenet"]
runtimes = ["onnxruntime"]
targets = []
datasets = []
sampling_s = 0.2
"""


def package(folder: Path, *modules: str) -> None:
    """Empty modules, named with dots."""
    for module in modules:
        path = folder.joinpath(*module.split(".")).with_suffix(".py")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def environment(folder: Path) -> PythonEnvironment:
    """One that has what is in a folder, and no package besides."""
    made = folder / "bin" / "python"
    made.parent.mkdir()
    made.write_text(f'#!/bin/sh\nexec {sys.executable} -S "$@"\n')
    made.chmod(0o755)
    return PythonEnvironment("BASE", made, {"PYTHONPATH": str(folder)}, folder)


def test_the_current_names_are_those_of_modules_here() -> None:
    for name in asdict(CURRENT).values():
        assert find_spec(name), f"{name} was moved: add its layout to LAYOUTS"


@pytest.mark.parametrize(
    ("modules", "layout"),
    [
        (("facebench.__init__",), CURRENT),
        (("harness.__init__", "harness.cli"), THREE_PACKAGES),
        (("harness.cli", "facebench.__init__"), CURRENT),
        (("harness.__init__", "harness.mine"), None),
        ((), None),
    ],
)
def test_an_environment_knows_the_layout_of_its_facebench(
    modules: tuple[str, ...], layout: Layout | None, tmp_path: Path
) -> None:
    package(tmp_path, *modules)
    found = environment(tmp_path).with_its_layout()
    assert (found and found.layout) == layout


@pytest.mark.parametrize("layout", LAYOUTS)
def test_built_in_plans_are_found_where_the_release_has_them(
    layout: Layout, tmp_path: Path
) -> None:
    package(tmp_path, f"{layout.plans}.__init__", f"{layout.cli}.__init__")
    folder = tmp_path.joinpath(*layout.plans.split("."), "plans")
    folder.mkdir()
    (folder / "small.toml").write_text('networks = ["mobilefacenet"]\nruntimes = ["ncnn"]\n')
    found = environment(tmp_path).with_its_layout()
    assert found is not None
    assert tomllib.loads(plans.halves("small", found).timed)["runtimes"] == ["ncnn"]


@pytest.mark.slow
def test_this_code_and_the_last_of_the_three_packages_are_measured_in_turns(
    tmp_path: Path, own_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = ["git", "-C", str(ROOT), "cat-file", "-e", OLD]
    if subprocess.run(asked, capture_output=True).returncode:
        pytest.skip(f"this clone is too shallow to have {OLD[:10]}")
    monkeypatch.chdir(ROOT)
    (tmp_path / "tiny.toml").write_text(PLAN)
    keep = tmp_path / "kept"
    wanted = Wanted(str(tmp_path / "tiny.toml"), 1, ("cost", "latency"), keep)
    measure([f"git:{OLD}", "git:."], wanted, SILENT, Borrowing())
    cost, tokens = [], []
    for name in ("base", "new"):
        results = {r.case.measure: r.result for r in Store(keep / f"{name}.jsonl").read()}
        cost.append(results["cost"])
        assert isinstance(results["latency"], Latency)
        tokens.append(results["latency"].beside)
    assert cost[0] == cost[1]
    assert tokens[0] == tokens[1] != ""
