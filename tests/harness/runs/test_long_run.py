"""What a record says of the long run, and that hostile records say nothing."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from facebench.harness.records.record import Record
from facebench.harness.runs import long_run, machine_history
from tests.reports.report_records import latency

NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FACEBENCH_CACHE", str(tmp_path))


def record(at: datetime = NOW) -> Record:
    return replace(latency("mobilefacenet", "ncnn"), created=at.isoformat())


def test_a_time_of_the_fourth_hour_says_what_the_machine_did_before() -> None:
    told = [long_run.told(record(NOW + timedelta(hours=hour)), "case") for hour in range(4)]
    bounds = [long_run.long_run_ms(one) for one in told]
    assert bounds[:2] == [None, None], "three hours are needed"
    assert bounds[3] is not None
    assert len(machine_history.past()) == 4


def test_what_is_no_time_of_this_machine_leaves_no_trace() -> None:
    far = record()
    far = replace(far, case=replace(far.case, device="rpc://board:9090"))
    failed = replace(record(), result=None, status="failed")
    assert [long_run.told(one, "case") for one in (far, failed)] == [far, failed]
    assert machine_history.past() == []


@pytest.mark.parametrize(
    "known", [None, 1, [], {"spread": "wide", "hours": 9}, {"spread": 0.1, "hours": 2}, {"x": 1}]
)
def test_what_is_no_long_run_is_none(known: Any) -> None:
    assert long_run.long_run_ms(replace(record(), provenance={"long_run": known})) is None
