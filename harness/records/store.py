"""Reads and appends to results files: JSON Lines, one record a line, never rewritten.

A run that is killed loses nothing that was reported as done, and several runs may
write to one file at the same time. This module needs neither torch nor TVM.
"""

from __future__ import annotations

import csv
import fcntl
import os
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from io import FileIO
from pathlib import Path
from typing import Any

from facebench.architectures.errors import BadInputError
from facebench.harness.records.record import NewerError, Record, from_json, to_json
from facebench.harness.storage import shipped, writing
from facebench.harness.storage.locks import lock
from facebench.harness.storage.reading import regular
from facebench.harness.storage.serialization import parse_json, to_text

# The results file of a run, in its folder.
RECORDS = "records.jsonl"

# The end of a line: a checksum of all before it, which tells a flipped bit in a figure.
_SEAL = ', "crc32": "'
_SEAL_END = len('01234567"}')


class DamagedError(BadInputError):
    """A line that is cut off, or that something changed since it was written."""


class Store:
    """A store is a results file, to append to and to read.

    Example:
        >>> import tempfile
        >>> from facebench.harness.records.case import Case
        >>> store = Store(Path(tempfile.mkdtemp()) / "records.jsonl")
        >>> store.append(Record(Case("cost", "mobilefacenet"), kind="counted", status="failed"))
        >>> [record.case.network for record in store.read()]
        ['mobilefacenet']
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def append(self, record: Record) -> None:
        """Add one record; it is on the disk, whole, when this returns.

        Raises:
            BadInputError: the disk is full or the file can't be written.
        """
        line = _sealed(to_text(to_json(record))) + "\n"
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self._locked() as file:
                _append(file, line.encode())
                if file.tell() == len(line):
                    _sync_folder(self.path.parent)
        except OSError as error:
            raise BadInputError(
                f"cannot write {self.path}: {error.strerror}; the records before this one "
                "are intact: make room or choose another folder, then run the same command again"
            ) from error

    def read(self) -> list[Record]:
        """Return all records, in the order of writing; none where there is no file.

        Raises:
            NewerError: a newer facebench wrote one.
            BadInputError: a line is cut off or is no record.
        """
        records: list[Record] = []
        for number, line in enumerate(self._lines(), start=1):
            where = f"{self.path} line {number}"
            try:
                records.append(from_json(_parsed(line)))
            except NewerError as error:
                raise NewerError(f"{where}: {error}") from error
            except DamagedError as error:
                raise BadInputError(
                    f"{where} is cut off or damaged ({error}); the {len(records)} records before "
                    "it are intact: remove that line, or let 'facebench run' set it aside and go "
                    "on"
                ) from error
            except BadInputError as error:
                raise BadInputError(
                    f"{where} is {error}: remove that line to read the others"
                ) from error
        return records

    def mend(self) -> Path | None:
        """Set lines that are cut off or damaged aside, so that the file reads again.

        Returns:
            The file the damaged lines were moved to, or None where all lines are whole.
        """
        if not self.path.exists():
            return None
        with self._locked() as file:
            lines = _split(file)
            damaged = [line for line in lines if not _is_whole(line)]
            if not damaged:
                return None
            aside = self.path.with_suffix(".damaged")
            with writing.shared(aside) as damaged_file:
                _append(damaged_file, _joined(damaged))
            writing.write(self.path, _joined(line for line in lines if line not in damaged))
        return aside

    def _lines(self) -> list[bytes]:
        try:
            with regular(self.path).open("rb", buffering=0) as file:
                # Half a line is seen of a run that is writing it.
                lock(file, fcntl.LOCK_SH)
                return _split(file)
        except FileNotFoundError:
            return []

    @contextmanager
    def _locked(self) -> Iterator[FileIO]:
        """Yield the file for us alone, to read and to append to; made where there is none."""
        while True:
            with writing.shared(self.path) as file:
                lock(file, fcntl.LOCK_EX)
                # Another run may have mended it meanwhile, and put a new file in its place.
                if _is_at(file, self.path):
                    yield file
                    return


def _is_at(file: FileIO, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return False


def _append(file: FileIO, line: bytes) -> None:
    """Write a line, or leave the file as it was."""
    end = file.seek(0, os.SEEK_END)
    # A run that was killed may have left half a line: that one is not to take ours along.
    begun = end > 0 and os.pread(file.fileno(), 1, end - 1) != b"\n"
    try:
        writing.write_all(file, b"\n" + line if begun else line)
        os.fsync(file.fileno())
    except BaseException:  # Ctrl-C too
        os.ftruncate(file.fileno(), end)
        raise


def _joined(lines: Iterable[bytes]) -> bytes:
    return b"".join(line + b"\n" for line in lines)


def _sync_folder(folder: Path) -> None:
    """See that a new file's name is on the disk too."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _split(file: FileIO) -> list[bytes]:
    """Return the lines of a file, without their ends; the last one may lack it."""
    file.seek(0)
    *lines, last = file.readall().split(b"\n")
    return [*lines, last] if last else lines


def _sealed(text: str) -> str:
    """Return a JSON object's text with its checksum as the last member."""
    return f'{text[:-1]}{_SEAL}{zlib.crc32(text[:-1].encode()):08x}"}}'


def _parsed(line: bytes) -> Any:
    """Return what a line holds.

    One of an earlier facebench, or that a tool wrote anew, has no checksum at its end, and is
    taken as it is.

    Raises:
        DamagedError: it is cut off, or was changed.
    """
    text, seal, rest = line.rpartition(_SEAL.encode())
    if seal and len(rest) == _SEAL_END and rest[:8] != b"%08x" % zlib.crc32(text):
        raise DamagedError("its checksum differs")
    try:
        return parse_json(line)
    except BadInputError as error:
        raise DamagedError(str(error)) from error


def _is_whole(line: bytes) -> bool:
    try:
        _parsed(line)
    except DamagedError:
        return False
    return True


def latest(records: Iterable[Record]) -> list[Record]:
    """Return the newest record of each case, in the order in which cases first came."""
    newest: dict[str, Record] = {}
    for record in records:
        newest[record.case.key] = record
    return list(newest.values())


def records_of(paths: Iterable[Path]) -> list[Record]:
    """Return the records of results files, or of folders that runs left.

    Raises:
        BadInputError: there is no such file, or it holds no records.
    """
    files = [path / RECORDS if path.is_dir() else path for path in paths]
    for path in files:
        if not path.is_file():
            raise BadInputError(f"no results file {path}; 'facebench run' makes one")
    return [record for path in files for record in Store(path).read()]


def paper_table(number: int) -> list[dict[str, str]]:
    """Return rows of a table of arXiv 1804.07573 (1 to 4), as text by column name.

    The figures are the publication's: of kind `published`.
    """
    name = next(p for p in shipped.folder("paper").glob(f"table{number}_*.csv"))
    with name.open(newline="") as file:
        return list(csv.DictReader(file))
