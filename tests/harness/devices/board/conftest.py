"""Servers in processes of their own, and a cable to them that can be cut."""

import contextlib
import queue
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Protocol

import pytest

from facebench.harness.devices.board import dialling
from facebench.harness.machine.processes import dying_with_parent, python_module
from tests.places import ROOT

# For what takes a second or two on an idle machine.
PATIENCE_S = 60.0

# What a server tells once it is up; its port comes last.
UP = re.compile(r"(?:serving|bound|tracker listening) .*:(\d+)$")


class Served:
    """A server's process: where it listens, and what it said on standard error."""

    def __init__(self, command: Sequence[str]) -> None:
        self.process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        self.said: list[str] = []
        self._lines: queue.Queue[str] = queue.Queue()
        threading.Thread(target=self._listen, daemon=True).start()
        try:
            self.port = self._up()
        except BaseException:
            self.kill()
            raise

    def stop(self) -> int:
        """Ask it to end; its exit code."""
        self.process.terminate()
        return self.process.wait(PATIENCE_S)

    def kill(self) -> None:
        self.process.send_signal(signal.SIGCONT)  # where it was stopped
        self.process.kill()
        self.process.wait()

    def _listen(self) -> None:
        assert self.process.stderr is not None
        with contextlib.suppress(ValueError):  # closed
            for line in self.process.stderr:
                self.said.append(line.rstrip())
                self._lines.put(line.rstrip())
        self._lines.put("")

    def _up(self) -> int:
        while not (found := UP.match(line := self._lines.get(timeout=PATIENCE_S))):
            assert line, f"it did not come up: {self.said}"
        return int(found[1])


class Serve(Protocol):
    """Starts a command of `facebench device`, or another server."""

    def __call__(self, *words: str, command: Sequence[str] = ()) -> Served: ...


def facebench_device(*words: str) -> list[str]:
    """The command of a process that ends with this one, however that does."""
    return dying_with_parent(python_module("facebench", "device", *words))


@pytest.fixture
def gone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits long for a board to come back, in this process and in those below it."""
    monkeypatch.setattr(dialling, "RETURN_S", 0.0)
    monkeypatch.setenv("FACEBENCH_TEST_BOARD_IS_GONE", "1")


@pytest.fixture(scope="session")
def board(cache_folder: Path) -> Iterator[Served]:
    """A server that tests share; they leave it alive."""
    served = Served(facebench_device("serve", "--port", "0"))
    yield served
    served.kill()


@pytest.fixture
def serve(cache_folder: Path) -> Iterator[Serve]:
    """What it starts ends with the test."""
    started: list[Served] = []

    def start(*words: str, command: Sequence[str] = ()) -> Served:
        started.append(Served(command or facebench_device(*words)))
        return started[-1]

    yield start
    for served in started:
        # TVM's tracker is a process of its own, which ends when it is told to.
        with contextlib.suppress(subprocess.TimeoutExpired):
            served.process.send_signal(signal.SIGCONT)
            served.process.terminate()
            served.process.wait(5)
        served.kill()


class LaidCable:
    """A cable in a process of its own; see `Cable`."""

    def __init__(self, port: int, most: int = sys.maxsize, silently: bool = False) -> None:
        arguments = [str(port), str(most), str(silently)]
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.harness.devices.board.cable", *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
        )
        self.port = int(self._told())

    def cut(self) -> None:
        """End the connections that there are; others may come."""
        assert self._process.stdin is not None
        self._process.stdin.write("cut\n")
        self._process.stdin.flush()
        self._told()

    def close(self) -> None:
        self._process.kill()
        self._process.communicate()

    def _told(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline()


@pytest.fixture
def cable() -> Iterator[Callable[..., LaidCable]]:
    """Cables that end with the test."""
    laid: list[LaidCable] = []

    def lay(port: int, most: int = sys.maxsize, silently: bool = False) -> LaidCable:
        laid.append(LaidCable(port, most, silently))
        return laid[-1]

    yield lay
    for each in laid:
        each.close()
