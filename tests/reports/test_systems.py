"""Table 3 is printed where a large system was counted: published, counted and timed apart."""

from __future__ import annotations

from dataclasses import replace

from facebench.architectures import registry
from facebench.harness.records.record import Record
from facebench.harness.records.store import paper_table
from facebench.reports.claims import SUPPORTED
from facebench.reports.claims.papers import judged
from facebench.reports.evidence import Evidence
from facebench.reports.page import Table
from facebench.reports.sections.systems import BUILT, OPEN, PART, systems
from tests.reports.claims.claim_records import timed
from tests.reports.report_records import cost, full_run, large_cost


def table(*records: Record) -> Table:
    return tables(*records)[0]


def tables(*records: Record) -> list[Table]:
    return [one for one in systems(Evidence(records)) if isinstance(one, Table)]


def test_every_system_of_tables_3_and_4_is_built_or_said_not_to_be() -> None:
    methods = {row["method"] for number in (3, 4) for row in paper_table(number)}
    assert methods == {*BUILT, *OPEN}
    assert not set(BUILT) & set(OPEN)
    assert set(PART) <= set(BUILT)
    assert set(BUILT.values()) <= set(registry.names())


def test_without_a_large_system_there_is_no_such_table() -> None:
    assert not systems(Evidence(full_run()))
    assert not systems(Evidence([large_cost()]))


def test_what_is_published_and_what_is_counted_stand_apart() -> None:
    found = table(cost("mobilefacenet"), large_cost(), timed("resnet_ir_100", 300.0))
    heads = [f"{column.group} {column.title}" for column in found.columns]
    every = [cells for group in found.groups for cells in group.rows]
    rows = {cells[0].text: dict(zip(heads, cells, strict=True)) for cells in every}
    arcface = rows["ArcFace (LResNet100E-IR)"]
    assert arcface["Published size"].text == "250MB"
    assert arcface["Published size"].kind == arcface["Published LFW"].kind == "published"
    assert arcface["Counted here size"].text == "261"
    assert arcface["Counted here of MobileFaceNet’s"].text == "65.6"
    assert arcface["Latency, ms, 1 thread ncnn"].text.startswith("3")
    assert rows["MobileFaceNet"]["Counted here size"].text == "3.97"
    assert rows["DCFL"]["Counted here size"].text == "–"
    assert any("DCFL is not built" in note for note in found.notes)
    assert not any("one of its 25 networks" in note for note in found.notes)


def test_the_systems_of_table_4_stand_beside_their_counts() -> None:
    found = tables(cost("mobilefacenet"), large_cost())[1]
    rows = {cells[0].text: [cell.text for cell in cells[1:]] for cells in found.groups[0].rows}
    assert rows["iBUG_DeepInsight (ArcFace)"][:2] == ["98.48", "–"]
    assert rows["iBUG_DeepInsight (ArcFace)"][3:5] == ["261", "65.6"]
    assert rows["Vocord-deepVo V3"][2:] == ["–"] * 4
    assert any("Vocord-deepVo V3 is not built" in note for note in found.notes)


def test_a_part_of_a_system_is_said_to_be_one() -> None:
    part = replace(large_cost(), case=replace(large_cost().case, network="deepid2_plus"))
    found = table(cost("mobilefacenet"), part)
    assert any("one of its 25 networks" in note for note in found.notes)


def test_hundreds_of_megabytes_is_a_claim_that_counts_decide() -> None:
    evidence = Evidence([cost("mobilefacenet"), large_cost()])
    (one,) = [one for one in judged(evidence) if one.claim.name == "hundreds-of-mb"]
    assert one.verdict == SUPPORTED
    assert one.findings[0].figure == "65.6×"
