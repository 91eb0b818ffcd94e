from __future__ import annotations

import io
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from facebench.harness.devices.emulator import model
from facebench.harness.devices.emulator.ratio_spread import Load
from facebench.harness.records.case import Case
from facebench.harness.records.instructions import Cycles, Instructions, Work
from facebench.harness.records.record import Record, from_json, to_json
from facebench.reports.digits import significant
from facebench.reports.emulated import AMBIGUOUS, places, refit
from facebench.reports.evidence import Evidence
from facebench.reports.figures import FIGURES
from facebench.reports.markdown import escape
from facebench.reports.page import Cell, Paragraph, Statements, Table
from facebench.reports.render import render
from facebench.reports.sections.emulated import emulated as build
from facebench.reports.terminal import summary
from tests.reports.report_records import HOSTILE, NETWORKS, TRAINED, cost, emulated, record

PUBLISHED = [name for name, (row, *_) in NETWORKS.items() if row]


def all_rows(core: str = "kryo", runtime: str = "ncnn") -> list[Record]:
    return [one for network in PUBLISHED for one in emulated(network, core, runtime)]


def tables(records: list[Record]) -> list[Table]:
    return [block for block in build(Evidence(records)) if isinstance(block, Table)]


def cells(table: Table) -> dict[str, list[Cell]]:
    return {row[0].text: list(row) for group in table.groups for row in group.rows}


def words(records: list[Record]) -> str:
    texts = []
    for block in build(Evidence(records)):
        if isinstance(block, Paragraph):
            texts.append(block.text)
        if isinstance(block, Statements):
            texts += [f"{one.figure} {one.text}" for one in block.items]
    return "\n".join(texts)


def changed(made: Record, **fields: Any) -> Record:
    """The record with another result."""
    assert made.result is not None
    return replace(made, result=replace(made.result, **fields))


def printed(records: list[Record]) -> str:
    stream = io.StringIO()
    Console(file=stream, width=120, force_terminal=False).print(summary(records))
    return stream.getvalue()


def test_without_emulated_records_there_is_nothing(tmp_path: Path) -> None:
    records = [cost("mobilefacenet")]
    assert build(Evidence(records)) == []
    assert not FIGURES["modelled_ratio"].shows(Evidence(records))
    render(records, tmp_path)
    assert "emulated cores" not in (tmp_path / "report.md").read_text().lower()
    assert not (tmp_path / "modelled_ratio.png").exists()
    assert "ARM" not in printed(records)


def test_records_survive_the_file() -> None:
    for made in emulated("mobilefacenet"):
        assert from_json(json.loads(json.dumps(to_json(made)))) == made


def test_a_row_holds_the_counts_and_the_times_of_its_records() -> None:
    counts, times = emulated("mobilefacenet")
    work = Work(
        200_000_000, {"fma": 50_000_000, "integer": 150_000_000}, 30_000_000, 10_000_000,
        (4_000, 1_500), 500, cycles=1e8,
    )  # fmt: skip
    counts = changed(counts, work=work, line_bytes=(64, 128))
    times = changed(times, milliseconds={"1": 80.0}, interval_ms=(60.0, 107.0))
    found = cells(tables([counts, times])[0])["mobilefacenet"]
    texts = [cell.text for cell in found]
    # 2,000 lines of 128 bytes are 0.256 MB.
    assert texts[1:] == [
        "200.0", "25.0", "40.00", "4.000", "1.500", "0.2560", "80.0", "1.00", "1.00", "1.00",
    ]  # fmt: skip
    assert [found[at].detail for at in (7, 8)] == ["60–110", ""]
    assert [cell.kind for cell in found[1:]] == ["emulated"] * 6 + ["modelled"] * 3 + ["published"]


def test_ratios_stand_beside_those_of_table_2() -> None:
    records = all_rows()
    times = {r.case.network: r.result for r in records if r.case.measure == "cycles"}
    base = times["mobilefacenet"]
    loads = {
        r.case.network: Load(r.result.work.instructions, r.result.memory_bytes)
        for r in records
        if isinstance(r.result, Instructions)
    }
    found = cells(tables(records)[0])
    assert list(found) == [n for n in Evidence(records).networks if n in PUBLISHED]
    for network, row in found.items():
        ours = times[network]
        assert isinstance(ours, Cycles)
        assert isinstance(base, Cycles)
        ratio = ours.milliseconds["1"] / base.milliseconds["1"]
        assert row[-3].text == f"{ratio:.2f}"
        low, high = model.ratio_interval(ratio, loads[network], loads["mobilefacenet"])
        if network != "mobilefacenet":
            assert row[-3].detail == "–".join(significant(end, 2) for end in (low, high))
    assert found["mobilenet_v1"][-1].text == "2.50"  # 60 ms of 24
    assert found["shufflenet_v1"][-1].text == "1.12"


def test_without_the_baseline_there_is_no_ratio() -> None:
    records = emulated("mobilenet_v1")
    row = cells(tables(records)[0])["mobilenet_v1"]
    assert [cell.text for cell in row[-3:]] == ["–", "–", "2.50"]
    assert not FIGURES["modelled_ratio"].shows(Evidence(records))


def explained(compute: float, memory: float) -> list[Record]:
    """All published rows, their counts made so that such constants explain the paper exactly."""
    records = []
    for index, network in enumerate(PUBLISHED):
        counts, _ = emulated(network)
        evidence = Evidence([counts])
        paper = evidence.subjects[[s.network for s in evidence.subjects].index(network)].paper
        assert paper is not None
        share = 0.5 + 0.04 * index
        seconds = paper.latency_ms / 1e3
        lines = (1 - share) * seconds / memory * 14.9e9 / 128
        work = Work(10**8, {"fma": 1}, 1, 1, (1, round(lines)), 0,
                    cycles=4 * share * seconds / compute * 2.15e9)  # fmt: skip
        if paper.network == AMBIGUOUS:
            work = replace(work, cycles=9e9)
        records.append(changed(counts, work=work, line_bytes=(64, 128)))
    return records


def test_the_error_comes_from_the_records_and_leaves_the_ambiguous_row_out() -> None:
    evidence = Evidence(explained(2.5, 1.25))
    found = refit(evidence, places(evidence)[0])
    assert found is not None
    assert (found.compute, found.memory) == pytest.approx((2.5, 1.25), rel=1e-4)
    assert (found.mean_error, found.left_out) == pytest.approx((0, 0), abs=1e-4)
    assert set(found.ratios) == set(PUBLISHED) - {"mobilefacenet_x2"}


def test_the_constants_of_table_2_are_named_as_such() -> None:
    text = words([*explained(2.5, 1.25), emulated("mobilefacenet")[1]])
    assert "stand for the software and the phone of Table 2, and for nothing else" in text
    assert "pipeline × 2.50, memory × 1.25" in text
    assert "arXiv 1804.07573, Table 2" in text


def test_the_left_out_error_stands_first_and_is_not_that_of_the_fit() -> None:
    counts = emulated("mobilenet_v1")[0]
    assert isinstance(counts.result, Instructions)
    # Twice the work of what explains its time: the fit gives way to it, the others do not.
    assert counts.result.work.cycles is not None
    wrong = replace(counts.result.work, cycles=2 * counts.result.work.cycles)
    others = [one for one in explained(2.5, 1.25) if one.case.network != "mobilenet_v1"]
    evidence = Evidence([*others, changed(counts, work=wrong), emulated("mobilefacenet")[1]])
    found = refit(evidence, places(evidence)[0])
    (told,) = (block for block in build(evidence) if isinstance(block, Statements))
    assert found is not None
    assert found.left_out > 1.01 * found.mean_error
    figures = [f"{100 * error:.1f} %" for error in (found.left_out, found.mean_error)]
    assert [one.figure for one in told.items] == figures


@pytest.mark.parametrize("missing", ["mobilenet_v2", "mobilefacenet"])
def test_no_error_is_told_where_one_of_the_ten_rows_is_missing(missing: str) -> None:
    text = words([one for one in all_rows() if one.case.network != missing])
    assert "Table 2" not in text


@pytest.mark.parametrize("field", [{"precision": "int8"}, {"batch": 4}])
def test_what_the_paper_did_not_time_is_not_held_against_it(field: dict[str, Any]) -> None:
    records = [replace(one, case=replace(one.case, **field)) for one in all_rows()]
    assert "Table 2" not in words(records)


def test_a_runtime_without_published_times_has_no_interval_and_says_why() -> None:
    (table,) = tables(emulated("mobilenet_v1", "kryo", "tvm"))
    row = cells(table)["mobilenet_v1"]
    assert row[7].detail == ""
    assert any("no published times of this runtime" in note for note in table.notes)
    assert cells(tables(emulated("mobilenet_v1"))[0])["mobilenet_v1"][7].detail


def test_a_time_of_an_older_model_is_not_shown() -> None:
    counts, times = emulated("mobilefacenet")
    assert times.result is not None
    older = {"compute": 1e8, "memory": 1e8}
    times = changed(times, terms=older, milliseconds={"1": 80.0, "2": 50.0, "4": 30.0})
    table = tables([counts, times])[0]
    assert cells(table)["mobilefacenet"][7].text == "–"
    assert any("run it again" in note for note in table.notes)
    assert "80.0" not in printed([counts, times])


def test_untuned_code_is_marked_wherever_its_time_stands() -> None:
    records = emulated("mobilefacenet", "cortex-a76", "tvm")
    table, functions = tables(records)
    row = cells(table)["mobilefacenet"]
    assert [row[at].badge for at in (1, -3)] == ["untuned"] * 2
    assert "untuned" in table.caption
    assert "untuned" in functions.groups[0].heading
    assert "untuned" in printed(records)
    assert "untuned" not in tables(emulated("mobilefacenet"))[0].caption


def test_the_fitted_place_comes_first_and_levels_are_those_of_the_core() -> None:
    first, second, _ = tables(emulated("mobilefacenet", "cortex-a76") + emulated("mobilefacenet"))
    assert first.caption.startswith("ncnn on kryo")
    levels = [[c.title for c in table.columns if "Misses" in c.group] for table in (first, second)]
    assert levels == [["L1", "L2"], ["L1", "L2", "L3"]]


def test_a_core_without_figures_shows_its_instructions_and_why_there_is_no_time() -> None:
    case = Case("instructions", "mobilefacenet", runtime="ncnn", device="emulated:cortex-a7")
    counted = Instructions("cortex-a7", (), Work(3 * 10**8, {}, 10**6, 10**6, (), 0), (), 1e-6)
    reason = "no figures of cortex-a7 are known to model its time with"
    times = replace(case, measure="cycles")
    refused = record(times, "modelled", status="refused", reason=reason)
    (table,) = tables([record(case, "emulated", counted), refused])
    texts = [cell.text for cell in cells(table)["mobilefacenet"]]
    assert texts == ["mobilefacenet", "300.0", "–", "2.000", "–", "refused", "–", "1.00"]
    assert table.notes == [reason]


def test_what_went_wrong_is_told_and_the_rest_still_shown() -> None:
    counts, times = emulated("mobilenet_v1")
    failed = replace(counts, status="failed", result=None, reason="its outputs differ")
    table = tables([*emulated("mobilefacenet"), failed, replace(times, result=None)])[0]
    found = cells(table)
    assert found["mobilenet_v1"][1].text == "failed"
    assert "its outputs differ" in table.notes
    assert found["mobilefacenet"][1].text != "failed"


def test_counts_and_times_of_one_row_are_of_the_same_weights() -> None:
    random_counts, random_times = emulated("mobilefacenet")
    made = (random_counts, random_times)
    trained = [replace(one, case=replace(one.case, weights=TRAINED)) for one in made]

    def weights(records: list[Record]) -> tuple[str, str]:
        row = places(Evidence(records))[0].row("mobilefacenet")
        assert row is not None
        assert row.counts is not None
        assert row.times is not None
        return row.counts.case.weights, row.times.case.weights

    assert weights([*trained, random_counts, random_times]) == (TRAINED, TRAINED)
    assert weights([trained[0], random_counts, random_times]) == ("random:0", "random:0")


def test_functions_are_the_five_largest_with_their_share() -> None:
    counts, _ = emulated("mobilefacenet")
    assert isinstance(counts.result, Instructions)
    kernel = counts.result.kernels[0]
    many = [replace(kernel, name=f"k{i}" + "x" * 300 * (i == 1)) for i in range(9)]
    functions = tables([changed(counts, kernels=tuple(many))])[1]
    rows = functions.groups[0].rows
    assert [row[0].text[:2] for row in rows] == ["k0", "k1", "k2", "k3", "k4"]
    assert len(rows[1][0].text) < 100
    assert rows[0][2].text == "60.0"


def test_hostile_names_are_escaped_in_both_forms(hostile: Path) -> None:
    html, text = ((hostile / f"report.{form}").read_text() for form in ("html", "md"))
    part = html[html.index('<section id="emulated">') :]
    assert "<script>alert" not in part
    assert "&lt;script&gt;" in part
    lines = text[text.index("## ARM cores") :].splitlines()
    for name in HOSTILE:
        assert any(line.startswith(f"| {escape(name)} |") for line in lines)


def test_the_title_says_that_nothing_was_timed_on_arm(rendered: Path) -> None:
    assert "nothing here was timed on ARM</h2>" in (rendered / "report.html").read_text()
    assert (rendered / "modelled_ratio.png").stat().st_size > 10_000


def test_the_picture_says_which_points_were_fitted_to() -> None:
    alone = FIGURES["modelled_ratio"].caption(Evidence(all_rows()))
    assert "of ncnn on kryo with 4 threads were fitted to the published times" in alone
    assert "Other panels" not in alone
    evidence = Evidence(all_rows() + all_rows("cortex-a76", "tvm"))
    both = FIGURES["modelled_ratio"].caption(evidence)
    assert "Other panels" in both
    assert "Squares are untuned" in both


def test_the_terminal_shows_the_first_core_of_each_runtime() -> None:
    text = printed(all_rows() + all_rows("cortex-a72") + all_rows("cortex-a76", "onnxruntime"))
    part = text[text.index("ARM cores") :]
    assert "kryo" in part
    assert "cortex-a76" in part
    assert "cortex-a72" not in part
    assert "modelled" in part
    assert all(name in part for name in PUBLISHED)
    assert all(len(line.rstrip()) <= 120 for line in text.splitlines())
    assert "…" not in text
