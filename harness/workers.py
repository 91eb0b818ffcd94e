"""Jobs run in processes of their own, so that none touches another's figures, or takes it along."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Sequence
from typing import IO

from harness.job import Job, Progress
from harness.measures.registry import kind_of
from harness.record import Record, from_json

# Longer than any case is silent; a case that reaches it hangs.
TIMEOUT_S = 900.0


# The exit code of a worker that lost its device: the case is tried once more.
LOST = os.EX_TEMPFAIL


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
            worker = _start(waiting, log)
            try:
                for record in _records(worker, progress):
                    waiting.pop(0)
                    yield record
                code = worker.wait() if waiting else 0
                reason = _reason(code, log)
            finally:
                worker.kill()
                worker.wait()
        if not waiting:
            return
        if code == LOST and tried_again is not waiting[0]:
            tried_again = waiting[0]
            continue
        yield _failed(waiting.pop(0), reason)


def _start(jobs: Sequence[Job], log: IO[bytes]) -> subprocess.Popen[bytes]:
    threads = str(jobs[0].case.threads)
    variables = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
    worker = subprocess.Popen(
        # -P: a folder called `harness` where the user stands is not ours.
        [sys.executable, "-P", "-m", "harness.worker"],
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


def _records(worker: subprocess.Popen[bytes], progress: Progress) -> Iterator[Record]:
    assert worker.stdout is not None
    while True:
        watchdog = threading.Timer(TIMEOUT_S, worker.kill)
        watchdog.start()
        try:
            line = worker.stdout.readline()
        finally:
            watchdog.cancel()
        if not line.endswith(b"\n"):
            return
        data = json.loads(line)
        if "done" in data:
            progress(data["done"], data["total"])
        else:
            yield from_json(data)


def _reason(code: int, log: IO[bytes]) -> str:
    log.seek(0)
    last = log.read().decode(errors="replace").strip().splitlines()[-1:]
    if code == LOST and last:
        return last[0]
    said = f"; the last it said: {last[0][:300]}" if last else ""
    if code < 0:
        name = signal.Signals(-code).name
        return f"its process was ended by {name} (a crash, too little memory, or no end){said}"
    return f"its process ended with exit code {code}{said}"


def _failed(job: Job, reason: str) -> Record:
    kind = kind_of(job.case)
    return Record(job.case, kind, "failed", reason=reason, fingerprint=job.fingerprint)
