"""Records of single processes, kept until those of their case are one record.

So a run that is killed between two processes of a case goes on with the next one.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from io import FileIO
from itertools import count
from pathlib import Path
from typing import Any

import psutil

from facebench.architectures.errors import BadInputError
from facebench.harness.measures.job import Job
from facebench.harness.records.record import Record, from_json, to_json
from facebench.harness.storage import cache, locks, writing
from facebench.harness.storage.eviction import EXPIRES_S
from facebench.harness.storage.serialization import parse_json, to_text

# The kind in the cache.
FOLDER = "parts"

# Processes of one case are to see one state of the machine: yesterday's are not gone on with.
KEPT_S = EXPIRES_S[FOLDER]

# How long children of a killed run may take to go.
_DYING_S = 2.0

# Beside the fields of a record: when it was kept.
_KEPT = "kept"
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


class Checkpoints:
    """They are what the cache keeps for the run of one results file.

    Of a run that stores no records nothing is kept. What another run keeps is left alone,
    though it may be of the same case: two records never share a process.

    Args:
        results: the results file.
        run: number of this run among those that write to that file at the same time.
    """

    def __init__(self, results: Path | None, run: int = 0) -> None:
        self._results = results
        self._run = run

    def load(self, job: Job) -> list[Record]:
        """Return records of a job's first processes, as far as they are kept without a gap."""
        folder = self._folder(job.fingerprint, job.case.key)
        found: list[Record] = []
        while folder is not None and (record := _read(folder / f"{len(found)}.json")) is not None:
            found.append(record)
        return found

    def keep(self, job: Job, record: Record) -> None:
        """Keep the record of a job's process; it is on the disk, whole, when this returns.

        Raises:
            BadInputError: the disk is full or the cache can't be written.
        """
        folder = self._folder(job.fingerprint, job.case.key)
        if folder is None:
            return
        try:
            writing.folder(folder, below=cache.root())
            text = to_text(to_json(record) | {_KEPT: _now()})
            writing.write(folder / f"{job.process}.json", text)
        except OSError as error:
            raise cache.unwritable(error) from error

    def forget(self, of: Record | Job) -> None:
        """Drop what is kept of a case, now that its record is stored, or it is to begin anew."""
        folder = self._folder(of.fingerprint, of.case.key)
        if folder is not None:
            shutil.rmtree(folder, ignore_errors=True)

    def _folder(self, fingerprint: str, key: str) -> Path | None:
        if self._results is None:
            return None
        run = [self._run] if self._run else []
        name = cache.digest(str(self._results.resolve()), fingerprint, key, *run)
        return cache.root() / FOLDER / name


@contextmanager
def claim(results: Path | None) -> Iterator[Checkpoints]:
    """Hold what is kept for a run, for this run alone until the block ends.

    Runs that write to one file at the same time take the numbers 0, 1 and on: one that is
    killed finds its own again.

    Raises:
        BadInputError: the cache can't be written.
    """
    if results is None:
        yield Checkpoints(None)
        return
    folder = cache.root() / "runs"
    name = cache.digest(str(results.resolve()))
    for run in count():
        try:
            writing.folder(folder, below=cache.root())
            lock = writing.shared(folder / f"{name}-{run}")
        except OSError as error:
            raise cache.unwritable(error) from error
        with lock:
            if _locked(lock.fileno()) or _left_behind(lock):
                lock.truncate(0)
                lock.write(str(os.getpid()).encode())
                yield Checkpoints(results, run)
                return


def _left_behind(lock: FileIO) -> bool:
    """Return whether a lock whose owner is dead was to be had within a moment.

    A process that its owner was just starting when it was killed holds the lock until it
    has closed what it inherited.
    """
    lock.seek(0)
    owner = lock.readall().decode(errors="replace")
    end = time.monotonic() + _DYING_S
    while owner.isdecimal() and not psutil.pid_exists(int(owner)) and time.monotonic() < end:
        if _locked(lock.fileno()):
            return True
        time.sleep(0.01)
    return False


def _locked(descriptor: int) -> bool:
    try:
        locks.lock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _read(path: Path) -> Record | None:
    """Return a record that is whole and of today."""
    try:
        data = parse_json(path.read_bytes())
        if _age_s(data.get(_KEPT), path) > KEPT_S:
            return None
        return from_json(data)
    except (OSError, KeyError, TypeError, AttributeError, BadInputError):
        return None


def _age_s(kept: Any, path: Path) -> float:
    """Seconds since a record was kept; since its file was written, where that is not known.

    Clocks are set, back too, where a board has none that outlasts a power cut. What the
    kernel counts since boot is not.
    """
    now = _now()
    if kept and now and kept["boot"] == now["boot"]:
        return float(now["seconds"] - kept["seconds"])
    return abs(time.time() - path.stat().st_mtime)


def _now() -> dict[str, Any] | None:
    """Return which boot this is, and seconds since then; None where the system does not say."""
    if sys.platform != "linux":
        return None
    try:
        boot = _BOOT_ID.read_text().strip()
    except OSError:
        return None
    return {"boot": boot, "seconds": time.clock_gettime(time.CLOCK_BOOTTIME)}
