"""Records as a notebook has them: filtered, joined, as data frames, figures and tables."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, fields
from functools import partial
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

from facebench.architectures.errors import BadInputError, UnknownNameError
from facebench.harness.measures.registry import in_short
from facebench.harness.records.case import Case
from facebench.harness.records.record import Record
from facebench.harness.storage import shipped

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from facebench.reports.evidence import Evidence

# Of a record, what `filter` asks for beside the fields of its case.
_OWN = ("kind", "status")
_FILTERS = (*(field.name for field in fields(Case)), *_OWN)

# More are not shown below a cell, nor printed.
_MOST_ROWS, _MOST_LINES = 60, 30


def read(*results: str | Path) -> Records:
    """Return the records of results files, of folders that runs left, or of models that carry some.

    Args:
        results: such as `results/mine`, which `facebench run -o results/mine` made, or an ONNX
            file into which `Records.convert` wrote.

    Raises:
        BadInputError: there is no such file, or a line of it is no record.

    Example:
        >>> import facebench
        >>> facebench.read("nowhere")
        Traceback (most recent call last):
        ...
        facebench.architectures.errors.BadInputError: no results file nowhere; ...
    """
    if not results:
        raise BadInputError("no results are named: give a file of records, or a run's folder")
    from facebench.reports.exchange.registry import read as read_all

    return Records(read_all(Path(one) for one in results))


def reference() -> Records:
    """Return the records that came with facebench, of the networks with shipped weights.

    They are what the networks cost, their accuracies on LFW, and their times in six runtimes on
    one machine: `results/reference/README.md` says how they were obtained.

    Example:
        >>> import facebench
        >>> scores = facebench.reference().filter(measure="accuracy", network="mobilefacenet")
        >>> f"{scores[0].result.accuracy:.2%}"
        '95.83%'
    """
    return read(shipped.folder("reference"))


class Records(Sequence[Record]):
    """They are records, in order; what is made of them is new, and they stay as they are.

    A notebook shows their figures as a table.

    Example:
        >>> import facebench
        >>> from torch import nn
        >>> block = nn.Sequential(nn.Conv2d(3, 8, 3, 2), nn.Flatten())
        >>> counted = facebench.cost(block, size=8)
        >>> len(counted), len(counted.filter(measure="latency"))
        (1, 0)
    """

    def __init__(self, records: Iterable[Record] = ()) -> None:
        self._records = tuple(records)

    def __len__(self) -> int:
        return len(self._records)

    def __iter__(self) -> Iterator[Record]:
        return iter(self._records)

    @overload
    def __getitem__(self, index: int) -> Record: ...
    @overload
    def __getitem__(self, index: slice) -> Records: ...
    def __getitem__(self, index: int | slice) -> Record | Records:
        found = self._records[index]
        return Records(found) if isinstance(found, tuple) else found

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Records) and self._records == other._records

    def __hash__(self) -> int:
        return hash(tuple((one.case, one.created) for one in self._records))

    def __repr__(self) -> str:
        lines = [f"{one.case}: {in_short(one)}" for one in self._records[:_MOST_LINES]]
        more = len(self._records) - len(lines)
        count = f"{len(self)} record{'s' if len(self) != 1 else ''}"
        return "\n".join([count, *lines, *([f"and {more} more"] if more else [])])

    @property
    def failures(self) -> Records:
        """Return those that hold no figure: failed, or refused, each with its `reason`."""
        return Records(one for one in self._records if one.result is None)

    def filter(
        self, where: Callable[[Record], bool] | None = None, **wanted: str | int | Collection[Any]
    ) -> Records:
        """Return the records that are as wanted.

        Args:
            where: says whether a record is wanted.
            wanted: what a field of the case (`network`, `runtime`, `measure`, `precision`,
                `threads` and so on), `kind` or `status` is: a value, or several of which it is
                one.

        Raises:
            UnknownNameError: there is no such field.
        """
        if unknown := sorted(wanted.keys() - set(_FILTERS)):
            raise UnknownNameError(
                f"records have no field {unknown[0]!r} (known: {', '.join(_FILTERS)})"
            )
        return Records(
            one
            for one in self._records
            if all(_is(one, name, value) for name, value in wanted.items())
            and (where is None or where(one))
        )

    def join(self, *others: Iterable[Record]) -> Records:
        """Return these records and others behind them, each once."""
        every = (one for side in (self, *others) for one in side)
        return Records(
            {(one.case.key, one.created, one.fingerprint): one for one in every}.values()
        )

    def __add__(self, other: Iterable[Record]) -> Records:
        return self.join(other)

    def frame(self) -> pd.DataFrame:
        """Return a tidy data frame: a row for each figure of each record.

        Columns are `measure`, `figure`, `value` with the ends of its 95 % interval `lower` and
        `upper` (empty of an exact count), `unit`, `kind` (`counted`, `measured`, `emulated`,
        `modelled`), `network`, `weights`, `precision`, `runtime`, `target`, `device`, `threads`,
        `batch`, `dataset`, `denormals`, `label`, `version` of the runtime, `cpu`, `affinity` (the
        cores it was kept on), `doubts` (conditions of validity that do not hold) and `created`.
        What failed has no figure and no row: see `failures`.
        """
        from facebench.reports.tidy import tidy_frame

        return tidy_frame(self)

    def figure(self, name: str, size: str = "") -> Figure:
        """Return one of the report's figures, for matplotlib to restyle and save.

        Args:
            name: such as `pareto`; a wrong one is answered with all names.
            size: `column` or `page` wide, in a paper's small type; by default as in the report.

        Raises:
            UnknownNameError: there is no such figure or size.
            BadInputError: the records hold nothing for it.
        """
        from facebench.reports.figures import FIGURES
        from facebench.reports.figures.style import SIZES, to_restyle

        if size and size not in SIZES:
            raise UnknownNameError(f"unknown size {size!r} (known: {', '.join(SIZES)})")
        evidence, drawing = self._evidence(), FIGURES[name]
        if not drawing.shows(evidence):
            raise BadInputError(f"the records hold nothing for figure:{name}")
        return to_restyle(partial(drawing.draw, evidence), size)

    def table(self, name: str) -> ReportTable:
        """Return one of the report's tables, such as `comparison`; a notebook shows it.

        Raises:
            UnknownNameError: there is no such table.
        """
        from facebench.reports.render import FRAMES

        if name not in FRAMES:
            raise UnknownNameError(f"unknown table {name!r} (known: {', '.join(FRAMES)})")
        return ReportTable(name, self._evidence())

    def report(self, out: str | Path) -> Path:
        """Write the report, as `facebench report` does; return its page.

        Raises:
            BadInputError: there are no records, or the folder can't be written.
        """
        from facebench.reports.render import render

        return render(self, Path(out))[0]

    def to_parquet(self, path: str | Path) -> Path:
        """Write what `frame` returns as a Parquet file, for other programs to read.

        Raises:
            UnavailableError: pyarrow is not installed.
            BadInputError: the file can't be written, or there is no figure.
        """
        return self.convert("parquet", path)

    def convert(self, to: str, path: str | Path, *, into: str | Path | None = None) -> Path:
        """Write these records in a format that another program reads, as `facebench convert` does.

        What a format has no room for is left out, and a warning says so.

        Args:
            to: such as `csv`, `huggingface` or `onnx`; a wrong one is answered with all names.
            path: the file to write; of `croissant`, the folder.
            into: of `onnx` and `huggingface`, the model or model card that the figures are added
                to; it stays as it is unless `path` is the same.

        Raises:
            UnknownNameError: there is no such format.
            UnavailableError: a package that the format needs is not installed.
            BadInputError: the records hold nothing for it, or the file can't be written.
            RefusedError: the format would show the figures as what they are not.

        Example:
            >>> import facebench, tempfile
            >>> from torch import nn
            >>> counted = facebench.cost(nn.Sequential(nn.Conv2d(3, 8, 3, 2), nn.Flatten()), size=8)
            >>> counted.convert("csv", tempfile.mkdtemp() + "/figures.csv").read_text()[:40]
            'measure,figure,value,lower,upper,unit,ki'
        """
        from facebench.reports.exchange.registry import Destination, convert

        target = Destination(Path(path), None if into is None else Path(into))
        for sentence in convert(self._records, to, target).left_out:
            warnings.warn(f"left out: {sentence}", stacklevel=2)
        return target.path

    def _evidence(self) -> Evidence:
        from facebench.reports.evidence import Evidence

        return Evidence(self)

    def _repr_html_(self) -> str:
        shown = ["network", "runtime", "precision", "figure", "value", "lower", "upper", "unit",
                 "kind", "label"]  # fmt: skip
        frame = self.frame()[shown]
        rows = frame.head(_MOST_ROWS)
        notes = [f"{len(frame) - len(rows)} more figures"] if len(frame) > len(rows) else []
        notes += [f"{one.case}: {one.status}: {one.reason}" for one in self.failures]
        notes += [
            f"{one.case}: {check.name}: no, {check.detail}"
            for one in self._records
            for check in one.failed_checks
        ]
        return html_table(rows) + "".join(f"<div>{escape(note)}</div>" for note in notes)


@dataclass(frozen=True)
class ReportTable:
    """It is a table of the report.

    Attributes:
        name: such as `comparison`.
        evidence: what it is made from.
    """

    name: str
    evidence: Evidence

    def frame(self) -> pd.DataFrame:
        """Return it as a data frame, in full precision."""
        from facebench.reports.render import FRAMES

        return FRAMES[self.name](self.evidence)

    def latex(self) -> str:
        """Return it as LaTeX, with booktabs' rules and siunitx' numbers.

        Raises:
            UnknownNameError: it is no table for papers.
            BadInputError: the records hold nothing for it.
        """
        from facebench.reports.latex import TABLES

        text = TABLES[self.name].make(self.evidence)
        if not text:
            raise BadInputError(f"the records hold nothing for table:{self.name}")
        return text

    def _repr_html_(self) -> str:
        return html_table(self.frame())


def html_table(frame: pd.DataFrame) -> str:
    """Return a data frame as HTML, its numbers with as many digits as anybody reads."""
    html: str = frame.to_html(index=False, na_rep="", border=0, float_format="{:.6g}".format)
    return html


def _is(record: Record, name: str, wanted: str | int | Collection[Any]) -> bool:
    found = getattr(record if name in _OWN else record.case, name)
    if isinstance(wanted, str | int):
        return bool(found == wanted)
    return found in wanted
