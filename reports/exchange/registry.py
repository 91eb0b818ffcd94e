"""Lists the formats that records are written in for other programs, and reads those that carry
records.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from facebench.architectures.errors import BadInputError
from facebench.architectures.registry import Registry
from facebench.harness.records.record import Record
from facebench.harness.records.store import records_of


@dataclass(frozen=True)
class Destination:
    """It says where records are written to.

    Attributes:
        path: the file, or the folder of a format that takes several.
        into: a file of that format, all of which the new one has beside the figures; None where
            there is none.
    """

    path: Path
    into: Path | None = None


@dataclass(frozen=True)
class Written:
    """It says what was written.

    Attributes:
        count: how many.
        noun: of what, such as `figures`.
        left_out: what the format has no room for, a sentence each.
    """

    count: int
    noun: str
    left_out: tuple[str, ...] = ()


@dataclass(frozen=True)
class ExchangeFormat:
    """A format is what another program reads.

    Attributes:
        name: of the format.
        about: what is written, in a line.
        reader: the program that opens it, and that the tests open it with.
        write: writes records, of which there is at least one with a result.
        takes_into: whether it is added to a file that is there: a model, a model card.
        read: returns the records that a file carries; None where a format can't hold them whole.
        suffix: of the files that `read` takes.
    """

    name: str
    about: str
    reader: str
    write: Callable[[Sequence[Record], Destination], Written]
    takes_into: bool = False
    read: Callable[[Path], list[Record]] | None = None
    suffix: str = ""


FORMATS: Registry[ExchangeFormat] = Registry("format", "facebench.reports.exchange")


def register(form: ExchangeFormat) -> ExchangeFormat:
    """Add a format."""
    return FORMATS.add(form.name, form)


def convert(records: Sequence[Record], to: str, destination: Destination) -> Written:
    """Write records in a format that another program reads.

    Args:
        records: what is written; those without a result are left out, and counted.
        to: the format's name.
        destination: where to.

    Raises:
        UnknownNameError: there is no such format.
        UnavailableError: a package that the format needs is not installed.
        BadInputError: the records hold nothing that the format has room for, or the file can't
            be written.
        RefusedError: the format would show the figures as what they are not.
    """
    form = FORMATS[to]
    if destination.into is not None and not form.takes_into:
        takers = ", ".join(one.name for one in FORMATS if one.takes_into)
        raise BadInputError(f"{to} is added to no other file: that is for {takers}")
    given = [record for record in records if record.result is not None]
    if not given:
        raise BadInputError("the records hold no result, so there is nothing to write")
    try:
        written = form.write(given, destination)
    except OSError as error:
        raise BadInputError(
            f"cannot write {destination.path}: {error.strerror}; make room or choose another folder"
        ) from error
    missing = len(records) - len(given)
    told = (plural(missing, "case") + " without a result",) if missing else ()
    return Written(written.count, written.noun, (*told, *written.left_out))


def read(paths: Iterable[Path]) -> list[Record]:
    """Return the records of results files, of folders that runs left, and of files that carry
    some.

    Raises:
        BadInputError: there is no such file, or it holds no records.
    """
    return [record for path in paths for record in _read(path)]


def plural(count: int, noun: str) -> str:
    """Say how many there are.

    Example:
        >>> plural(1, "case"), plural(2, "case")
        ('1 case', '2 cases')
    """
    return f"{count} {noun}{'s' if count != 1 else ''}"


def _read(path: Path) -> list[Record]:
    for form in FORMATS:
        if form.read is not None and path.suffix == form.suffix:
            return form.read(path)
    return records_of([path])
