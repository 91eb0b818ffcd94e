"""Looking at a plan connects to nobody whom it names; running one says to whom it will."""

import socket
from itertools import count
from pathlib import Path

import pytest

from facebench.architectures.errors import UnavailableError
from facebench.harness.devices.board import device_facts
from facebench.harness.runs.plan_run import RunRequest, run_plan
from tests.harness.command_line import facebench

# Devices are kept for a process's life, and with them what they said: each test has others.
HOSTS = (f"198.51.100.{number}" for number in count(1))


@pytest.fixture
def reached(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Whom something tried to reach."""
    tried: list[str] = []

    def refuse(name: object, *rest: object, **options: object) -> None:
        tried.append(str(name))
        raise UnavailableError(f"{name} is not reached in tests")

    monkeypatch.setattr(device_facts, "facts", refuse)
    monkeypatch.setattr(socket, "create_connection", refuse)
    return tried


@pytest.fixture
def boards() -> tuple[str, ...]:
    host = next(HOSTS)
    return f"rpc://{host}:9090", f"ssh://x@{host}", f"tracker://{host}:9190/pi"


@pytest.fixture
def plan(tmp_path: Path, boards: tuple[str, ...]) -> Path:
    path = tmp_path / "given.toml"
    path.write_text(
        'networks = ["mobilefacenet", "mobilenet_v2"]\n'
        f'runtimes = ["tvm", "onnxruntime"]\ndevices = {[*boards]}\n'
    )
    return path


def test_looking_at_a_plan_reaches_nobody(
    plan: Path,
    tmp_path: Path,
    reached: list[str],
    boards: tuple[str, ...],
    capfd: pytest.CaptureFixture[str],
) -> None:
    assert facebench("plan", plan, "-o", tmp_path) == 0
    assert reached == []
    said = capfd.readouterr().err
    assert all(board in said for board in boards)
    assert "--connect asks" in said


def test_looking_reaches_out_where_it_is_asked_to(
    plan: Path, tmp_path: Path, reached: list[str]
) -> None:
    assert facebench("plan", plan, "--connect", "-o", tmp_path) == 2
    assert reached


def test_running_says_whom_it_connects_to_before_it_does(
    plan: Path, tmp_path: Path, reached: list[str], boards: tuple[str, ...]
) -> None:
    said: list[str] = []

    def say(sentence: str) -> None:
        assert not reached
        said.append(sentence)

    with pytest.raises(UnavailableError):
        run_plan(RunRequest(str(plan), tmp_path), say=say)
    assert f"connecting to {', '.join(boards)}" in said
    # A board that is not there is not tried for each case anew.
    assert len(reached) == len(set(reached))
