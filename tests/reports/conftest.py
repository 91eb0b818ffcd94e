from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from facebench.harness.records.record import Record
from facebench.reports.render import render
from tests.reports.report_records import full_run, hostile_run, large_cost
from tests.shared import made_once


@pytest.fixture(scope="session")
def records() -> list[Record]:
    """Of a whole run, before which one case had been recorded already."""
    newest = full_run()
    provenance = newest[0].provenance | {"git_revision": "0ld0ld0"}
    older = replace(newest[0], created="2025-01-01T00:00:00+00:00", provenance=provenance)
    return [older, *newest]


@pytest.fixture(scope="session")
def rendered(records: list[Record], cache_folder: Path) -> Path:
    return made_once(
        cache_folder.parent / "report", lambda out: render([*records, large_cost()], out)
    )


@pytest.fixture(scope="session")
def hostile(cache_folder: Path) -> Path:
    return made_once(cache_folder.parent / "hostile", lambda out: render(hostile_run(), out))
