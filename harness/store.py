"""Results files: JSON Lines, one record a line, appended to and never rewritten.

A run that is killed loses nothing that was reported as done. This module
needs neither torch nor TVM.
"""

from __future__ import annotations

import csv
import fcntl
import json
import os
from collections.abc import Iterable
from pathlib import Path

from architectures.errors import BadInputError
from harness.record import Record, from_json, to_json

# The results file of a run, in its folder.
RECORDS = "records.jsonl"


class Store:
    """A results file: append and read.

    Example:
        >>> import tempfile
        >>> from harness.case import Case
        >>> store = Store(Path(tempfile.mkdtemp()) / "records.jsonl")
        >>> store.append(Record(Case("cost", "mobilefacenet"), kind="counted", status="failed"))
        >>> [record.case.network for record in store.read()]
        ['mobilefacenet']
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def append(self, record: Record) -> None:
        """Add one record; it is on the disk when this returns.

        Raises:
            BadInputError: the disk is full or the file can't be written.
        """
        line = json.dumps(to_json(record), allow_nan=False) + "\n"
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self.path.open("ab") as file:
                fcntl.flock(file, fcntl.LOCK_EX)
                end = file.seek(0, os.SEEK_END)
                try:
                    file.write(line.encode())
                    file.flush()
                    os.fsync(file.fileno())
                except OSError:
                    os.ftruncate(file.fileno(), end)
                    raise
        except OSError as error:
            raise BadInputError(
                f"cannot write {self.path}: {error.strerror}; the records before this one "
                "are intact: make room or choose another folder, then run the same command again"
            ) from error

    def read(self) -> list[Record]:
        """All records, in the order of writing; none where there is no file.

        Raises:
            BadInputError: a line is cut off or is no record.
        """
        if not self.path.exists():
            return []
        text = self.path.read_bytes().decode(errors="replace")
        records = []
        for number, line in enumerate(text.splitlines(), start=1):
            try:
                records.append(from_json(json.loads(line)))
            except (json.JSONDecodeError, BadInputError) as error:
                why = "is cut off or damaged" if isinstance(error, ValueError) else str(error)
                raise BadInputError(
                    f"{self.path} line {number} {why}; the {len(records)} records before it are "
                    "intact: remove that line, or let 'facebench run' set it aside and go on"
                ) from error
        return records

    def mend(self) -> Path | None:
        """Set lines that are cut off or damaged aside, so that the file reads again.

        Returns:
            The file the damaged lines were moved to, or None where all lines are whole.
        """
        if not self.path.exists():
            return None
        whole: list[bytes] = []
        damaged: list[bytes] = []
        for line in self.path.read_bytes().splitlines(keepends=True):
            (whole if _is_whole(line) else damaged).append(line)
        if not damaged:
            return None
        aside = self.path.with_suffix(".damaged")
        with aside.open("ab") as file:
            file.writelines(line.rstrip(b"\n") + b"\n" for line in damaged)
        replacement = self.path.with_suffix(".mending")
        replacement.write_bytes(b"".join(whole))
        replacement.replace(self.path)
        return aside


def _is_whole(line: bytes) -> bool:
    try:
        json.loads(line)
    except ValueError:
        return False
    return line.endswith(b"\n")


def latest(records: Iterable[Record]) -> list[Record]:
    """The newest record of each case, in the order in which cases first came."""
    newest: dict[str, Record] = {}
    for record in records:
        newest[record.case.key] = record
    return list(newest.values())


def paper_table(number: int) -> list[dict[str, str]]:
    """Rows of a table of arXiv 1804.07573 (1 to 4), as text by column name.

    The figures are the publication's: of kind `published`.
    """
    name = next(p for p in _data("paper").glob(f"table{number}_*.csv"))
    with name.open(newline="") as file:
        return list(csv.DictReader(file))


def _data(folder: str) -> Path:
    """A folder of `results/`: inside the installed package, or in the checkout."""
    here = Path(__file__).parent
    installed = here / "results" / folder
    return installed if installed.is_dir() else here.parent / "results" / folder
