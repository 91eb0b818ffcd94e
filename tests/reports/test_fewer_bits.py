"""Fewer bits: time by the ratio's interval, accuracy by the same pairs, and what stayed wider."""

from __future__ import annotations

from dataclasses import replace

import pytest

from facebench.harness.records.record import Record
from facebench.reports.evidence import Evidence
from facebench.reports.fewer_bits import FewerBits, fewer_bits
from facebench.reports.page import Statements, Table
from facebench.reports.sections.fewer_bits import shown
from tests.reports.report_records import TRAINED, pair_scores, scored
from tests.reports.test_time_ratios import timed


def at(precision: str, ms: float, **provenance: object) -> Record:
    made = timed("openvino", ms)
    case = replace(made.case, precision=precision, weights=TRAINED)
    return replace(made, case=case, provenance=made.provenance | provenance)


def only(*records: Record) -> FewerBits:
    (found,) = fewer_bits(Evidence(records))
    return found


@pytest.mark.parametrize(
    ("ms", "pays"), [(2.0, "yes"), (5.0, "not decidable"), (5.001, "not decidable"), (9.0, "no")]
)
def test_it_pays_where_the_whole_interval_is_above_one(ms: float, pays: str) -> None:
    found = only(at("fp32", 5.0), at("int8", ms))
    assert found.pays == pays
    assert found.speed_up.low <= 5.0 / ms * 1.001
    assert found.speed_up.high >= 5.0 / ms * 0.999


@pytest.mark.parametrize(
    "wide",
    [
        replace(at("fp32", 5.0), case=replace(at("fp32", 5.0).case, weights="sha256:" + "0" * 64)),
        replace(at("fp32", 5.0), case=replace(at("fp32", 5.0).case, runtime="ncnn")),
        replace(at("fp32", 5.0), case=replace(at("fp32", 5.0).case, threads=2)),
        replace(at("fp32", 5.0), environment={"cpu_model": "another"}),
    ],
    ids=["weights", "runtime", "threads", "machine"],
)
def test_only_times_of_one_kind_are_related(wide: Record) -> None:
    assert not fewer_bits(Evidence([wide, at("int8", 2.0)]))


def test_accuracy_is_compared_on_the_same_pairs() -> None:
    one, other = pair_scores(1), pair_scores(1, 2.5)
    scores = [
        scored("mobilefacenet", one, runtime="openvino"),
        scored("mobilefacenet", other, runtime="openvino", precision="int8"),
    ]
    found = only(at("fp32", 5.0), at("int8", 2.0), *scores).accuracy
    assert found is not None
    # What a plain count says of the decisions at each fold's threshold.
    right = [record.result.accuracy for record in scores]  # type: ignore[union-attr]
    assert found.paired.difference == pytest.approx(right[1] - right[0], abs=1e-9)
    assert found.changed > 0


def test_another_runtimes_score_in_int8_says_nothing() -> None:
    scores = [
        scored("mobilefacenet", pair_scores(1), runtime="openvino"),
        scored("mobilefacenet", pair_scores(1, 2.5), runtime="onnxruntime", precision="int8"),
    ]
    assert only(at("fp32", 5.0), at("int8", 2.0), *scores).accuracy is None


def test_the_section_says_what_does_not_pay_and_why() -> None:
    assert shown(Evidence([at("fp32", 5.0)])) == []
    slow = at("int8", 9.0, left_wider=("33 PRelu",), artifact_bytes=1_100_000)
    blocks = shown(Evidence([at("fp32", 5.0, artifact_bytes=4_000_000), slow]))
    said = next(block for block in blocks if isinstance(block, Statements))
    assert "int8 does not pay for mobilefacenet in openvino" in said.items[0].text
    assert said.items[0].text.endswith("because 33 PRelu stay wider.")
    table = next(block for block in blocks if isinstance(block, Table))
    (cells,) = table.groups[0].rows
    texts = [cell.text for cell in cells]
    assert texts[:3] == ["mobilefacenet", "openvino", "int8"]
    assert "no" in texts
    assert "1.10" in texts
    assert texts[-1] == "33 PRelu"
    assert table.notes == ["not scored on real faces in this runtime in both precisions"]
