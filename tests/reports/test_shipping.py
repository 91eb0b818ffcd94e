"""Which runtimes may be shipped: those that are not shown to be slower than the fastest."""

from __future__ import annotations

from dataclasses import replace

import pytest

from facebench.harness.records.record import Check, Record
from facebench.reports.evidence import Evidence
from facebench.reports.page import Paragraph, Table
from facebench.reports.sections.shipping import shipping
from facebench.reports.shipping import Choice, choices, sentence
from tests.reports.report_records import emulated
from tests.reports.test_time_ratios import timed


def chosen(*records: Record) -> list[Choice]:
    return choices(Evidence(records))


def names(choice: Choice) -> list[str]:
    return [row.setting.runtime for row in choice.ship]


def in_precision(record: Record, precision: str) -> Record:
    return replace(record, case=replace(record.case, precision=precision))


def test_one_that_is_faster_than_each_other_is_alone() -> None:
    (found,) = chosen(timed("b", 5.2), timed("a", 5.0), timed("c", 9.0))
    assert names(found) == ["a"]
    assert [row.setting.runtime for row in found.slower] == ["b", "c"]
    assert sentence(found).startswith("mobilefacenet, fp32: ship a; slower: b × 1.0")


def test_those_that_cannot_be_told_apart_may_all_be_shipped() -> None:
    (found,) = chosen(timed("b", 5.0), timed("a", 5.0), timed("c", 9.0))
    assert sorted(names(found)) == ["a", "b"]
    assert [row.setting.runtime for row in found.slower] == ["c"]
    assert "none of them is shown to be slower" in sentence(found)


def test_a_disturbed_time_is_not_shown_to_be_slower() -> None:
    slow = replace(timed("b", 5.2), checks=(Check("machine kept its speed", False, "1.4 times"),))
    (found,) = chosen(timed("a", 5.0), slow)
    assert sorted(names(found)) == ["a", "b"]


def test_precisions_are_choices_of_their_own() -> None:
    fast, slow = (in_precision(timed(name, ms), "int8") for name, ms in (("b", 2.0), ("a", 3.0)))
    found = chosen(timed("a", 5.0), timed("b", 9.0), slow, fast)
    assert [(one.precision, names(one)) for one in found] == [("fp32", ["a"]), ("int8", ["b"])]


@pytest.mark.parametrize(
    "other",
    [
        replace(timed("b", 1.0), status="failed", reason="no", result=None),
        replace(timed("b", 1.0), environment={"cpu_model": "another"}),
        replace(timed("b", 1.0), case=replace(timed("b", 1.0).case, threads=2)),
        replace(timed("b", 1.0), case=replace(timed("b", 1.0).case, batch=8)),
        replace(timed("b", 1.0), case=replace(timed("b", 1.0).case, denormals="kept")),
    ],
    ids=["failed", "another machine", "threads", "batch", "denormals"],
)
def test_what_cannot_be_compared_is_no_choice(other: Record) -> None:
    assert not chosen(timed("a", 5.0), other)


def test_untuned_code_takes_no_part() -> None:
    made = timed("tvm", 1.0)
    untuned = replace(made, result=replace(made.result, label="untuned"))
    (found,) = chosen(timed("a", 5.0), timed("b", 9.0), untuned)
    assert names(found) == ["a"]


def test_the_section_shows_measured_choices_and_ranks_no_modelled_time_that_it_cannot() -> None:
    assert shipping(Evidence([])) == []
    counted = [
        one for name in ("ncnn", "onnxruntime") for one in emulated("mobilefacenet", runtime=name)
    ]
    records = [timed("a", 5.0), timed("b", 9.0), *counted]
    tables = [block for block in shipping(Evidence(records)) if isinstance(block, Table)]
    measured, modelled = tables
    assert measured.groups[0].rows[0][1].text == "a"
    for row in modelled.groups[0].rows:
        times = row[2]
        assert "onnxruntime" in times.text
        assert "ncnn" in times.text
        # No published time of ONNX Runtime was held against the model.
        assert "(no interval)" in times.text
        assert times.detail == ""
    assert any(isinstance(block, Paragraph) for block in shipping(Evidence(records)))
