"""A latency is that of one inference everywhere; what took two is said, or has its own column."""

from __future__ import annotations

from dataclasses import replace

import pytest

from facebench.harness.records.accuracy import Accuracy
from facebench.harness.records.latency import Latency
from facebench.harness.records.record import Record
from facebench.reports.comparison import compare, comparison_frame
from facebench.reports.evidence import Evidence
from facebench.reports.figures import FIGURES
from facebench.reports.page import Paragraph, Statements, Table
from facebench.reports.pareto import planes
from facebench.reports.sections.comparison import comparison
from facebench.reports.sections.headlines import headlines
from facebench.reports.sections.latency import latency as times
from facebench.reports.tables import Setting
from facebench.reports.trade_off import inferences_of, plotted_settings, real_dataset, trade_offs
from tests.reports.report_records import (
    SYNTHETIC,
    latency,
    lfw,
    pair_scores,
    scored,
    trained_latency,
)
from tests.reports.test_terminal import printed

NCNN = Setting("ncnn")
FIGURE = "pareto"


def unflipped(record: Record) -> Record:
    assert isinstance(record.result, Accuracy)
    return replace(record, result=replace(record.result, flip="none"))


def both(network: str, flip: str = "sum") -> list[Record]:
    return [trained_latency(network, "ncnn"), scored(network, pair_scores(1), flip=flip)]


@pytest.mark.parametrize(("flip", "count"), [("none", 1), ("sum", 2), ("concatenation", 2)])
def test_the_time_beside_an_accuracy_is_of_one_inference(flip: str, count: int) -> None:
    timed, score = both("mobilefacenet", flip)
    (one,) = trade_offs(Evidence([timed, score]), "lfw", NCNN)
    assert isinstance(timed.result, Latency)
    assert inferences_of(one.score) == count
    assert (one.time.value, one.time.high) == (timed.result.median_ms, timed.result.interval_ms[1])


def test_the_figure_draws_one_inference_whatever_accuracy_took() -> None:
    records = both("mobilefacenet") + both("mobilenet_v2", "none")
    (plane,) = planes(Evidence(records))
    medians = {r.case.network: r.result.median_ms for r in records if isinstance(r.result, Latency)}
    assert {spot.network: spot.x.value for spot in plane.spots} == medians


def test_times_and_scores_of_different_weights_do_not_meet() -> None:
    evidence = Evidence([latency("mobilefacenet", "ncnn"), scored("mobilefacenet", pair_scores(1))])
    assert not FIGURES[FIGURE].shows(evidence)


def test_drawn_faces_have_no_trade_off() -> None:
    drawn = scored("mobilefacenet", pair_scores(1), "synthetic", SYNTHETIC)
    evidence = Evidence([trained_latency("mobilefacenet", "ncnn"), drawn])
    assert real_dataset(evidence) is None
    assert not FIGURES[FIGURE].shows(evidence)


def test_int8_of_one_runtime_does_not_speak_for_another() -> None:
    timed, _ = both("mobilefacenet")
    timed = replace(timed, case=replace(timed.case, precision="int8"))
    elsewhere = scored("mobilefacenet", pair_scores(1), precision="int8", runtime="openvino")
    assert plotted_settings(Evidence([timed, elsewhere]), "lfw") == []
    here = scored("mobilefacenet", pair_scores(1), precision="int8", runtime="ncnn")
    assert len(plotted_settings(Evidence([timed, here]), "lfw")) == 1


def test_the_figure_says_how_many_inferences_an_accuracy_took() -> None:
    caption = FIGURES[FIGURE].caption
    alike = Evidence(both("mobilefacenet") + both("mobilenet_v2"))
    assert "Accuracy is that of each image and its mirror" in caption(alike)
    other = Evidence(both("mobilefacenet") + both("mobilenet_v2", "none"))
    assert "Some accuracies" in caption(other)
    neither = Evidence(both("mobilefacenet", "none") + both("mobilenet_v2", "none"))
    assert "mirror" not in caption(neither)
    assert "latency is that of one inference" in caption(neither)


def test_the_figure_says_where_an_accuracy_comes_from_another_runtime() -> None:
    assert "in torch, in single precision" in FIGURES[FIGURE].caption(
        Evidence(both("mobilefacenet") + both("mobilenet_v2"))
    )


def notes(records: list[Record]) -> tuple[str, Table]:
    blocks = comparison(Evidence(records))
    (table,) = [block for block in blocks if isinstance(block, Table)]
    return " ".join(block.text for block in blocks if isinstance(block, Paragraph)), table


def badges(table: Table) -> list[str]:
    return [cell.badge for group in table.groups for row in group.rows for cell in row]


def test_ratios_of_networks_tested_alike_stay_and_the_page_says_so() -> None:
    text, table = notes([lfw("mobilefacenet"), lfw("mobilenet_v2")])
    assert "two inferences" in text
    assert "the ratios stay" in text
    assert "mirror image too" not in badges(table)


def test_rows_that_alone_were_scored_with_mirror_images_are_marked() -> None:
    text, table = notes([lfw("mobilefacenet"), unflipped(lfw("mobilenet_v2"))])
    assert "they are marked" in text
    assert badges(table).count("mirror image too") == 1
    assert any("count double" in note for note in table.notes)
    evidence = Evidence([lfw("mobilefacenet"), unflipped(lfw("mobilenet_v2"))])
    rows = comparison_frame(compare(evidence)).set_index("network")["lfw_inferences"]
    assert (rows["mobilefacenet"], rows["mobilenet_v2"]) == (2, 1)


def test_scores_without_mirror_images_need_no_word() -> None:
    text, _ = notes([unflipped(lfw("mobilefacenet"))])
    assert "mirror" not in text


def test_the_headline_of_accuracy_says_what_a_face_took() -> None:
    def sentence(record: Record) -> str:
        blocks = headlines(Evidence([record]))
        (one,) = [i for block in blocks if isinstance(block, Statements) for i in block.items]
        return one.text

    assert "two inferences" in sentence(lfw("mobilefacenet"))
    assert "inferences" not in sentence(unflipped(lfw("mobilefacenet")))


def test_the_terminal_shows_single_inferences_whatever_accuracy_took() -> None:
    for score in (lfw("mobilefacenet"), unflipped(lfw("mobilefacenet"))):
        text = printed([latency("mobilefacenet", "ncnn"), score])
        assert "2.25±0.01" in text
        assert "4.50" not in text
        assert ("two inferences" in text) == (inferences_of(score) == 2)


def test_two_inferences_have_a_column_of_their_own_where_a_score_took_them() -> None:
    def heads(records: list[Record]) -> list[str]:
        tables = [one for one in times(Evidence(records)) if isinstance(one, Table)]
        (full,) = [one for one in tables if one.name == "latency"]
        for group in full.groups:
            assert all(len(row) == len(full.columns) for row in group.rows)
        return [column.title for column in full.columns]

    assert "Face and mirror" in heads(both("mobilefacenet"))
    assert "Face and mirror" not in heads(both("mobilefacenet", "none"))
