"""Two revisions of a user's repository, from the command line to the exit code."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from torch import nn

from facebench.harness.comparison.interleaved.python_environment import PythonEnvironment
from facebench.harness.comparison.revisions import together
from tests.harness.command_line import facebench
from tests.harness.comparison.revisions.conftest import PLAN, Repo
from tests.harness.conftest import tiny_module, write_onnx

PLANNED = ("--plan", "ci.toml")


def network(folder: Path, wide: bool = False) -> bytes:
    module: nn.Module = tiny_module()
    if wide:
        module = nn.Sequential(nn.Conv2d(3, 3, 3, padding=1), module).eval()
    return write_onnx(module, folder / f"{wide}.onnx").read_bytes()


@dataclass(frozen=True)
class Done:
    """What a command came to."""

    exit_code: int
    output: str
    errors: str

    @property
    def lines(self) -> dict[str, dict[str, Any]]:
        """By figure."""
        return {line["figure"]: line for line in json.loads(self.output)["lines"]}


Compare = Callable[..., Done]


@pytest.fixture
def compare(capsys: pytest.CaptureFixture[str]) -> Compare:
    def run(*arguments: str) -> Done:
        code = facebench("compare", *arguments)
        said = capsys.readouterr()
        return Done(code, said.out, said.err)

    return run


@pytest.fixture
def face(repo: Repo, own_cache: Path, tmp_path: Path) -> bytes:
    """The network of the revision `v1`."""
    made = network(tmp_path)
    repo.commit("v1", face_onnx=made, ci_toml=PLAN)
    return made


@pytest.mark.slow
def test_a_larger_network_is_a_regression_and_the_same_is_none(
    repo: Repo, face: bytes, compare: Compare, tmp_path: Path
) -> None:
    repo.commit("v2", notes_txt="nothing that is measured")
    kept = "--keep", str(tmp_path / "kept")
    found = compare("git:v1", "git:v2", "--rounds", "2", *kept, "--json", *PLANNED)
    assert found.exit_code in (0, 1)  # of two processes a side a time may look slower
    told = found.lines
    assert told["MAdds (conv+linear)"]["verdict"] == "same"
    assert told["latency"]["base"] > 0
    assert "in turns" in json.loads(found.output)["measured"]
    sides = [(tmp_path / "kept" / f"{side}.jsonl").read_text() for side in ("base", "new")]
    tokens = {
        record["result"]["beside"]
        for side in sides
        for record in map(json.loads, side.splitlines())
        if record["case"]["measure"] == "latency"
    }
    assert len(tokens) == 1

    repo.write(face_onnx=network(tmp_path, wide=True))
    found = compare("git:v2", "git:.", "--measure", "cost", "--json", *PLANNED)
    assert found.exit_code == 1
    assert found.lines["MAdds (conv+linear)"]["verdict"] == "worse"


@pytest.mark.slow
def test_a_revision_that_cannot_take_turns_is_measured_in_whole_runs(
    repo: Repo, face: bytes, compare: Compare, monkeypatch: pytest.MonkeyPatch
) -> None:
    def able(environment: PythonEnvironment) -> bool:
        return "v1" in environment.name

    monkeypatch.setattr(together, "able", able)
    repo.commit("v2", notes_txt="older")
    found = compare("git:v1", "git:v2", "--rounds", "2", "--measure", "latency", "--json", *PLANNED)
    assert found.lines["latency"]["base"] > 0


@pytest.mark.parametrize(
    ("base", "reason"),
    [
        ("git:nowhere", "nowhere"),
        ("git:--upload-pack=x", "upload-pack"),
        ("git:v0", "has no plan ci.toml"),
    ],
)
def test_what_is_no_revision_to_be_measured_is_said(
    repo: Repo, own_cache: Path, compare: Compare, tmp_path: Path, base: str, reason: str
) -> None:
    repo.commit("v0", notes_txt="before there was a plan")
    repo.commit("v1", face_onnx=network(tmp_path), ci_toml=PLAN)
    found = compare(base, "git:v1", *PLANNED)
    assert found.exit_code == 2
    assert reason in found.errors


def test_a_plan_is_of_revisions_alone(compare: Compare) -> None:
    found = compare("a.jsonl", "b.jsonl", *PLANNED)
    assert found.exit_code == 2
    assert "name one, such as git:main" in found.errors
