"""Judges the claims of papers by records."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, overload

from facebench.harness.api.record_set import html_table, read
from facebench.harness.records.record import Record

if TYPE_CHECKING:
    import pandas as pd

    from facebench.reports.claims import Judged


def claims(records: Iterable[Record] | str | Path, paper: str | Path = "mobilefacenets") -> Claims:
    """Judge each claim of a paper by records: supported, refuted, or not decidable here.

    Args:
        records: what `read`, `latency` and the others return; or a file of records, or a folder
            that a run left.
        paper: the name of one that comes with facebench, or a TOML file of claims.

    Raises:
        UnknownNameError: there is no such paper, or a claim names what nobody knows.
        BadInputError: there is no such file, a line of it is no record, or a row no claim.

    Example:
        >>> import facebench
        >>> nothing_known = facebench.Records()
        >>> facebench.claims(nothing_known)["parameters"].verdict
        'not decidable here'
    """
    from facebench.reports.claims.papers import judged, load
    from facebench.reports.evidence import Evidence

    given = read(records) if isinstance(records, str | Path) else records
    return Claims(judged(Evidence(given), load(str(paper))))


class Claims(Sequence["Judged"]):
    """They are a paper's claims with what records say of them; a notebook shows a table.

    One is found by its number, from 0, or by its name.
    """

    def __init__(self, judged: Iterable[Judged]) -> None:
        self._judged = tuple(judged)

    def __len__(self) -> int:
        return len(self._judged)

    def __iter__(self) -> Iterator[Judged]:
        return iter(self._judged)

    @overload
    def __getitem__(self, index: int | str) -> Judged: ...
    @overload
    def __getitem__(self, index: slice) -> Claims: ...
    def __getitem__(self, index: int | str | slice) -> Judged | Claims:
        if isinstance(index, slice):
            return Claims(self._judged[index])
        if isinstance(index, int):
            return self._judged[index]
        return {one.claim.name: one for one in self._judged}[index]

    def __repr__(self) -> str:
        return "\n".join(f"{one.claim.name}: {one.verdict}" for one in self._judged)

    def frame(self) -> pd.DataFrame:
        """Return a row for each claim and place: the verdict, the figure it turns on, and why."""
        import pandas as pd

        return pd.DataFrame(
            [
                {
                    "claim": one.claim.name,
                    "text": one.claim.text,
                    "verdict": finding.verdict,
                    "figure": finding.figure,
                    "interval": finding.interval,
                    "place": finding.place,
                    "kinds": ", ".join(finding.kinds),
                    "why": finding.why,
                }
                for one in self._judged
                for finding in one.findings
            ]
        )

    def _repr_html_(self) -> str:
        return html_table(self.frame().drop(columns="claim"))
