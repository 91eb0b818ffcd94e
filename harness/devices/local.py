"""This machine: jobs run in processes of their own."""

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

from harness.devices.registry import DEVICES
from harness.job import Job, Progress
from harness.measures.registry import kind_of
from harness.record import Record, from_json

# Longer than any case is silent; a case that reaches it hangs.
TIMEOUT_S = 900.0


class LocalDevice:
    """Runs jobs here, so that no runtime's threads, memory or crash touches another's."""

    name = "local"
    kind = "measured"

    def execute(self, jobs: Sequence[Job], progress: Progress) -> Iterator[Record]:
        """A record for each job, in order.

        A process that dies takes only the job in hand with it: that one is
        recorded as failed, and the rest go on in a new process.
        """
        waiting = list(jobs)
        while waiting:
            reason = ""
            with tempfile.TemporaryFile() as log:
                worker = _start(waiting, log)
                try:
                    for record in _records(worker, progress):
                        waiting.pop(0)
                        yield record
                    reason = _reason(worker, log)
                finally:
                    worker.kill()
                    worker.wait()
            if waiting:
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


def _reason(worker: subprocess.Popen[bytes], log: IO[bytes]) -> str:
    code = worker.wait()
    log.seek(0)
    last = log.read().decode(errors="replace").strip().splitlines()[-1:]
    said = f"; the last it said: {last[0][:300]}" if last else ""
    if code < 0:
        name = signal.Signals(-code).name
        return f"its process was ended by {name} (a crash, too little memory, or no end){said}"
    return f"its process ended with exit code {code}{said}"


def _failed(job: Job, reason: str) -> Record:
    kind = kind_of(job.case)
    return Record(job.case, kind, "failed", reason=reason, fingerprint=job.fingerprint)


DEVICES.add("local", LocalDevice())
