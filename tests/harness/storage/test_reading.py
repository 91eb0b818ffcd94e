"""A pipe given as a file is refused by every command, and waited for by none."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from facebench.architectures.errors import BadInputError
from facebench.harness.storage.reading import regular
from tests.harness.command_line import facebench

SUFFIXES = ("bin", "csv", "jsonl", "onnx", "py", "safetensors", "toml")


@pytest.fixture
def pipe(tmp_path: Path) -> Iterator[str]:
    """A path without its suffix; pipes of all suffixes are there."""
    for suffix in SUFFIXES:
        os.mkfifo(tmp_path / f"pipe.{suffix}")
    signal.alarm(60)  # whoever opens one waits for ever
    yield str(tmp_path / "pipe")
    signal.alarm(0)


COMMANDS = [
    "report {}.jsonl -o {}.out",
    "compare {}.jsonl {}.jsonl",
    "claims {}.jsonl",
    "baseline save one {}.jsonl --store {}.store",
    "run {}.toml",
    "plan {}.toml",
    "cost onnx:{}.onnx",
    "try {}.py",
    "verify mobilefacenet_s --weights mobilefacenet_s={}.safetensors",
    "verify mobilefacenet_s --dataset list:{}.csv",
    "verify mobilefacenet_s --dataset bin:{}.bin",
    "card {}.safetensors",
]


@pytest.mark.parametrize("command", COMMANDS)
def test_a_pipe_is_no_file(command: str, pipe: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert facebench(*command.replace("{}", pipe).split()) == 2
    assert "Traceback" not in capfd.readouterr().err


def test_a_file_and_what_is_not_there_pass(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert regular(tmp_path / "file") == tmp_path / "file"
    assert regular(tmp_path / "nothing") == tmp_path / "nothing"
    for other in (tmp_path, Path("/dev/null")):
        with pytest.raises(BadInputError, match="no regular file"):
            regular(other)
