"""Child processes: how they are started, spoken with, ended, and what is said of their end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Protocol, Self

from facebench.harness.machine import die_with_parent

# The exit code of a process that lost its device: what it did is tried once more.
LOST = os.EX_TEMPFAIL

# What numerical libraries read how many threads to use from.
THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")

# What is looked at of a log, in bytes, and shown of its last line, in characters: a runtime may
# print for hours, and a line of C++ symbols may be longer than a screen.
_END_OF_LOG = 2**16
_SHOWN = 300

# Lines that are kept of a command that is followed.
_KEPT_LINES = 20


def dying_with_parent(command: Sequence[str]) -> list[str]:
    """Return a command that ends with the process that starts it, whatever it is written in.

    A `preexec_fn` would do the same without a second program, and may hang where other threads
    live, as they do in any process that has opened a runtime.
    """
    return [sys.executable, "-I", "-S", die_with_parent.__file__, str(os.getpid()), *command]


def python_module(module: str, *arguments: str, python: str | Path = sys.executable) -> list[str]:
    """Return the command that runs a module of ours."""
    # -P: a folder called `facebench` where the user stands is not ours.
    return [str(python), "-P", "-m", module, *arguments]


def thread_variables(threads: int) -> dict[str, str]:
    """Return the variables that tell every numerical library, and TVM, how many threads to use."""
    return dict.fromkeys((*THREAD_VARIABLES, "TVM_NUM_THREADS"), str(threads))


@dataclass(frozen=True)
class Ending:
    """It says how a process ended.

    Attributes:
        code: its exit code, or the negative number of the signal that ended it.
        said: the last line of its log, shortened; empty where it said nothing.

    Example:
        >>> print(Ending(-11, "loading model.onnx"))
        ended by SIGSEGV; the last it said: loading model.onnx
    """

    code: int
    said: str = ""

    @property
    def signal(self) -> str:
        """Return the name of the signal that ended it; empty where it left by itself."""
        if self.code >= 0:
            return ""
        try:
            return signal.Signals(-self.code).name
        except ValueError:  # a real-time signal
            return f"signal {-self.code}"

    @property
    def last_words(self) -> str:
        """Say what comes after a sentence on its end; empty where it said nothing."""
        return f"; the last it said: {self.said}" if self.said else ""

    def __str__(self) -> str:
        how = f"by {self.signal}" if self.signal else f"with exit code {self.code}"
        return f"ended {how}{self.last_words}"


class _Started(Protocol):
    """What is needed of a process that was started, as in `subprocess.Popen`."""

    stdin: IO[bytes] | None
    stdout: IO[bytes] | None
    pid: int

    def poll(self) -> int | None: ...
    def wait(self, timeout: float | None = None) -> int: ...
    def send_signal(self, sig: int, /) -> None: ...
    def kill(self) -> None: ...


class ChildProcess:
    """A process that this one speaks with over pipes; what it says beside is kept in a log.

    Args:
        command: what is run.
        environment: all of its variables; those of this process where it is None.
        folder: that it stands in; this process's where it is None.
        piped: whether its standard input and output are pipes to this process; where they are
            not, it has no input, and its output is in the log as well.
        inherited: file descriptors that it has too.

    Attributes:
        pid: its process id.
        hung: whether it was killed because a `limit` passed.
    """

    def __init__(
        self,
        command: Sequence[str],
        *,
        environment: Mapping[str, str] | None = None,
        folder: Path | None = None,
        piped: bool = True,
        inherited: Sequence[int] = (),
    ) -> None:
        self._own(
            lambda log: subprocess.Popen(
                command,
                stdin=subprocess.PIPE if piped else subprocess.DEVNULL,
                stdout=subprocess.PIPE if piped else log,
                stderr=log,
                env=environment,
                cwd=folder,
                pass_fds=inherited,
            )
        )

    def _own(self, start: Callable[[IO[bytes]], _Started]) -> None:
        """Start it with a log of its own."""
        self._log = tempfile.TemporaryFile()  # noqa: SIM115  # closed with the process
        try:
            self._process = start(self._log)
        except BaseException:
            self._log.close()
            raise
        self.pid = self._process.pid
        self.hung = False

    @property
    def output(self) -> IO[bytes]:
        """Return its standard output."""
        assert self._process.stdout is not None
        return self._process.stdout

    @property
    def running(self) -> bool:
        """Say whether it has not ended."""
        return self._process.poll() is None

    def send(self, data: bytes, last: bool = False) -> None:
        """Write to its standard input; one that has ended is told of by what is read next.

        Args:
            last: nothing comes after it: its input ends.
        """
        assert self._process.stdin is not None
        # ValueError: it was closed by another thread.
        with suppress(OSError, ValueError):
            self._process.stdin.write(data)
            self._process.stdin.flush()
        if last:
            with suppress(OSError):
                self._process.stdin.close()

    def line(self, limit_s: float | None = None) -> bytes:
        """Return the next line of its output, with its end; empty where it ended, or was closed.

        Args:
            limit_s: seconds until it is killed; None waits for ever.
        """
        with self.limit(limit_s):
            try:
                line = self.output.readline()
            except ValueError:  # closed by another thread
                return b""
        return line if line.endswith(b"\n") else b""

    @contextmanager
    def limit(self, seconds: float | None) -> Iterator[None]:
        """Kill the process where what is done inside takes longer; None sets no limit."""
        if seconds is None:
            yield
            return
        watchdog = threading.Timer(seconds, self._stop)
        watchdog.daemon = True
        watchdog.start()
        try:
            yield
        finally:
            watchdog.cancel()

    def signal(self, number: int) -> None:
        """Send it a signal."""
        self._process.send_signal(number)

    def kill(self) -> None:
        """End it at once; `ended` or `close` must follow."""
        self._process.kill()

    def ended(self, within_s: float | None = None) -> Ending:
        """Wait until it has ended.

        Args:
            within_s: seconds until it is killed; None waits for ever.
        """
        try:
            code = self._process.wait(within_s)
        except subprocess.TimeoutExpired:
            self._process.kill()
            code = self._process.wait()
        return Ending(code, self.last_line()[:_SHOWN])

    def last_line(self) -> str:
        """Return the last line of its log; empty where it said nothing, or is closed."""
        return "".join(self.log().strip().splitlines()[-1:])

    def log(self) -> str:
        """Return the end of its log; empty once it is closed."""
        try:
            file = self._log.fileno()
        except ValueError:
            return ""
        # Its place in the file is the process's own too, and must not be moved.
        start = max(os.fstat(file).st_size - _END_OF_LOG, 0)
        return os.pread(file, _END_OF_LOG, start).decode(errors="replace")

    def close(self) -> None:
        """End it at once, where it has not ended, and forget its log."""
        self._process.kill()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout, self._log):
            if stream is not None:
                with suppress(OSError):  # what was written and never read
                    stream.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def _stop(self) -> None:
        self.hung = True
        self._process.kill()


def follow(
    command: Sequence[str],
    tell: Callable[[str], None],
    *,
    environment: Mapping[str, str] | None = None,
    folder: Path | None = None,
    output: bool = True,
) -> tuple[int, list[str]]:
    """Run a command to its end; its exit code and the last of its lines that are not empty.

    It is killed where `tell` raises.

    Args:
        command: what is run, without input.
        tell: told each line, stripped.
        environment: all of its variables; those of this process where it is None.
        folder: that it stands in; this process's where it is None.
        output: whether lines of its standard output count, and not those of errors alone.
    """
    last: deque[str] = deque(maxlen=_KEPT_LINES)
    with subprocess.Popen(
        command,
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE if output else subprocess.DEVNULL,
        stderr=subprocess.STDOUT if output else subprocess.PIPE,
        text=True,
        errors="replace",
    ) as process:
        lines = process.stdout if output else process.stderr
        assert lines is not None
        try:
            for line in filter(None, map(str.strip, lines)):
                last.append(line)
                tell(line)
        except BaseException:
            process.kill()
            raise
    return process.returncode, list(last)
