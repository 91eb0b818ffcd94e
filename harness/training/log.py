"""The log of a run: a CSV file, a row every few steps."""

from __future__ import annotations

import csv
import io
from dataclasses import astuple, dataclass, fields
from pathlib import Path

from facebench.harness.storage import writing
from facebench.harness.storage.progress import Progress
from facebench.harness.verification.layout import csv_rows, decode_text, read_bytes


@dataclass(frozen=True)
class LogRow:
    """A row says what the steps since the row before were like.

    Attributes:
        step: how many are done.
        epoch: of the last of them, from 0.
        learning_rate: of the last of them.
        loss: their mean.
        images_per_second: of all processes together; evaluations are not in it.
        waiting_share: of that time, spent waiting for images, 0 to 1.
    """

    step: int
    epoch: int
    learning_rate: float
    loss: float
    images_per_second: float
    waiting_share: float


class Log:
    """A CSV file that is appended to; rows after the step that a run goes on from are dropped."""

    def __init__(self, path: Path, step: int = 0) -> None:
        self._path = path
        kept = [row for row in read(path) if row.step <= step] if path.is_file() else []
        text = io.StringIO()
        writer = csv.writer(text)
        writer.writerow(field.name for field in fields(LogRow))
        writer.writerows(astuple(row) for row in kept)
        writing.write(path, text.getvalue())

    def append(self, row: LogRow) -> None:
        """Add a row."""
        text = io.StringIO()
        csv.writer(text).writerow(astuple(row))
        with writing.shared(self._path) as file:
            writing.write_all(file, text.getvalue().encode())


def read(path: Path) -> list[LogRow]:
    """Return the rows of a log; one that was cut off is left out.

    Raises:
        BadInputError: it is no CSV file.
    """
    text = decode_text(read_bytes(path), str(path))
    found = [_parsed(cells) for cells in csv_rows(text, str(path))]
    return [row for row in found if row is not None]


def _parsed(cells: list[str]) -> LogRow | None:
    try:
        step, epoch, *others = cells
        return LogRow(int(step), int(epoch), *map(float, others))
    except (TypeError, ValueError):
        return None


class TrainingListener(Progress):
    """Who is told how a run goes, in the first of its processes."""

    def row(self, row: LogRow, steps: int) -> None:
        """Take note of a row of the log.

        Args:
            row: what a few steps gave.
            steps: of the whole run.
        """

    def of(self, run: str) -> TrainingListener:
        """Return the one who is told of one run among several, which has this name."""
        return self


NOBODY = TrainingListener()
