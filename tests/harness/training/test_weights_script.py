"""The script that trains the shipped weights anew asks for what the command takes, in its order."""

import os
import subprocess
from pathlib import Path

import pytest

from facebench.harness.storage import shipped
from tests.places import ROOT
from tests.test_documentation import parse

SCRIPT = ROOT / "results" / "weights" / "train.sh"
CLAIMED = 6


def run(folder: Path, answer: str = "exit 0", **variables: str) -> list[list[str]]:
    """Run the script with a command in facebench's place, and return what that was told."""
    stand_in = folder / "facebench"
    stand_in.write_text(f"#!/bin/sh\nprintf '%s|' \"$@\" >> told; echo >> told\n{answer}\n")
    stand_in.chmod(0o755)
    own = {"FACES": "f.tar", "PUBLIC": "p.onnx", "FACEBENCH_DATA": "d", "JOBS": "1"} | variables
    own["PATH"] = f"{folder}:{os.environ['PATH']}"
    subprocess.run(["sh", "-eu", SCRIPT, folder / "out"], env=own, check=True, cwd=folder)
    told = folder / "told"
    return [line.split("|")[:-1] for line in told.read_text().splitlines()] if told.exists() else []


def test_all_that_is_shipped_is_trained_once_and_then_more_seeds(tmp_path: Path) -> None:
    told = run(tmp_path, W600K="w.onnx")
    parse(told[0])
    for words in told:
        assert words.count("--teacher") == words.count("--teacher-licence") == 2
        assert {"--compile", "--evaluate"} <= set(words)
    order = [(words[1], words[words.index("--seeds") + 1]) for words in told]
    names = [network for network, seeds in order if seeds == "1"]
    assert order[: len(names)] == [(name, "1") for name in names]
    assert {name for name in shipped.weights() if "-" not in name} == set(names)
    again = [(name, seeds) for seeds in ("2", "3") for name in names[:CLAIMED]]
    assert order[len(names) :] == again


def test_a_network_that_cannot_be_compiled_is_trained_without(tmp_path: Path) -> None:
    told = run(tmp_path, 'case "$*" in *--compile*) exit 1;; esac', FACEBENCH_DATA="")
    assert ["--compile" in words for words in told[:4]] == [True, False, True, False]
    parse(told[1])
    assert told[0].count("--teacher") == 1
    assert "--evaluate" not in told[0]


def test_what_is_refused_is_not_tried_twice_and_the_next_is_begun(tmp_path: Path) -> None:
    told = run(tmp_path, "exit 2", OPTIONS="--workers 3")
    assert told[0][1] != told[1][1]
    assert told[0][told[0].index("--workers") + 1] == "3"
    assert "--compile" not in told[0]


def test_nothing_is_begun_when_the_time_is_up(tmp_path: Path) -> None:
    assert run(tmp_path, MINUTES="0") == []


@pytest.mark.parametrize("missing", ["FACES", "PUBLIC"])
def test_what_is_not_said_is_asked_for(missing: str, tmp_path: Path) -> None:
    own = {"FACES": "f", "PUBLIC": "p", "PATH": os.environ["PATH"]}
    del own[missing]
    done = subprocess.run(
        ["sh", SCRIPT, tmp_path / "out"], env=own, capture_output=True, text=True, check=False
    )
    assert done.returncode
    assert f"{missing}: say" in done.stderr
