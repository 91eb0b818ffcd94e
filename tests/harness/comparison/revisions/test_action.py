"""The action for GitHub: its steps, run as they are written, for a pull request that is made up."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml
from torch import nn

from tests.harness.comparison.revisions.conftest import Repo
from tests.harness.conftest import tiny_module, write_onnx

TOP = Path(__file__).parents[4]
ACTION = yaml.safe_load((TOP / "action.yml").read_text())

# A runner's, of which composite actions know these.
SHELL = ["bash", "--noprofile", "--norc", "-eo", "pipefail"]


@dataclass
class Runner:
    """What GitHub's runner does with the steps of a composite action that are scripts.

    Attributes:
        temp: of the job.
        at: the checkout.
        event: as GitHub describes what happened.
        inputs: of the action, where they are not its defaults.
    """

    temp: Path
    at: Path
    event: dict[str, Any]
    inputs: dict[str, str] = field(default_factory=dict)

    @property
    def summary(self) -> Path:
        """The job's summary."""
        return self.temp / "summary.md"

    @property
    def posted(self) -> Path:
        """What `gh` was called with."""
        return self.temp / "gh.txt"

    def value(self, expression: str) -> str:
        """An expression's, of the few forms that the action has."""
        for part in map(str.strip, expression.split("||")):
            literal = re.fullmatch(r"'(.*)'", part)
            if found := literal[1] if literal else self._looked_up(part):
                return found
        return ""

    def run(self, *names: str) -> dict[str, subprocess.CompletedProcess[str]]:
        """Run these steps, in the order of the action; after one that failed those alone that
        always run.
        """
        done: dict[str, subprocess.CompletedProcess[str]] = {}
        for step in ACTION["runs"]["steps"]:
            failed = any(one.returncode for one in done.values())
            if step.get("name") in names and (not failed or step.get("if") == "always()"):
                done[step["name"]] = self._step(step)
        return done

    def _step(self, step: dict[str, Any]) -> subprocess.CompletedProcess[str]:
        assert step["shell"] == "bash"
        assert "${{" not in step["run"], "what others write reaches a script as data alone"
        own = {name: self._filled(str(text)) for name, text in step.get("env", {}).items()}
        path = f"{self.temp}/bin:{os.environ['PATH']}"
        runner = {"RUNNER_TEMP": str(self.temp), "GITHUB_STEP_SUMMARY": str(self.summary)}
        script = self.temp / "step.sh"
        script.write_text(step["run"])
        return subprocess.run(
            [*SHELL, str(script)],
            cwd=self.at,
            env=os.environ | runner | {"PATH": path, "POSTED": str(self.posted)} | own,
            capture_output=True,
            text=True,
            check=False,
        )

    def _filled(self, text: str) -> str:
        return re.sub(r"\$\{\{(.*?)\}\}", lambda found: self.value(found[1].strip()), text)

    def _looked_up(self, name: str) -> str:
        first, *rest = name.split(".")
        if first == "inputs":
            asked = self.inputs.get(rest[0])
            return self._filled(ACTION["inputs"][rest[0]]["default"]) if asked is None else asked
        context: Any = {
            "github": {
                "event": self.event,
                "action_path": str(TOP),
                "token": "secret",
                "repository": "someone/faces",
            }
        }
        for part in (first, *rest):
            context = context.get(part, {})
        return "" if context == {} else str(context)


@pytest.fixture
def runner(repo: Repo, tmp_path: Path) -> Runner:
    """A pull request that makes a network larger; facebench is there already, and a `gh`."""
    wide = nn.Sequential(nn.Conv2d(3, 3, 3, padding=1), tiny_module()).eval()
    small = write_onnx(tiny_module(), tmp_path / "small.onnx").read_bytes()
    base = repo.commit("base", face_onnx=small)
    repo.commit("", face_onnx=write_onnx(wide, tmp_path / "wide.onnx").read_bytes())
    temp = tmp_path / "temp"
    for folder in ("bin", "facebench/python/bin"):
        (temp / folder).mkdir(parents=True)
    programs = {
        "facebench/python/bin/python": f'exec {sys.executable} "$@"',
        "facebench/python/bin/facebench": f'exec {sys.executable} -P -m facebench "$@"',
        "bin/gh": 'printf "%s\\n" "$GH_REPO" "$GH_TOKEN" "$@" > "$POSTED"; exit ${GH_FAILS:-0}',
    }
    for name, line in programs.items():
        (temp / name).write_text(f"#!/bin/sh\n{line}\n")
        (temp / name).chmod(0o755)
    event = {"pull_request": {"number": 7, "base": {"sha": base}}}
    return Runner(temp, repo.top, event, {"networks": "face.onnx", "rounds": "2"})


@pytest.mark.slow
def test_a_pull_request_that_enlarges_a_network_fails_and_is_told(runner: Runner) -> None:
    done = runner.run("Compare", "Show the table")
    assert done["Compare"].returncode == 1, done["Compare"].stdout + done["Compare"].stderr
    assert "::error title=worse" in done["Compare"].stdout
    assert done["Show the table"].returncode == 0
    table = runner.summary.read_text()
    assert "MAdds" in table
    repository, token, *arguments = runner.posted.read_text().splitlines()
    assert (repository, token) == ("someone/faces", "secret")
    assert arguments[:3] == ["pr", "comment", "7"]
    posted = Path(arguments[arguments.index("--body-file") + 1]).read_text()
    assert posted == table
    kept = (runner.temp / "facebench" / "records" / "new.jsonl").read_text().splitlines()
    assert {json.loads(line)["case"]["measure"] for line in kept} == {"cost", "export", "latency"}


@pytest.mark.slow
def test_a_change_of_nothing_that_is_measured_passes(runner: Runner, repo: Repo) -> None:
    repo.git("checkout", "-q", "base")
    repo.commit("", notes_txt="nothing that is measured")
    runner.inputs["margin"] = "50%"  # two processes a side are few
    done = runner.run("Compare", "Show the table")
    assert done["Compare"].returncode == 0, done["Compare"].stdout + done["Compare"].stderr


def test_a_table_that_may_not_be_posted_is_shown_all_the_same(
    runner: Runner, monkeypatch: pytest.MonkeyPatch
) -> None:
    (runner.temp / "facebench" / "table.md").write_text("a table\n")
    monkeypatch.setenv("GH_FAILS", "1")
    shown = runner.run("Show the table")["Show the table"]
    assert shown.returncode == 0
    assert "may not comment" in shown.stdout
    assert runner.summary.read_text() == "a table\n"


@pytest.mark.parametrize("event", [{}, {"pull_request": {"number": 7}}])
def test_nothing_is_posted_where_nothing_was_compared_or_nobody_asked(
    runner: Runner, event: dict[str, Any]
) -> None:
    runner.event = event
    runner.inputs["comment"] = "false" if event else "true"
    for table in ("", "a table\n"):
        if table:
            (runner.temp / "facebench" / "table.md").write_text(table)
        assert runner.run("Show the table")["Show the table"].returncode == 0
    assert not runner.posted.exists()
    assert runner.summary.read_text() == "a table\n"


def test_a_mistake_in_the_inputs_ends_in_a_sentence(runner: Runner) -> None:
    runner.inputs["networks"] = "no_such_network"
    done = runner.run("Compare")["Compare"]
    assert done.returncode == 2
    assert "unknown network 'no_such_network'" in done.stderr
