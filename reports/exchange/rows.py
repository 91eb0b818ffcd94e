"""Gives figures as rows of plain values, as every format holds them, and says what has none."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import pandas as pd

from facebench.architectures.errors import BadInputError
from facebench.harness.records.record import Record
from facebench.reports.exchange.registry import plural
from facebench.reports.tidy import tidy_figures, tidy_frame


def rows(records: Iterable[Record]) -> list[dict[str, Any]]:
    """Return a row for each figure, as in `tidy_frame`, in JSON's types, without what is empty."""
    return [
        {str(name): _plain(value) for name, value in row.items() if not _is_empty(value)}
        for row in tidy_frame(records).to_dict("records")
    ]


def require_figures(records: Sequence[Record]) -> None:
    """See that some record has a figure that a table has.

    Raises:
        BadInputError: none has.
    """
    if not any(tidy_figures(one) for one in records):
        measures = ", ".join(sorted({one.case.measure for one in records}))
        raise BadInputError(f"the records are of {measures}, of which no one figure is compared")


def without_figures(records: Sequence[Record]) -> tuple[str, ...]:
    """Say which records have results and no figures, such as layers; nothing where all have."""
    measures = [one.case.measure for one in records if not tidy_figures(one)]
    return tuple(
        f"{plural(measures.count(measure), 'record')} of {measure}, of which no one figure is "
        "compared"
        for measure in dict.fromkeys(measures)
    )


def _is_empty(value: Any) -> bool:
    return value == "" or bool(pd.isna(value))


def _plain(value: Any) -> Any:
    if isinstance(value, pd.Timestamp):
        return value.isoformat()
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value
