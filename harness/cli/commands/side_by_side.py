"""What `compare` shows of git revisions while they are prepared and measured."""

from __future__ import annotations

from types import TracebackType

from rich.markup import escape
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from facebench.harness.cli.output import terminal
from facebench.harness.comparison.escape import visible
from facebench.harness.comparison.revisions.watch import RevisionWatch

_PREPARING = "preparing"


class Bar:
    """A bar a phase, with the time left; a line a case where standard error is no terminal.

    Example:
        with Bar() as bar:
            measure(names, wanted, bar.watch)
    """

    def __init__(self) -> None:
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=30),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[newest]}"),
            console=terminal.err,
            disable=not terminal.err.is_terminal,
        )
        self._tasks = {_PREPARING: self._progress.add_task(_PREPARING, total=None, newest="")}
        self._phase = _PREPARING
        self._done = ""
        self.watch = RevisionWatch(self._tell_note, self._tell_now, self._tell_phase)

    def __enter__(self) -> Bar:
        self._progress.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._progress.stop()

    def _tell_note(self, sentence: str) -> None:
        terminal.err.print(visible(sentence), markup=False, highlight=False, soft_wrap=True)

    def _tell_now(self, text: str) -> None:
        line = visible(text)
        self._progress.update(self._tasks[self._phase], newest=escape(line))
        if not terminal.err.is_terminal and self._phase != _PREPARING:
            where = f"[{self._phase} {self._done}] {line}"
            terminal.err.print(where, markup=False, highlight=False, soft_wrap=True)

    def _tell_phase(self, name: str, done: float, total: int) -> None:
        if name not in self._tasks:
            self._progress.update(self._tasks[self._phase], total=1, completed=1, newest="")
            self._tasks[name] = self._progress.add_task(name, total=total, newest="")
        self._phase = name
        self._done = f"{int(done)}/{total}"
        self._progress.update(self._tasks[name], completed=done)
