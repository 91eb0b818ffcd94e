"""How progress is shown: bars on standard error, or lines where that is no terminal."""

from __future__ import annotations

from types import TracebackType
from typing import Self

import rich.progress as rich

from facebench.harness.cli.output.terminal import err
from facebench.harness.comparison.escape import visible
from facebench.harness.measures.registry import in_short
from facebench.harness.records.record import Record
from facebench.harness.runs.rounds import RunListener
from facebench.harness.storage.progress import Progress


class Bar(Progress):
    """It is a bar for each step under way, with the newest beside it.

    A step that is over, or of unknown length, gives way to the next one. Where standard error
    is no terminal there are only lines.

    Args:
        step: the name of a step whose name is not told.
        in_bytes: whether bytes are counted.
        shown: whether anything is shown at all; of several processes, one does so.

    Example:
        with Bar("embedded") as bar:
            extract(faces, keys, embedder, progress=bar)
    """

    # Whether what is left is told by how many are done; a plan knows more.
    _foretells = True

    def __init__(self, step: str = "", in_bytes: bool = False, shown: bool = True) -> None:
        self.shown = shown
        self._bars = rich.Progress(
            rich.TextColumn("{task.description}", markup=False),
            rich.BarColumn(bar_width=30),
            rich.DownloadColumn() if in_bytes else rich.MofNCompleteColumn(),
            rich.TimeElapsedColumn(),
            *([rich.TimeRemainingColumn()] if self._foretells else []),
            rich.TextColumn("{task.fields[newest]}", markup=False),
            console=err,
            disable=not (shown and err.is_terminal),
        )
        self._tasks: dict[str, rich.TaskID] = {}
        self._over: set[str] = set()
        self._step = step

    def __enter__(self) -> Self:
        self._bars.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._bars.stop()

    def at(self, done: float, total: float | None = None, step: str = "") -> None:
        """See `Progress`."""
        self._step = step or self._step
        self._bars.update(self._task(self._step), completed=done, total=total)
        if total is None or done >= total:
            self._over.add(self._step)
        else:
            self._over.discard(self._step)

    def newest(self, text: str) -> None:
        """See `Progress`."""
        self._bars.update(self._task(self._step), newest=visible(text))

    def describe(self, step: str, text: str) -> None:
        """Write something else than its name before the bar of a step."""
        self._bars.update(self._task(step), description=text)

    def say(self, sentence: str) -> None:
        """See `Progress`."""
        if self.shown:
            err.print(visible(sentence), markup=False, highlight=False, soft_wrap=True)

    def line(self, text: str) -> None:
        """Say something where there is no bar that shows it."""
        if not err.is_terminal:
            self.say(text)

    def forget(self, step: str) -> None:
        """Show a step no longer."""
        self._over.discard(step)
        if step in self._tasks:
            self._bars.remove_task(self._tasks.pop(step))

    def _task(self, step: str) -> rich.TaskID:
        if step not in self._tasks:
            for over in list(self._over):
                self.forget(over)
            self._tasks[step] = self._bars.add_task(step, total=None, newest="")
        return self._tasks[step]


class RunProgress(Bar, RunListener):
    """Cases that are done, with the newest result; a line a record where there is no bar.

    Args:
        total: how many cases there are.

    Example:
        with RunProgress(len(jobs)) as progress:
            runner.run(jobs, listener=progress)
    """

    _CASES, _WITHIN = "cases", "images"

    def __init__(self, total: int) -> None:
        super().__init__(self._CASES)
        self._total = total
        self._done = 0
        self._begun: dict[str, float] = {}
        super().at(0, total, self._CASES)

    def at(self, done: float, total: float | None = None, step: str = "") -> None:
        """Show how far a long case is."""
        super().at(done, total, step or self._WITHIN)

    def record(self, record: Record, stored: bool) -> None:
        """See `RunListener`."""
        self._done += 1
        self._begun.pop(record.case.key, None)
        self._tell(f"{record.case}: {in_short(record)}", quietly=stored)

    def part(self, record: Record, done: int, of: int) -> None:
        """See `RunListener`."""
        self._begun[record.case.key] = done / (of + 1)  # it may take one more
        self._tell(f"{record.case} {done}/{of}: {in_short(record)}")

    def _heading(self) -> str:
        """Return what stands before the bar of cases."""
        return self._CASES

    def _tell(self, text: str, quietly: bool = False) -> None:
        self.forget(self._WITHIN)
        self.at(self._done + sum(self._begun.values()), self._total, self._CASES)
        self.describe(self._CASES, self._heading())
        self.newest(text)
        if not quietly:
            self.line(f"[{self._done}/{self._total}] {text}")


class RevisionProgress(Bar):
    """How far the comparison of revisions is; a line a case where there is no bar."""

    _PREPARING = "preparing"

    def __init__(self) -> None:
        super().__init__(self._PREPARING)
        self._reached = ""

    def at(self, done: float, total: float | None = None, step: str = "") -> None:
        """See `Progress`."""
        super().at(done, total, step)
        self._reached = f"{self._step} {int(done)}/{total}"

    def newest(self, text: str) -> None:
        """See `Progress`."""
        super().newest(text)
        if self._reached:
            self.line(f"[{self._reached}] {text}")
