"""Shows how far a run is: in a notebook as a bar below its cell, elsewhere as the commands do."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from html import escape
from importlib import import_module
from types import TracebackType
from typing import Any, Self

from facebench.harness.cli.output.progress import RunProgress
from facebench.harness.measures.registry import in_short
from facebench.harness.records.record import Record
from facebench.harness.runs.rounds import RunListener


def shown_progress(total: int) -> AbstractContextManager[RunListener]:
    """Return what shows how many of so many cases are done, while it is entered."""
    show = _display()
    return RunProgress(total) if show is None else NotebookProgress(total, show)


class NotebookProgress(RunListener):
    """It is a bar below a notebook's cell, which needs no widgets, and goes once all is done.

    Args:
        total: how many cases there are.
        show: shows HTML in the place of what it showed before.
    """

    def __init__(self, total: int, show: Callable[[str], None]) -> None:
        self._total = total
        self._show = show
        self._done = 0
        self._begun: dict[str, float] = {}
        self._within = ""
        self._newest = ""
        self._sentences: list[str] = []

    def __enter__(self) -> Self:
        self._tell()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._show(self._lines() if kind is None else self._html("stopped"))

    def at(self, done: float, total: float | None = None, step: str = "") -> None:
        """See `Progress`."""
        self._within = f"{step or 'images'} {done:.0f}" + (f" of {total:.0f}" if total else "")
        self._tell()

    def newest(self, text: str) -> None:
        """See `Progress`."""
        self._newest = text
        self._tell()

    def say(self, sentence: str) -> None:
        """See `Progress`."""
        self._sentences.append(sentence)
        self._tell()

    def record(self, record: Record, stored: bool) -> None:
        """See `RunListener`."""
        self._done += 1
        self._begun.pop(record.case.key, None)
        self._within = ""
        self.newest(f"{record.case}: {in_short(record)}")

    def part(self, record: Record, done: int, of: int) -> None:
        """See `RunListener`."""
        self._begun[record.case.key] = done / (of + 1)  # it may take one more
        self.newest(f"{record.case} {done}/{of}: {in_short(record)}")

    def _tell(self) -> None:
        self._show(self._html(self._within))

    def _html(self, beside: str) -> str:
        done = self._done + sum(self._begun.values())
        bar = f'<progress value="{done:g}" max="{self._total}"></progress>'
        told = filter(None, (f"{self._done} of {self._total} cases", beside, self._newest))
        return f"{bar} {escape(', '.join(told))}{self._lines()}"

    def _lines(self) -> str:
        return "".join(f"<div>{escape(one)}</div>" for one in self._sentences)


def _display() -> Callable[[str], None] | None:
    """Return what shows HTML below a notebook's cell; None where there is no notebook."""
    if "ipykernel" not in sys.modules:
        return None
    shell: Any = import_module("IPython").get_ipython()
    if getattr(shell, "kernel", None) is None:
        return None
    shown: Any = import_module("IPython.display")
    handle = shown.display(shown.HTML(""), display_id=True)

    def show(html: str) -> None:
        handle.update(shown.HTML(html))

    return show
