"""Records of single processes, kept until those of their case are one record.

So a run that is killed between two processes of a case goes on with the next one.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
import time
from pathlib import Path

from architectures.errors import BadInputError
from harness import cache
from harness.job import Job
from harness.record import Record, from_json, to_json

# Processes of one case are to see one state of the machine: yesterday's are not gone on with.
_KEPT_S = 24 * 3600


class Parts:
    """What is kept for the run of one results file, in the cache.

    Of a run that stores no records nothing is kept. What another run keeps is left alone,
    though it may be of the same case: two records never share a process.

    Args:
        results: the results file.
    """

    def __init__(self, results: Path | None) -> None:
        self._results = results

    def load(self, job: Job) -> list[Record]:
        """Records of a job's first processes, as far as they are kept without a gap."""
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
            folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=folder) as temporary:
                whole = Path(temporary) / "part.json"
                with whole.open("w") as file:
                    json.dump(to_json(record), file, allow_nan=False)
                    file.flush()
                    os.fsync(file.fileno())
                whole.replace(folder / f"{job.process}.json")
        except OSError as error:
            raise BadInputError(
                f"cannot write the cache in {cache.root()}: {error.strerror or error}; make room, "
                "or set FACEBENCH_CACHE to a folder that has some, and run the same command again"
            ) from error

    def forget(self, record: Record) -> None:
        """Drop what is kept of a case, now that its record is stored."""
        folder = self._folder(record.fingerprint, record.case.key)
        if folder is not None:
            shutil.rmtree(folder, ignore_errors=True)

    def _folder(self, fingerprint: str, key: str) -> Path | None:
        if self._results is None:
            return None
        name = cache.digest(str(self._results.resolve()), fingerprint, key)
        return cache.root() / "parts" / name


def _read(path: Path) -> Record | None:
    """A record that is whole and of today."""
    try:
        if time.time() - path.stat().st_mtime > _KEPT_S:
            return None
        return from_json(json.loads(path.read_text()))
    except (OSError, ValueError, BadInputError):
        return None
