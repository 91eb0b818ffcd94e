"""Verification and identification: what scores of pairs add, and what stands where they lack."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from facebench.harness.records.accuracy import Accuracy, Identification
from facebench.harness.records.pair_scores import PairScores
from facebench.harness.records.record import Record
from facebench.reports import scores as scores_module
from facebench.reports.evidence import Evidence
from facebench.reports.figures import FIGURES
from facebench.reports.page import Block, Cell, Paragraph, Table
from facebench.reports.score_frames import identification_frame, verification_frame
from facebench.reports.scores import curves, summarised
from facebench.reports.sections.galleries import galleries
from facebench.reports.sections.groups import groups
from facebench.reports.sections.identification import identification
from facebench.reports.sections.templates import templates
from facebench.reports.sections.trials import trials
from facebench.reports.sections.verification import verification
from tests.reports.report_records import (
    HOSTILE,
    SYNTHETIC,
    by_groups,
    by_templates,
    in_galleries,
    in_trials,
    lfw,
    pair_scores,
    scored,
    searched,
    synthetic,
    without_faces,
)

CURVES = ("det", "roc", "scores")


def tables(blocks: object) -> list[Table]:
    assert isinstance(blocks, list)
    return [block for block in blocks if isinstance(block, Table)]


def column(table: Table, title: str) -> list[Cell]:
    (index,) = [i for i, one in enumerate(table.columns) if one.title == title]
    return [row[index] for group in table.groups for row in group.rows]


def heads(table: Table) -> list[str]:
    return [one.title for one in table.columns]


def sentences(blocks: object) -> list[str]:
    assert isinstance(blocks, list)
    found: list[Block] = blocks
    return [block.text for block in found if isinstance(block, Paragraph)]


def separable(pairs: int = 600) -> PairScores:
    same = np.arange(pairs) % 2 == 0
    scores = np.where(same, 0.9, 0.1) + 1e-4 * np.arange(pairs) / pairs
    return PairScores.pack(scores, same, np.arange(pairs) * 10 // pairs, [], "separable")


def one_class() -> Record:
    """A dataset of genuine pairs only, as a hostile or a careless list leaves it."""
    made = scored("mobilefacenet", pair_scores(1))
    assert isinstance(made.result, Accuracy)
    genuine = PairScores.pack(np.linspace(0.1, 0.9, 20), [True] * 20, np.arange(20) // 2, [], "one")
    return replace(made, result=replace(made.result, scores=genuine, pairs=20))


def test_standard_error_and_spread_of_the_folds_stand_apart_by_name() -> None:
    record = scored("mobilefacenet", pair_scores(1))
    assert isinstance(record.result, Accuracy)
    (table,) = tables(verification(Evidence([record])))
    units = {one.title: one.unit for one in table.columns}
    assert units["standard error"] == "of the mean"
    assert units["standard deviation"] == "of the folds"
    ((error,), (spread,)) = column(table, "standard error"), column(table, "standard deviation")
    result = record.result
    assert float(error.text) == pytest.approx(100 * result.standard_error, rel=0.05)
    assert float(spread.text) == pytest.approx(
        100 * record.result.fold_standard_deviation, rel=0.05
    )


def test_only_rates_that_the_pairs_support_have_a_column_and_the_rest_a_reason() -> None:
    blocks = verification(Evidence([scored("mobilefacenet", pair_scores(1))]))
    (table,) = tables(blocks)
    assert [one.title for one in table.columns if one.group.startswith("TAR")] == ["0.01"]
    refused = [text for text in sentences(blocks) if text.startswith("Refused: ")]
    assert len(refused) == 1
    assert "0.001" in refused[0]
    assert "300 impostor pairs" in refused[0]


def test_an_interval_stands_with_every_rate() -> None:
    (table,) = tables(verification(Evidence([scored("mobilefacenet", pair_scores(1))])))
    for title in ("0.01", "EER", "AUC"):
        (cell,) = column(table, title)
        assert "–" in cell.detail
        assert cell.kind == "measured"


def test_a_network_that_errs_nowhere_is_not_certain() -> None:
    (table,) = tables(verification(Evidence([scored("mobilefacenet", separable())])))
    (tar,) = column(table, "0.01")
    # 300 pairs of either kind: 0.05 ** (1 / 300) is 0.9901.
    assert (tar.text, tar.detail) == ("100.0", "99.0–100.0")
    assert "exact one-sided one of 300 pairs" in table.notes[tar.notes[0] - 1]
    (auc,), (eer,) = column(table, "AUC"), column(table, "EER")
    assert auc.detail == "0.990–1.000"
    assert eer.detail == "0.0–1.0"


def test_pairs_of_unknown_people_are_said_to_be_drawn_as_pairs() -> None:
    (table,) = tables(verification(Evidence([scored("a", pair_scores(1, known=False))])))
    assert "take pairs for independent" in table.caption
    assert "too narrow" in table.caption


def test_a_record_without_scores_shows_what_it_has_and_says_what_it_lacks() -> None:
    old = lfw("mobilefacenet")
    (table,) = tables(verification(Evidence([old])))
    assert "EER" not in heads(table)
    (mean,) = column(table, "mean")
    assert mean.text.startswith("99.4")
    assert any("schema 1" in table.notes[number - 1] for number in mean.notes)
    beside = Evidence([old, scored("mobilefacenet_s", pair_scores(1))])
    assert column(tables(verification(beside))[0], "EER")[0].text == "–"


def test_a_dataset_of_one_kind_of_pairs_has_accuracy_and_a_reason() -> None:
    evidence = Evidence([one_class()])
    (table,) = tables(verification(evidence))
    assert "EER" not in heads(table)
    assert any("0 impostor pairs" in note for note in table.notes)
    assert curves(evidence) is None
    assert not any(one.shows(evidence) for one in FIGURES if one.name in CURVES)


def test_damaged_scores_do_not_break_the_page() -> None:
    made = scored("mobilefacenet", pair_scores(1))
    assert isinstance(made.result, Accuracy)
    assert made.result.scores
    scores = made.result.scores.scores.copy()
    scores[7] = np.nan
    damaged = replace(made.result.scores, packed_scores=scores.tobytes())
    record = replace(made, result=replace(made.result, scores=damaged))
    (table,) = tables(verification(Evidence([record])))
    assert any("1 of 600 scores are not finite" in note for note in table.notes)


def test_precision_landmarks_and_faces_not_found_have_columns_only_where_they_differ() -> None:
    plain = tables(verification(Evidence([scored("mobilefacenet", pair_scores(1))])))[0]
    assert not {"Precision", "Landmarks", "Without a face"} & set(heads(plain))
    int8 = scored("a", pair_scores(1), precision="int8", calibration="synthetic")
    (table,) = tables(verification(Evidence([int8])))
    assert column(table, "Precision") == [Cell("int8", "calibrated on synthetic")]
    (table,) = tables(verification(Evidence([without_faces("a")])))
    assert column(table, "Landmarks")[0].text == "scrfd@ab12"
    assert column(table, "Without a face")[0].text == "exclude"


def test_images_without_a_face_become_a_note_with_their_cost() -> None:
    names = ("a.jpg", "x" * 500, *(f"{i}.jpg" for i in range(10)))
    (table,) = tables(verification(Evidence([without_faces("mobilefacenet", names)])))
    (note,) = table.notes
    assert note.startswith("no face found in 12 images (a.jpg, ")
    assert "and 7 more" in note
    assert note.endswith("they were left out; 60 pairs left out")
    assert "x" * 100 not in note


def test_each_record_is_summarised_once(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    summarise = scores_module.summarise

    def counted(pairs: PairScores) -> object:
        calls.append(pairs)
        return summarise(pairs)

    monkeypatch.setattr(scores_module, "summarise", counted)
    record = scored("mobilefacenet", pair_scores(1234))
    evidence = Evidence([record])
    verification(evidence)
    curves(evidence)
    verification_frame([record])
    assert len(calls) == 1


def test_curves_are_of_real_faces_where_there_are_any() -> None:
    drawn = scored("mobilefacenet", pair_scores(1), "synthetic", SYNTHETIC)
    also_drawn = scored("mobilefacenet_s", pair_scores(2), "synthetic", SYNTHETIC)
    found = curves(Evidence([drawn, also_drawn, scored("mobilefacenet", pair_scores(3))]))
    assert found is not None
    assert (found.dataset, found.label, len(found.scored)) == ("lfw", "", 1)


def test_curves_of_drawn_faces_carry_their_label() -> None:
    evidence = Evidence([scored("mobilefacenet", pair_scores(1), "synthetic", SYNTHETIC)])
    found = curves(evidence)
    assert found is not None
    assert found.label == SYNTHETIC


def test_one_line_a_network_and_that_in_single_precision() -> None:
    int8 = scored("mobilefacenet", pair_scores(2), precision="int8")
    evidence = Evidence([scored("mobilefacenet", pair_scores(1)), int8])
    found = curves(evidence)
    assert found is not None
    (one,) = found.scored
    assert one.record.case.precision == "fp32"
    speaks = evidence.score("mobilefacenet", "lfw")
    assert speaks is not None
    assert speaks.case.precision == "fp32"


def test_a_network_without_errors_has_no_trade_off_to_draw() -> None:
    evidence = Evidence([scored("mobilefacenet", separable())])
    assert not FIGURES["det"].shows(evidence)
    both = Evidence([scored("mobilefacenet", separable()), scored("b", pair_scores(1))])
    assert "too few errors: mobilefacenet" in FIGURES["det"].caption(both)


def test_files_hold_what_the_tables_show() -> None:
    record = scored("mobilefacenet", pair_scores(1))
    assert isinstance(record.result, Accuracy)
    summary = summarised(record.result).summary
    assert summary is not None
    row = verification_frame([record]).iloc[0]
    assert (row["eer"], row["eer_low"]) == (summary.eer.value, summary.eer.interval[0])
    assert row["tar[0.01]"] == summary.tar[0].point.true_rate
    assert (row["inferences"], row["flip"]) == (2, "sum")
    searches = identification_frame([searched("mobilefacenet")])
    assert searches.iloc[0]["rank1"] == 0.9


def test_identification_gives_every_rate_with_an_interval_and_its_counts() -> None:
    blocks = identification(Evidence([searched("mobilefacenet")]))
    (table,) = tables(blocks)
    (rank1,) = column(table, "Rank 1")
    assert (rank1.text, rank1.detail, rank1.kind) == ("90", "85–94", "measured")
    groups = [one.group for one in table.columns if one.group]
    assert sum("FPIR" in group for group in groups) == 2
    assert sum("FAR" in group for group in groups) == 2
    assert column(table, "Distractors")[0].text == "20,000"
    assert "people" in sentences(blocks)[0]


def test_a_search_of_an_earlier_schema_has_figures_without_intervals() -> None:
    made = searched("mobilefacenet")
    assert isinstance(made.result, Identification)
    old = replace(made, result=replace(made.result, bounds=None))
    (table,) = tables(identification(Evidence([old])))
    (rank1,) = column(table, "Rank 1")
    assert (rank1.text, rank1.detail) == ("90.00", "")
    assert any("before schema 8" in note for note in table.notes)
    assert identification_frame([old]).iloc[0]["rank1"] == 0.9


def test_templates_have_a_column_a_far_and_what_is_refused_is_noted() -> None:
    failed = replace(by_templates("x"), status="failed", result=None, reason="out of memory")
    blocks = templates(Evidence([by_templates("mobilefacenet"), failed]))
    (table,) = tables(blocks)
    first, second = column(table, "0.0001")
    assert (first.text, first.detail, first.kind) == ("80", "78–82", "measured")
    assert second.text == "failed"
    assert column(table, "1e-05")[0].text == "70"
    assert column(table, "Impostor pairs")[0].text == "2,000,000"
    assert any("1e-06 isn't supported" in note for note in table.notes)
    assert "out of memory" in table.notes
    assert not templates(Evidence([searched("mobilefacenet")]))


def test_searches_of_templates_have_a_column_a_rank_and_an_fpir() -> None:
    failed = replace(in_galleries("x"), status="failed", result=None, reason="out of memory")
    (table,) = tables(galleries(Evidence([in_galleries("mobilefacenet"), failed])))
    assert [cell.text for cell in column(table, "1")] == ["90", "failed"]
    assert column(table, "0.01")[0].detail == "22–40"
    assert column(table, "Galleries")[0].text == "1,772 and 1,759"
    assert table.notes == ["out of memory"]
    assert not galleries(Evidence([searched("mobilefacenet")]))


def test_trials_are_reported_as_their_mean_less_their_deviation() -> None:
    failed = replace(in_trials("x"), status="failed", result=None, reason="out of memory")
    (table,) = tables(trials(Evidence([in_trials("mobilefacenet"), failed])))
    first, second = column(table, "TAR, %, at a FAR of 0.001")
    assert (first.text, first.detail, second.text) == ("88.00", "90.00 ± 2.00", "failed")
    assert column(table, "Found, %, at 0.01 false alarms")[0].text == "60.00"
    assert not trials(Evidence([searched("mobilefacenet")]))


def test_groups_have_a_row_each_and_a_sentence_on_the_gap() -> None:
    blocks = groups(Evidence([by_groups("mobilefacenet")]))
    (table,) = tables(blocks)
    assert [cell.text for cell in column(table, "Group")] == ["north", "south"]
    assert [cell.text for cell in column(table, "Pairs")] == ["600", "600"]
    assert any("The widest gap" in sentence for sentence in sentences(blocks))
    assert not groups(Evidence([scored("mobilefacenet", pair_scores(3))]))


def test_a_search_that_failed_says_why() -> None:
    failed = replace(searched("x"), status="failed", result=None, reason="out of memory")
    (table,) = tables(identification(Evidence([failed])))
    assert table.notes == ["out of memory"]
    assert "rank1" not in identification_frame([failed])


def test_sections_without_records_are_left_out() -> None:
    assert identification(Evidence([synthetic("mobilefacenet")])) == []


@pytest.mark.parametrize("name", HOSTILE)
def test_names_of_images_are_shown_on_one_line(name: str) -> None:
    (table,) = tables(verification(Evidence([without_faces("a", (name,))])))
    (note,) = table.notes
    assert "\n" not in note
    assert "\u202e" not in note
