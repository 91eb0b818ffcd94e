from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from facebench.harness.machine.cores import CORES
from facebench.harness.records.case import Case
from facebench.harness.records.cost import Cost
from facebench.harness.records.instructions import Cycles
from facebench.harness.records.latency import Latency
from facebench.harness.records.peak import NO_PEAK, Peak
from facebench.harness.records.record import Check, Record
from facebench.reports.digits import Estimate
from facebench.reports.evidence import Evidence
from facebench.reports.figures import FIGURES
from facebench.reports.limits import Limit, Roof, limits, roofs_of
from facebench.reports.page import Cell, Paragraph, Table
from facebench.reports.render import render
from facebench.reports.sections.limits import limit as build
from facebench.reports.tables import Setting
from tests.reports.report_records import ENVIRONMENT, cost, emulated, latency, record

PEAK = Peak("8x12", (48e9, 50e9), (9e9, 10e9), 2**27, (90e9, 100e9), 2**19)


def peaked(made: Record, peak: Peak | None = PEAK, **fields: Any) -> Record:
    """A time that has a peak."""
    assert isinstance(made.result, Latency)
    return replace(made, result=replace(made.result, peak=peak), **fields)


def timed(ms: float, peak: Peak | None = PEAK, **case: Any) -> Record:
    """A time without spread."""
    made = latency("mobilefacenet", "ncnn")
    result = Latency((ms,) * 64, (ms,), 1.0, 1e-6, peak=peak)
    return replace(made, result=result, case=replace(made.case, **case))


def counted(madds: int, weights: int, activations: int) -> Record:
    made = cost("mobilefacenet")
    assert isinstance(made.result, Cost)
    result = replace(
        made.result,
        madds={"conv+linear": madds},
        weight_bytes=weights,
        activation_bytes=activations,
    )
    return replace(made, result=result)


def tables(records: list[Record]) -> dict[str, Table]:
    return {one.name: one for one in build(Evidence(records)) if isinstance(one, Table)}


def rows(records: list[Record]) -> list[list[Cell]]:
    return [list(row) for group in tables(records)["limits"].groups for row in group.rows]


def words(records: list[Record]) -> str:
    blocks = build(Evidence(records))
    return "\n".join(one.text for one in blocks if isinstance(one, Paragraph))


def elsewhere(made: Record) -> Record:
    return replace(made, environment=ENVIRONMENT | {"cpu_model": "another"})


def test_a_row_holds_what_can_be_worked_out_by_hand() -> None:
    # 200 M in 10 ms are 20 G a second, of 50; 200 M of 40 MB are 5 a byte, just the ridge.
    (row,) = rows([counted(200_000_000, 10_000_000, 30_000_000), timed(10.0)])
    texts = [cell.text for cell in row]
    assert texts == ["ncnn", "1", "200.0", "10.00", "20.00", "40", "5.00", "4.00", "40", "random:0"]
    assert [cell.kind for cell in row[2:9]] == [
        "counted", "measured", "measured", "measured", "counted", "modelled", "modelled",
    ]  # fmt: skip


def test_left_of_the_ridge_memory_is_the_bound() -> None:
    # 80 MB at 10 GB/s take 8 ms, of which the multiply-adds would need 4.
    (row,) = rows([counted(200_000_000, 10_000_000, 70_000_000), timed(10.0)])
    assert [row[at].text for at in (5, 7, 8)] == ["40", "8.00", "80"]


def test_a_batch_reads_its_weights_once() -> None:
    records = [counted(200_000_000, 10_000_000, 30_000_000), timed(40.0, batch=4)]
    (found,) = limits(Evidence(records))
    assert found.madds == 800_000_000
    assert found.bytes == 130_000_000


positive = st.floats(1e-3, 1e3)


@given(positive, positive, positive, st.integers(1, 10**12), st.integers(1, 10**12))
def test_the_bound_is_the_longer_of_arithmetic_and_memory(
    ms: float, peak: float, memory: float, madds: int, moved: int
) -> None:
    roof = Roof("here", 1, "measured", peak * 1e9, memory * 1e9)
    one = Limit(
        "n", Setting("r"), "", Estimate(ms, 0.9 * ms, 1.2 * ms), madds, moved, roof, "",
        record(Case("latency", "n"), "measured"),
    )  # fmt: skip
    bound = max(madds / (peak * 1e6), moved / (memory * 1e6))
    assert one.bound_ms == pytest.approx(bound)
    assert one.share_of_roof is not None
    assert one.share_of_peak is not None
    assert one.share_of_roof.value == pytest.approx(bound / ms)
    assert one.share_of_roof.value >= one.share_of_peak.value * (1 - 1e-9)
    assert one.rate.low <= one.rate.value <= one.rate.high
    assert one.rate.low == pytest.approx(madds / (1.2 * ms) * 1e3)


def test_the_fastest_repetition_of_all_cases_of_a_machine_is_its_peak() -> None:
    faster = replace(PEAK, multiply_adds_per_s=(60e9, 20e9), memory_bytes_per_s=(8e9,))
    records = [
        cost("mobilefacenet"),
        cost("mobilenet_v2"),
        peaked(latency("mobilefacenet", "ncnn")),
    ]
    records.append(peaked(latency("mobilenet_v2", "ncnn"), faster))
    roof, *others = roofs_of(limits(Evidence(records)))
    assert (roof.multiply_adds_per_s, roof.memory_bytes_per_s) == (60e9, 10e9)
    assert not others


def test_other_machines_and_numbers_of_threads_have_roofs_of_their_own() -> None:
    double = replace(PEAK, multiply_adds_per_s=(100e9,))
    other = replace(PEAK, multiply_adds_per_s=(7e9,))
    records = [
        cost("mobilefacenet"),
        peaked(latency("mobilefacenet", "ncnn")),
        peaked(latency("mobilefacenet", "ncnn", threads=2), double),
        elsewhere(peaked(latency("mobilefacenet", "torch"), other)),
    ]
    found = {(one.place, one.threads): one for one in roofs_of(limits(Evidence(records)))}
    assert {key: roof.multiply_adds_per_s for key, roof in found.items()} == {
        (ENVIRONMENT["cpu_model"], 1): 50e9,
        (ENVIRONMENT["cpu_model"], 2): 100e9,
        ("another", 1): 7e9,
    }


def test_the_peak_of_an_emulated_core_is_published_and_its_shares_are_modelled() -> None:
    records = [cost("mobilefacenet"), *emulated("mobilefacenet", "cortex-a72")]
    (found,) = limits(Evidence(records))
    figures = CORES["cortex-a72"].figures
    cycles = records[-1].result
    assert figures is not None
    assert isinstance(cycles, Cycles)
    assert found.roof is not None
    assert found.share_of_peak is not None
    seconds = cycles.milliseconds["1"] / 1e3
    peak = figures.fma_lanes_per_cycle * figures.frequency_hz
    assert found.share_of_peak.value == pytest.approx(found.madds / seconds / peak)
    assert found.roof.kind == "published"
    (row,) = rows(records)
    assert [row[at].kind for at in (3, 4, 5, 7, 8)] == ["modelled"] * 5
    assert all(not cell.detail for cell in row)
    assert "nothing of such a row was observed" in words(records)


def test_a_figure_of_a_core_that_was_assumed_is_shown_as_such() -> None:
    (note,) = tables([cost("mobilefacenet"), *emulated("mobilefacenet", "kryo")])["roofs"].notes
    assert note.startswith("dram_bandwidth_bytes_s of kryo is assumed")


@pytest.mark.parametrize(
    ("provenance", "reason"),
    [
        ({NO_PEAK: "tvm_ffi is not installed here"}, "tvm_ffi is not installed here"),
        ({}, "its record was made before peaks were measured"),
    ],
)
def test_a_time_without_a_peak_is_shown_with_the_reason(
    provenance: dict[str, str], reason: str
) -> None:
    without = elsewhere(latency("mobilefacenet", "torch", provenance=provenance))
    records = [cost("mobilefacenet"), peaked(latency("mobilefacenet", "ncnn")), without]
    # Two machines: each time is named after its own.
    found = {row[0].text.partition(",")[0]: row for row in rows(records)}
    assert [found["torch"][at].text for at in (5, 7, 8)] == ["–", "–", "–"]
    notes = tables(records)["limits"].notes
    assert [notes[number - 1] for number in found["torch"][5].notes] == [reason]
    assert found["ncnn"][5].text != "–"


def test_a_time_that_is_in_doubt_says_so() -> None:
    checks = (Check("no drift", False, "the last tenth took longer"), Check("quiet", True, ""))
    records = [cost("mobilefacenet"), replace(timed(10.0), checks=checks)]
    assert tables(records)["limits"].notes == [
        "in doubt, as under Latency: 'no drift' did not hold"
    ]


@pytest.mark.parametrize(("ms", "above"), [(3.9, True), (4.1, False)])
def test_a_rate_above_the_peak_is_shown_and_explained(ms: float, above: bool) -> None:
    records = [counted(200_000_000, 10_000_000, 30_000_000), timed(ms)]
    (row,) = rows(records)
    assert row[5].text == f"{100 * 4 / ms:.0f}"
    assert bool(row[5].notes) == above
    assert [note.startswith("more than the peak") for note in tables(records)["limits"].notes] == (
        [True] if above else []
    )


def test_untuned_code_is_marked() -> None:
    (row,) = rows([cost("mobilefacenet"), peaked(latency("mobilefacenet", "tvm"))])
    assert row[0].badge == "untuned"


def test_other_precisions_and_uncounted_networks_are_left_out_and_counted() -> None:
    made = peaked(latency("mobilefacenet", "ncnn"))
    int8 = replace(made, case=replace(made.case, precision="int8"))
    records = [cost("mobilefacenet"), made, int8, peaked(latency("mobilenet_v1", "ncnn"))]
    assert len(rows(records)) == 1
    assert "2 times are left out" in words(records)
    assert "left out" not in words(records[:2])


def test_without_any_peak_there_is_nothing(tmp_path: Path) -> None:
    records = [cost("mobilefacenet"), latency("mobilefacenet", "ncnn")]
    assert build(Evidence(records)) == []
    assert not FIGURES["roofline"].shows(Evidence(records))
    render(records, tmp_path)
    assert "Where the limit is" not in (tmp_path / "report.md").read_text()
    assert not (tmp_path / "roofline.png").exists()


def test_the_picture_says_what_is_measured_and_what_is_not() -> None:
    measured = [cost("mobilefacenet"), peaked(latency("mobilefacenet", "ncnn"))]
    drawing = FIGURES["roofline"]
    assert drawing.kinds(Evidence(measured)) == ("measured", "counted")
    assert "modelled" not in drawing.caption(Evidence(measured))
    both = Evidence([*measured, *emulated("mobilefacenet")])
    assert drawing.kinds(both) == ("measured", "modelled", "published", "counted")
    assert "the roof is published and the points are modelled" in drawing.caption(both)


def test_a_report_of_both_kinds_has_the_section_and_the_picture(tmp_path: Path) -> None:
    records = [
        cost("mobilefacenet"),
        *(peaked(latency("mobilefacenet", "ncnn", threads=threads)) for threads in (1, 2)),
        *emulated("mobilefacenet"),
    ]
    render(records, tmp_path)
    assert "## Where the limit is" in (tmp_path / "report.md").read_text()
    assert (tmp_path / "roofline.png").stat().st_size > 10_000


def test_hostile_names_are_escaped(hostile: Path) -> None:
    html = (hostile / "report.html").read_text()
    part = html[html.index('<section id="limits">') :]
    assert "<script>alert" not in part
    assert "&lt;script&gt;" in part
