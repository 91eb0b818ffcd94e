"""Jobs run in processes of their own, so that none touches another's figures, or takes it along."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from typing import IO

from facebench.harness.machine.processes import LOST
from facebench.harness.measures.job import Job, Progress
from facebench.harness.measures.registry import failed
from facebench.harness.records.record import Record, from_json
from facebench.harness.storage.serialization import parse_json

# Seconds that a process may take to end once it has nothing more to say.
_END_S = 10.0

# What is looked at of a log, in bytes: a runtime may print for hours.
_END_OF_LOG = 2**16


def execute(jobs: Sequence[Job], progress: Progress) -> Iterator[Record]:
    """Run jobs one after the other in a process; a record each, in order, as it comes.

    A process that dies takes only the job in hand with it: that one is
    recorded as failed, and the rest go on in a new process. A job whose
    device was lost is tried a second time first.

    Args:
        jobs: not empty; all for as many threads.
        progress: told how far a long case is.
    """
    waiting = list(jobs)
    tried_again: Job | None = None
    while waiting:
        with tempfile.TemporaryFile() as log:
            limit_s = waiting[0].limit_s
            worker = _start(waiting, log)
            hung = threading.Event()
            try:
                for record in _records(worker, limit_s, hung, progress):
                    waiting.pop(0)
                    yield record
                code = _code(worker) if waiting else 0
                reason = _hung(limit_s, log) if hung.is_set() else _reason(code, log)
            finally:
                worker.kill()
                worker.wait()
        if not waiting:
            return
        if code == LOST and tried_again is not waiting[0]:
            tried_again = waiting[0]
            continue
        yield failed(waiting.pop(0), reason)


def start_s() -> float:
    """Seconds that a process takes to start and to end again, now: one that is given nothing."""
    began = time.perf_counter()
    with tempfile.TemporaryFile() as log:
        _start([], log).wait()
    return time.perf_counter() - began


def _start(jobs: Sequence[Job], log: IO[bytes]) -> subprocess.Popen[bytes]:
    threads = str(jobs[0].case.threads if jobs else 1)
    variables = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
    worker = subprocess.Popen(
        # -P: a folder called `harness` where the user stands is not ours.
        [sys.executable, "-P", "-m", "facebench.harness.runs.worker", str(os.getpid())],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=log,
        env=os.environ | dict.fromkeys(variables, threads),
    )
    assert worker.stdin is not None
    try:
        worker.stdin.write(json.dumps([job.to_json() for job in jobs]).encode())
        worker.stdin.close()
    except BrokenPipeError:
        pass  # it died at once; `_reason` tells why
    return worker


def _records(
    worker: subprocess.Popen[bytes], limit_s: float, hung: threading.Event, progress: Progress
) -> Iterator[Record]:
    """What a worker sends until it ends, or is stopped because it said nothing for too long."""
    assert worker.stdout is not None

    def stop() -> None:
        hung.set()
        worker.kill()

    while True:
        watchdog = threading.Timer(limit_s, stop)
        watchdog.daemon = True
        watchdog.start()
        try:
            line = worker.stdout.readline()
        finally:
            watchdog.cancel()
        if not line.endswith(b"\n"):
            return
        data = parse_json(line)
        if "done" in data:
            progress(data["done"], data["total"])
        else:
            yield from_json(data)


def _code(worker: subprocess.Popen[bytes]) -> int:
    """The exit code; one that closed its output and does not end is ended."""
    try:
        return worker.wait(_END_S)
    except subprocess.TimeoutExpired:
        worker.kill()
        return worker.wait()


def _hung(limit_s: float, log: IO[bytes]) -> str:
    return (
        f"it hung: its process said nothing for {limit_s:g} s and was stopped "
        f"(limit_s in a plan sets how long it may){_said(log)}"
    )


def _reason(code: int, log: IO[bytes]) -> str:
    if code == LOST and (last := last_line(log)):
        return last
    if code >= 0:
        return f"its process ended with exit code {code} before its record was there{_said(log)}"
    if -code == signal.SIGKILL:
        return (
            "its process was ended by SIGKILL: by the system, where memory was short, or by "
            f"somebody{_said(log)}"
        )
    return f"its process was ended by {_name(-code)}: it crashed{_said(log)}"


def _name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:  # a real-time signal
        return f"signal {number}"


def _said(log: IO[bytes]) -> str:
    last = last_line(log)
    return f"; the last it said: {last[:300]}" if last else ""


def last_line(log: IO[bytes]) -> str:
    """The last thing that a process said; empty where it said nothing."""
    log.seek(max(log.seek(0, os.SEEK_END) - _END_OF_LOG, 0))
    return "".join(log.read().decode(errors="replace").strip().splitlines()[-1:])
