from __future__ import annotations

from pathlib import Path

import pytest

from harness.record import Record
from reports.render import render
from tests.reports.report_records import full_run, hostile_run


@pytest.fixture(scope="session")
def records() -> list[Record]:
    return full_run()


@pytest.fixture(scope="session")
def rendered(records: list[Record], tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("report")
    render(records, out)
    return out


@pytest.fixture(scope="session")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("hostile")
    render(hostile_run(), out)
    return out
