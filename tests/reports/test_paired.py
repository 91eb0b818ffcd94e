from __future__ import annotations

from dataclasses import replace

import pytest

from facebench.harness.records.accuracy import Accuracy
from facebench.harness.records.record import Record
from facebench.harness.verification.paired import holm
from facebench.reports.evidence import Evidence
from facebench.reports.page import Paragraph, Table
from facebench.reports.paired import families, paired_frame
from facebench.reports.sections.paired import paired
from tests.reports.report_records import SYNTHETIC, lfw, pair_scores, scored

NAMES = ("mobilefacenet_s", "mobilefacenet", "mobilenet_v2", "mobilenet_v1")


def scored_alike() -> list[Record]:
    return [scored(name, pair_scores(i, 3.0 + 0.3 * i)) for i, name in enumerate(NAMES)]


def test_every_network_is_compared_with_the_baseline_alone() -> None:
    (family,) = families(Evidence(scored_alike()))
    assert family.first.case.network == "mobilefacenet"
    assert {other.record.case.network for other in family.others} == set(NAMES) - {"mobilefacenet"}
    assert not family.same_network


def test_without_the_baseline_the_first_record_is_it() -> None:
    (family,) = families(Evidence([r for r in scored_alike() if r.case.network != NAMES[1]]))
    # Of the paper's order: the variants of MobileFaceNet come before its rivals.
    assert family.first.case.network == "mobilefacenet_s"


def test_p_values_are_corrected_over_the_comparisons_shown() -> None:
    (family,) = families(Evidence(scored_alike()))
    made = [other.agreement for other in family.others if other.agreement]
    assert len(made) == 3
    assert [one.adjusted_p for one in made] == holm([one.paired.p_value for one in made])


def test_scores_on_different_pairs_are_not_compared() -> None:
    one, other = scored("mobilefacenet", pair_scores(1)), pair_scores(2, digest="other")
    assert families(Evidence([one, scored("mobilenet_v2", other)])) == ()
    assert families(Evidence([one, lfw("mobilenet_v2")])) == ()
    assert paired(Evidence([one])) == []


def test_runs_of_one_network_are_read_by_the_decisions_that_changed() -> None:
    base = scored("mobilefacenet", pair_scores(1))
    same = scored("mobilefacenet", pair_scores(1), runtime="ncnn")
    int8 = scored("mobilefacenet", pair_scores(1, 2.5), runtime="openvino", precision="int8")
    (family,) = families(Evidence([int8, base, same]))
    assert family.same_network
    assert family.first.case.precision == "fp32"
    found = {other.record.case.precision: other.agreement for other in family.others}
    assert found["fp32"] is not None
    assert found["fp32"].verdict == "all 600 decisions are equal"
    assert found["int8"] is not None
    assert found["int8"].changed > 0


def test_mcnemars_p_is_shown_and_decides_nothing() -> None:
    records = [scored("mobilefacenet", pair_scores(1)), scored("mobilenet_v2", pair_scores(2))]
    (family,) = families(Evidence(records))
    (other,) = family.others
    assert other.agreement is not None
    low, high = other.agreement.paired.interval
    assert low <= 0.0 <= high
    assert other.agreement.paired.mcnemar < 0.05 < other.agreement.adjusted_p
    assert other.agreement.verdict == "no difference shown"
    (table,) = [block for block in paired(Evidence(records)) if isinstance(block, Table)]
    assert "McNemar’s" in [column.title for column in table.columns]
    assert paired_frame(Evidence(records)).iloc[0]["p_value_mcnemar"] < 0.05


def test_networks_are_compared_as_the_baseline_was_tested() -> None:
    records = [scored("mobilefacenet", pair_scores(1)), scored("mobilenet_v2", pair_scores(2))]
    records.append(scored("mobilenet_v2", pair_scores(3), flip="none", runtime="ncnn"))
    networks, runs = families(Evidence(records))
    assert not networks.same_network
    assert [other.record.case.flip for other in networks.others] == ["sum"]
    assert [other.record.case.flip for other in runs.others] == ["none"]


def test_a_network_tested_otherwise_carries_a_note() -> None:
    records = [scored("mobilefacenet", pair_scores(1))]
    records.append(scored("mobilenet_v2", pair_scores(2), flip="none"))
    (table,) = [block for block in paired(Evidence(records)) if isinstance(block, Table)]
    assert "not tested alike: flip none, the first with sum" in table.notes


def test_the_table_says_what_not_shown_means() -> None:
    blocks = paired(Evidence(scored_alike()))
    text = " ".join(block.text for block in blocks if isinstance(block, Paragraph))
    assert "No difference shown" in text
    assert "not that the two are equal" in text
    (table,) = [block for block in blocks if isinstance(block, Table)]
    assert "3 comparisons corrected together" in table.caption
    assert "First: mobilefacenet" in table.caption


def test_a_label_of_drawn_faces_goes_with_the_comparison() -> None:
    records = [scored(name, pair_scores(i), "synthetic", SYNTHETIC) for i, name in enumerate(NAMES)]
    (table,) = [block for block in paired(Evidence(records)) if isinstance(block, Table)]
    assert SYNTHETIC in table.caption


def test_thresholds_that_do_not_fit_the_folds_are_a_reason_not_a_crash() -> None:
    base, other = scored("mobilefacenet", pair_scores(1)), scored("mobilenet_v2", pair_scores(2))
    assert isinstance(other.result, Accuracy)
    other = replace(other, result=replace(other.result, fold_thresholds=(0.2,)))
    evidence = Evidence([base, other])
    (table,) = [block for block in paired(evidence) if isinstance(block, Table)]
    assert "thresholds" in table.notes[0]
    assert paired_frame(evidence).iloc[0]["status"] == "refused"


def test_figures_of_a_comparison_carry_their_kind() -> None:
    emulated = [replace(record, kind="emulated") for record in scored_alike()]
    (table,) = [block for block in paired(Evidence(emulated)) if isinstance(block, Table)]
    kinds = {cell.kind for group in table.groups for row in group.rows for cell in row if cell.kind}
    assert kinds == {"emulated"}


@pytest.mark.parametrize("count", [1, 4])
def test_the_file_holds_every_comparison(count: int) -> None:
    found = paired_frame(Evidence(scored_alike()[:count]))
    assert len(found) == count - 1
    if count > 1:
        assert set(found["compared"]) == {3}
        assert (found["difference_low"] <= found["difference"]).all()
