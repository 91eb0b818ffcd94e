from __future__ import annotations

import io

from rich.console import Console

from facebench.harness.records.record import Record
from facebench.reports.terminal import summary
from tests.reports.report_records import NETWORKS, hostile_run


def printed(records: list[Record]) -> str:
    stream = io.StringIO()
    Console(file=stream, width=120, force_terminal=False).print(summary(records))
    return stream.getvalue()


def test_a_full_run_fits_120_columns_uncut(records: list[Record]) -> None:
    text = printed(records)
    assert "…" not in text
    assert all(name in text for name in NETWORKS)
    assert all(len(line.rstrip()) <= 120 for line in text.splitlines())


def test_it_shows_spread_refusals_and_untuned_code(records: list[Record]) -> None:
    text = printed(records)
    assert "4.50±0.02" in text
    assert "refused" in text
    assert "failed" in text
    assert "untuned" in text


def test_hostile_names_do_not_reach_the_terminal() -> None:
    text = printed(hostile_run())
    assert "\x07" not in text
    assert "\u202e" not in text
