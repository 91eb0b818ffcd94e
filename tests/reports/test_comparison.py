from __future__ import annotations

from dataclasses import replace

import pytest

from facebench.harness.records.case import Case
from facebench.harness.records.latency import Latency
from facebench.harness.records.record import Record
from facebench.reports.comparison import compare, latency_ratio
from facebench.reports.evidence import Evidence
from facebench.reports.page import Statements
from facebench.reports.sections.comparison import comparison
from facebench.reports.sections.headlines import headlines
from facebench.reports.tables import Setting, latency_rows, unsuccessful
from facebench.reports.time_ratios import fastest
from tests.reports.report_records import ENVIRONMENT, NETWORKS, RATIOS, cost, latency, lfw, refused

NCNN = Setting("ncnn")


def sentences(*records: Record) -> list[str]:
    blocks = headlines(Evidence(records))
    return [one.text for block in blocks if isinstance(block, Statements) for one in block.items]


def elsewhere(record: Record, **facts: object) -> Record:
    return replace(record, environment={**record.environment, **facts})


def test_all_eleven_rows_of_the_paper_come_first_even_without_a_record() -> None:
    rows = compare(Evidence([cost("mobilefacenet_gap"), cost("mobilenet_v1")])).rows
    assert len(rows) == 12
    assert all(row.paper for row in rows[:11])
    assert [row.network for row in rows if row.network] == ["mobilenet_v1", "mobilefacenet_gap"]


def test_ratios_are_those_of_the_medians(records: list[Record]) -> None:
    evidence = Evidence(records)
    for network, expected in RATIOS.items():
        found = latency_ratio(evidence, network, NCNN)
        assert found.estimate is not None
        assert found.estimate.value == pytest.approx(expected[4], rel=0.02)
        assert found.estimate.low < found.estimate.value < found.estimate.high


def test_the_baseline_is_exactly_itself(records: list[Record]) -> None:
    found = latency_ratio(Evidence(records), "mobilefacenet", NCNN).estimate
    assert found is not None
    assert (found.low, found.value, found.high) == (1.0, 1.0, 1.0)


def test_a_ratio_across_machines_is_refused_and_says_what_differs() -> None:
    # Another board has the address by now.
    board = "ssh://pi@board"
    base, other = (
        replace(record, case=replace(record.case, device=board))
        for record in (latency("mobilefacenet", "ncnn"), latency("mobilenet_v2", "ncnn"))
    )
    evidence = Evidence([base, elsewhere(other, cpu_model="Cortex-A72")])
    found = latency_ratio(evidence, "mobilenet_v2", replace(NCNN, device=board))
    assert (found.estimate, found.status) == (None, "refused")
    assert "Cortex-A72" in found.reason
    assert str(ENVIRONMENT["cpu_model"]) in found.reason


def test_a_ratio_across_versions_is_shown_with_a_warning() -> None:
    base, other = latency("mobilefacenet", "ncnn"), latency("mobilenet_v2", "ncnn")
    evidence = Evidence([base, elsewhere(other, ncnn="1.0.20240101", load_1min=9.5)])
    found = latency_ratio(evidence, "mobilenet_v2", NCNN)
    assert found.estimate is not None
    assert "ncnn (1.0.20240101 and 1.0.20261020)" in found.warning
    assert "load" not in found.warning
    assert any(found.warning in getattr(block, "text", "") for block in comparison(evidence))


def test_a_ratio_without_the_baseline_is_refused() -> None:
    found = latency_ratio(Evidence([latency("mobilenet_v2", "ncnn")]), "mobilenet_v2", NCNN)
    assert found.status == "refused"
    assert "no time of mobilefacenet" in found.reason


def test_emulated_times_never_share_a_column_with_measured_ones() -> None:
    emulated = replace(latency("mobilenet_v2", "ncnn"), kind="emulated")
    evidence = Evidence([latency("mobilefacenet", "ncnn"), emulated])
    assert {one.kind for one in compare(evidence).settings} == {"measured", "emulated"}
    assert latency_ratio(evidence, "mobilenet_v2", NCNN).status == "missing"


def test_the_newest_record_of_a_case_counts() -> None:
    old = latency("mobilefacenet", "ncnn")
    result = old.result
    assert isinstance(result, Latency)
    new = replace(old, result=replace(result, samples_ms=(5.0,) * 64))
    (row,) = Evidence([old, new]).latencies
    assert row.median is not None
    assert row.median.value == 5.0


def test_headlines_do_not_pass_drawn_faces_off_as_real(records: list[Record]) -> None:
    drawn = [r for r in records if r.case.dataset == "synthetic"]
    (text,) = sentences(*drawn)
    assert text.startswith("Nothing here is known about accuracy on real faces")


def test_untuned_code_is_never_ranked() -> None:
    slow, fast = latency("mobilefacenet", "ncnn"), latency("mobilefacenet", "tvm")
    medium = latency("mobilefacenet", "openvino")
    assert isinstance(fast.result, Latency)
    fast = replace(fast, result=replace(fast.result, samples_ms=(0.01,) * 64))
    rows = latency_rows([slow, fast, medium])
    best = fastest(rows)
    assert best is not None
    assert best.setting.runtime == "ncnn"
    assert fastest(rows[:2]) is None
    assert not any("tvm runs mobilefacenet fastest" in s for s in sentences(slow, fast, medium))


def test_overlapping_times_have_no_fastest() -> None:
    rows = latency_rows([latency("mobilefacenet", "ncnn")] * 2)
    assert fastest(rows) is None


def test_emulated_times_are_never_ranked() -> None:
    emulated = [replace(latency("mobilefacenet", r), kind="emulated") for r in ("ncnn", "torch")]
    assert fastest(latency_rows(emulated)) is None


def test_a_score_with_trained_weights_goes_before_a_refusal_without() -> None:
    evidence = Evidence([lfw("mobilefacenet"), refused("mobilefacenet")])
    found = evidence.score("mobilefacenet", "lfw")
    assert found is not None
    assert found.status == "ok"


def test_every_failure_and_refusal_is_listed(records: list[Record]) -> None:
    found = unsuccessful(records)
    assert len(found) == len(NETWORKS) - 1 + 2 + 1
    assert all(record.reason for record in found)


def test_times_of_two_machines_are_both_shown_and_make_no_ratio() -> None:
    here = [latency("mobilefacenet", "ncnn"), latency("mobilenet_v2", "ncnn")]
    there = [elsewhere(record, cpu_model="Another CPU") for record in here]
    evidence = Evidence([*there, *here])
    devices = {row.setting.device for row in evidence.latencies}
    assert len(evidence.latencies) == 4
    assert "Another CPU" in devices
    assert "local" not in devices
    for device in devices:
        setting = replace(NCNN, device=device)
        assert len(evidence.timed("mobilefacenet", setting)) == 1


def test_machines_of_one_model_are_told_apart_by_number() -> None:
    here = latency("mobilefacenet", "ncnn")
    devices = [r.setting.device for r in Evidence([here, elsewhere(here, cores=77)]).latencies]
    assert len(set(devices)) == 2
    assert sorted(device[-4:] for device in devices) == [" (1)", " (2)"]


def test_one_machine_stays_local_and_counts_are_of_no_machine() -> None:
    evidence = Evidence(
        [elsewhere(cost("mobilefacenet"), cores=8), latency("mobilefacenet", "ncnn")]
    )
    assert {record.case.device for record in evidence.records} == {"local"}


def test_a_case_without_any_figure_still_makes_a_page() -> None:
    failed = Record(Case("latency", "x", runtime="ncnn"), "measured", "failed", reason="it broke")
    assert latency_ratio(Evidence([failed]), "x", NCNN).reason == "it broke"
