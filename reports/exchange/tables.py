"""CSV and Parquet: a row a figure, with the columns of `Records.frame`, for pandas and others."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pandas as pd

from facebench.architectures.errors import UnavailableError
from facebench.harness.records.record import Record
from facebench.harness.storage import writing
from facebench.reports.exchange.registry import Destination, ExchangeFormat, Written, register
from facebench.reports.exchange.rows import require_figures, without_figures
from facebench.reports.tables import harmless
from facebench.reports.tidy import tidy_frame


def _written(
    records: Sequence[Record], destination: Destination, fill: Callable[[pd.DataFrame, Path], None]
) -> Written:
    require_figures(records)
    frame = tidy_frame(records)
    writing.replace(destination.path, lambda made: fill(frame, made))
    return Written(len(frame), "figures", without_figures(records))


def _csv(records: Sequence[Record], destination: Destination) -> Written:
    return _written(records, destination, _fill_csv)


def _fill_csv(table: pd.DataFrame, made: Path) -> None:
    # Names come from others, and spreadsheets run formulas.
    table.map(harmless).to_csv(made, index=False)


def _parquet(records: Sequence[Record], destination: Destination) -> Written:
    try:
        import pyarrow  # noqa: F401  # what pandas writes it with
    except ImportError as error:
        raise UnavailableError(
            "pyarrow is not installed: 'pip install facebench[notebook]' installs it"
        ) from error
    return _written(records, destination, lambda table, made: table.to_parquet(made, index=False))


register(ExchangeFormat("csv", "a row a figure, as text", "pandas, R, spreadsheets", _csv))
register(
    ExchangeFormat("parquet", "a row a figure, with types", "pandas, pyarrow, DuckDB", _parquet)
)
