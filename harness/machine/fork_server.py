"""A process that has imported what others need, and forks: each child is one more like it, at once.

A child has an allocator, threads and an end of its own, as any process has. Where its libraries
lie in memory it has in common with the other children of its server; so that processes of one
case differ in that too, each comes from another server. Threads do not survive a fork: a server
that has more than one forks nothing.
"""

from __future__ import annotations

import gc
import os
import select
import signal
import socket
import subprocess
import sys
import threading
import traceback
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import IO, NoReturn, Self

from facebench.harness.machine import memory
from facebench.harness.machine.die_with_parent import die_with_parent
from facebench.harness.machine.processes import ChildProcess

# What a server takes to import is seconds, and what it takes to fork or to tell of an end is less;
# one that takes longer was stopped, or has met something else.
_READY_S, _ANSWER_S = 120.0, 20.0

# Of a process id or an exit status, as they are sent.
_NUMBER = 8

_forked = False
_imported = ""

# Pages of files that this process's parent had in its memory.
_parents_pages: Sequence[int] | None = None


def how_started() -> str:
    """Return how this process was started, for a record's provenance."""
    if not _forked:
        return "afresh"
    return f"forked, {_imported} imported before" if _imported else "forked"


def as_afresh() -> bool:
    """Return whether this process is like one that was started afresh, from here on.

    A page of a file that its parent has read counts as a fork's own once it is touched, whatever
    touches it: where nothing was imported beforehand, all of them are touched now, and count for
    nothing later.
    """
    if not _forked:
        return True
    if _imported or _parents_pages is None:
        return False
    memory.hold(_parents_pages)
    return True


@dataclass(frozen=True)
class Parent:
    """It is what a process has from the one that forks it.

    Attributes:
        imported: what was imported, or nothing.
        environment: variables, beside those of this process.
    """

    imported: str
    environment: tuple[tuple[str, str], ...]


class ForkServers:
    """Servers for the cases of one run: no two processes of a case come from the same one.

    All that are needed next import at the same time, before any of them forks.

    Args:
        command: returns the command of a server that ends in `serve`, whose file descriptor is
            added to it; it is told what to import beforehand, or nothing.
        first: those that the first processes of cases will ask for.
        later: those that later ones will.
    """

    def __init__(
        self,
        command: Callable[[str], Sequence[str]],
        first: Iterable[Parent] = (),
        later: Iterable[Parent] = (),
    ) -> None:
        self._command = command
        self._servers: dict[Parent, _ForkServer] = {}
        self._served: set[str] = set()
        self._next, self._later = set(first), set(later)
        self._threaded: set[Parent] = set()

    def start(self, case: str, parent: Parent) -> ChildProcess | None:
        """Return a new process of a case; None where it has to be started afresh.

        Args:
            case: its key.
            parent: what it has from the one that forks it.
        """
        if case in self._served:
            self.close()
        self._served.add(case)
        if parent in self._threaded:
            return None
        if parent not in self._servers:
            self._begin({parent, *self._next} - self._threaded - {*self._servers})
        server = self._servers[parent]
        try:
            if server.threads() == 1:
                return _ForkedProcess(server.requests)
            self._threaded.add(parent)
        except OSError:  # it ended: what it met, a process that is started afresh meets and tells
            pass
        self._servers.pop(parent).close()
        return None

    def close(self) -> None:
        """End all servers."""
        for server in self._servers.values():
            server.close()
        self._servers.clear()
        self._served.clear()
        self._next = self._later

    def _begin(self, parents: Iterable[Parent]) -> None:
        """Start servers, and wait until all have imported."""
        for parent in parents:
            command = self._command(parent.imported)
            environment = os.environ | dict(parent.environment)
            self._servers[parent] = _ForkServer(command, environment)
        for server in self._servers.values():
            with suppress(OSError):  # it ended, which who asks for it is told
                server.threads()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


class _ForkServer:
    """It is one server, and the socket over which it is asked to fork."""

    def __init__(self, command: Sequence[str], environment: Mapping[str, str]) -> None:
        self.requests, theirs = socket.socketpair()
        with theirs:
            self._process = ChildProcess(
                [*command, str(theirs.fileno())],
                environment=environment,
                piped=False,
                inherited=(theirs.fileno(),),
            )
        self._threads: int | None = None

    def threads(self) -> int:
        """Return how many it has, once it has imported what it was told.

        Raises:
            OSError: it has ended.
        """
        if self._threads is None:
            self._threads = _received(self.requests, _READY_S)
        return self._threads

    def close(self) -> None:
        """End it, and with it a child that runs."""
        self.requests.close()
        self._process.close()


def serve(descriptor: int, work: Callable[[], None], imported: str) -> None:
    """Fork a child that does the work whenever asked to, until nobody can ask any more.

    Args:
        descriptor: of the socket over which it is asked.
        work: what a child does, on standard streams of its own.
        imported: the package that was imported for it beforehand, or nothing.
    """
    global _imported, _parents_pages
    _imported = imported
    requests = socket.socket(fileno=descriptor)
    # What is there now is nobody's garbage: children need not look through it, or copy it.
    gc.collect()
    gc.freeze()
    _parents_pages = None if imported else memory.pages_of_files()
    known = sys.platform == "linux" and (imported or _parents_pages is not None)
    _send(requests, len(os.listdir("/proc/self/task")) if known else 0)
    server = os.getpid()
    while True:
        _, streams, _, _ = socket.recv_fds(requests, 1, 3)
        if not streams:
            return
        child = os.fork()
        if not child:
            requests.close()
            _be_child(server, streams, work)
        for stream in streams:
            os.close(stream)
        _send(requests, child)
        _, status = os.waitpid(child, 0)
        _send(requests, os.waitstatus_to_exitcode(status))


def _be_child(server: int, streams: Sequence[int], work: Callable[[], None]) -> NoReturn:
    """Do the work on these standard streams, and end as a Python program does."""
    global _forked
    _forked = True
    code = 1
    try:
        die_with_parent(server)
        for number, stream in enumerate(streams):
            os.dup2(stream, number)
            os.close(stream)
        work()
        code = 0
    except SystemExit as stop:
        code = stop.code if isinstance(stop.code, int) else 1
    except BaseException:  # a child never goes on as its server
        traceback.print_exc()
    finally:
        with suppress(OSError, ValueError):
            sys.stderr.flush()
        os._exit(code)


class _ForkedProcess(ChildProcess):
    """It is a child of a server, spoken with as one of our own."""

    def __init__(self, requests: socket.socket) -> None:
        self._own(lambda log: _Fork(requests, log))


class _Fork:
    """It is to a server's child what `subprocess.Popen` is to one of this process."""

    def __init__(self, requests: socket.socket, log: IO[bytes]) -> None:
        self._requests = requests
        self._code: int | None = None
        self._killed = False
        self._looking = threading.Lock()
        theirs_in, ours_in = os.pipe()
        ours_out, theirs_out = os.pipe()
        self.stdin: IO[bytes] | None = os.fdopen(ours_in, "wb")
        self.stdout: IO[bytes] | None = os.fdopen(ours_out, "rb")
        try:
            socket.send_fds(requests, [b"f"], [theirs_in, theirs_out, log.fileno()])
            self.pid = _received(requests, _ANSWER_S)
        except BaseException:
            self.stdin.close()
            self.stdout.close()
            raise
        finally:
            os.close(theirs_in)
            os.close(theirs_out)

    def poll(self) -> int | None:
        """Return its exit code, or the negative number of a signal; None while it runs."""
        with self._looking:
            if self._code is None and select.select([self._requests], [], [], 0)[0]:
                try:
                    self._code = _received(self._requests, _ANSWER_S)
                except OSError:  # its server has ended, and taken it along
                    self._code = -signal.SIGKILL
            return self._code

    def wait(self, timeout: float | None = None) -> int:
        """Return how it ended, as `poll` does, once it has.

        Raises:
            subprocess.TimeoutExpired: it has not, after so many seconds.
        """
        if timeout is None and self._killed:
            timeout = _ANSWER_S
        while (code := self.poll()) is None:
            if select.select([self._requests], [], [], timeout)[0]:
                continue
            if not self._killed:
                raise subprocess.TimeoutExpired("a forked process", timeout or 0.0)
            # Nobody will tell of it, and nobody shall be asked to fork again.
            self._requests.shutdown(socket.SHUT_RDWR)
        return code

    def send_signal(self, number: int) -> None:
        """Send it a signal, where it runs."""
        if self.poll() is None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def kill(self) -> None:
        """End it at once."""
        self._killed = True
        self.send_signal(signal.SIGKILL)


def _send(requests: socket.socket, number: int) -> None:
    requests.sendall(number.to_bytes(_NUMBER, "little", signed=True))


def _received(requests: socket.socket, within_s: float) -> int:
    """Return the next number.

    Raises:
        OSError: none comes: the other end is closed, or says nothing for too long.
    """
    requests.settimeout(within_s)
    try:
        found = requests.recv(_NUMBER, socket.MSG_WAITALL)
    finally:
        requests.settimeout(None)
    if len(found) < _NUMBER:
        raise ConnectionError("the fork server has ended")
    return int.from_bytes(found, "little", signed=True)
