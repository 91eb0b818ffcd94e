"""What devices share that are boards with a server: only how they are reached differs."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import Protocol

from facebench.architectures.errors import BadInputError, UnavailableError
from facebench.harness.devices.board import device_facts
from facebench.harness.devices.board.description import Description
from facebench.harness.devices.registry import Facts
from facebench.harness.runtimes.session import Session


class Board(Protocol):
    """It is a board, connected."""

    def describe(self) -> Description:
        """Return what it says of itself."""
        ...

    def open(self, runtime: str, artifact: Path, threads: int, counting: bool = False) -> Session:
        """Open an artifact there; the session's end is that of the connection.

        Raises:
            UnavailableError: it lacks the runtime.
            RefusedError: the artifact is for another CPU.
            LostError: it answers no more.
        """
        ...

    def close(self) -> None:
        """Hang up."""
        ...


class BoardDevice:
    """It is a board, or several alike; see `Device`.

    Args:
        name: as in `Case.device`.
        connect: connects to it, or to one of them that is free.
        count: how many there are.
    """

    remote = True

    def __init__(
        self, name: str, connect: Callable[[], Board], count: Callable[[], int] = lambda: 1
    ) -> None:
        self.name = name
        self.connect = connect
        self._count = count

    @property
    def kind(self) -> str:
        """Say what its figures are; of a board that cannot be reached, what real ones give."""
        try:
            return "emulated" if self.facts().core else "measured"
        except UnavailableError:
            return "measured"

    def facts(self) -> Facts:
        """Return the device's facts; of several boards, what one says is taken for all."""
        said = self._said
        if isinstance(said, UnavailableError):
            raise said
        return said

    @cached_property
    def _said(self) -> Facts | UnavailableError:
        """Return what it says; one that was not reached is not asked for each case again."""
        try:
            return device_facts.facts(self.name)
        except UnavailableError as error:
            return error

    def ask(self) -> Facts:
        """Ask for what `facts` gives in this process, which is lost with the board."""
        count = self._count()
        board = self.connect()
        said = board.describe()
        board.close()
        return Facts(said.target, said.runtimes, count, said.identity, said.cores, said.name)

    def open(self, runtime: str, artifact: Path, threads: int, counting: bool = False) -> Session:
        """Open a session on the board."""
        return self.connect().open(runtime, artifact, threads, counting)


def address(text: str, noun: str) -> tuple[str, int]:
    """Host and port of `host:port`.

    Raises:
        BadInputError: it is no such text.
    """
    host, colon, port = text.rpartition(":")
    if not colon or not host or not port.isdecimal() or int(port) > 65535:
        raise BadInputError(f"{noun} {text!r} is not valid: write HOST:PORT")
    return host.strip("[]"), int(port)
