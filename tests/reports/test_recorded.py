"""Scores that came with facebench speak for the weights that they are of, and for no others."""

from __future__ import annotations

from dataclasses import replace

from facebench.harness.models.networks import SHIPPED, resolve
from facebench.harness.records.accuracy import Accuracy
from facebench.harness.records.record import Record
from facebench.harness.storage import shipped
from facebench.harness.storage.cache import file_digest
from facebench.reports.claims import SUPPORTED
from facebench.reports.claims.papers import judged
from facebench.reports.evidence import Evidence
from facebench.reports.page import Table
from facebench.reports.sections.comparison import comparison
from facebench.reports.sections.environment import environment
from facebench.reports.sections.verification import verification
from tests.reports.report_records import latency, lfw, synthetic
from tests.reports.test_terminal import printed


def shipped_weights(network: str) -> str:
    return f"sha256:{file_digest(shipped.weights()[network])}"


def timed(network: str, weights: str = "") -> Record:
    one = latency(network, "ncnn")
    return replace(one, case=replace(one.case, weights=weights or shipped_weights(network)))


def test_the_weights_of_a_run_are_those_of_the_records() -> None:
    assert resolve("mobilefacenet", SHIPPED).weights == shipped_weights("mobilefacenet")
    score = Evidence([timed("mobilefacenet")]).score("mobilefacenet", "lfw")
    assert score is not None
    assert score.kind == "recorded"
    assert isinstance(score.result, Accuracy)
    assert f"{score.result.accuracy:.4f}" == "0.9583"


def test_other_weights_have_no_recorded_score() -> None:
    for weights in ("random:0", "sha256:" + 16 * "ab12", shipped_weights("mobilenet_v2")):
        evidence = Evidence([timed("mobilefacenet", weights)])
        assert evidence.score("mobilefacenet", "lfw") is None
        assert evidence.seeds == []


def test_a_score_of_ones_own_is_not_replaced() -> None:
    score = lfw("mobilefacenet")
    own = replace(score, case=replace(score.case, weights=shipped_weights("mobilefacenet")))
    evidence = Evidence([timed("mobilefacenet"), own])
    assert evidence.scores == [own]
    assert evidence.own == evidence.records


def test_tables_show_it_as_recorded_with_date_data_set_and_hash() -> None:
    records = [timed("mobilefacenet"), synthetic("mobilefacenet")]
    text = printed(records)
    assert "recorded" in text
    assert "lfw, 2026-11-26" in text
    assert "95.8±0.6" in text
    evidence = Evidence(records)
    (table,) = [block for block in comparison(evidence) if isinstance(block, Table)]
    (row,) = [
        one for group in table.groups for one in group.rows if one[0].detail == "mobilefacenet"
    ]
    kinds = {cell.text: cell.kind for cell in row}
    assert kinds["95.8"] == "recorded"
    tables = [block for block in verification(evidence) if isinstance(block, Table)]
    (real,) = [one for one in tables if "Data set lfw" in one.caption]
    cells = [cell for group in real.groups for row in group.rows for cell in row]
    digest = shipped_weights("mobilefacenet")
    assert any(f"weights {digest}" in cell.more and "2026-11-26" in cell.more for cell in cells)


def test_what_came_with_facebench_is_no_case_and_no_machine_of_the_run() -> None:
    evidence = Evidence([timed("mobilefacenet")])
    assert len(evidence.own) == 1
    (table,) = [block for block in environment(evidence) if isinstance(block, Table)]
    assert "AMD EPYC 9B45" in str(table)
    assert len(table.columns) == 2


def test_claims_of_accuracy_are_judged_by_recorded_scores_and_say_so() -> None:
    evidence = Evidence([timed("mobilefacenet"), timed("mobilenet_v2")])
    found = {one.claim.name: one for one in judged(evidence)}
    # results/reference/README.md: 2.3 points over three seeds each, 1.9 to 2.7 by seeds alone.
    (better,) = found["accuracy-v2"].findings
    assert better.verdict == SUPPORTED
    assert better.figure.startswith("+2.3")
    assert better.kinds == ("recorded",)
    assert [one.kinds[0] for one in found["lfw"].findings] == ["recorded"]
