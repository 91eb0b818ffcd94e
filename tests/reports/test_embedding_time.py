"""A latency beside an accuracy is that of an embedding: two inferences with a mirror image."""

from __future__ import annotations

from dataclasses import replace

import pytest

from facebench.harness.records.accuracy import Accuracy
from facebench.harness.records.latency import Latency
from facebench.harness.records.record import Record
from facebench.reports.comparison import compare, comparison_frame
from facebench.reports.embedding_time import mixed, plotted_settings, points, real_dataset
from facebench.reports.evidence import Evidence
from facebench.reports.figures import FIGURES
from facebench.reports.page import Paragraph, Statements, Table
from facebench.reports.sections.comparison import comparison
from facebench.reports.sections.headlines import headlines
from facebench.reports.tables import Setting
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
FIGURE = "accuracy_latency"


def unflipped(record: Record) -> Record:
    assert isinstance(record.result, Accuracy)
    return replace(record, result=replace(record.result, flip="none"))


def both(network: str, flip: str = "sum") -> list[Record]:
    return [trained_latency(network, "ncnn"), scored(network, pair_scores(1), flip=flip)]


@pytest.mark.parametrize(("flip", "count"), [("none", 1), ("sum", 2), ("concatenation", 2)])
def test_the_time_of_an_embedding_counts_the_mirror_image(flip: str, count: int) -> None:
    timed, score = both("mobilefacenet", flip)
    (point,) = points(Evidence([timed, score]), "lfw", NCNN)
    assert isinstance(timed.result, Latency)
    assert point.inferences == count
    assert point.time.value == count * timed.result.median_ms
    assert point.time.high == count * timed.result.interval_ms[1]


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


def test_the_figure_says_how_many_inferences_a_time_stands_for() -> None:
    caption = FIGURES[FIGURE].caption
    alike = Evidence(both("mobilefacenet") + both("mobilenet_v2"))
    assert "twice the latency" in caption(alike)
    other = Evidence(both("mobilefacenet") + both("mobilenet_v2", "none"))
    assert "Squares were scored without" in caption(other)
    assert mixed(point.score for point in points(other, "lfw", NCNN))
    assert "one inference" in caption(Evidence(both("mobilefacenet", "none")))


def test_the_figure_says_where_an_accuracy_comes_from_another_runtime() -> None:
    assert "in torch, in single precision" in FIGURES[FIGURE].caption(
        Evidence(both("mobilefacenet"))
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


def test_the_headline_of_accuracy_says_what_its_embedding_takes() -> None:
    def sentence(record: Record) -> str:
        blocks = headlines(Evidence([record]))
        (one,) = [i for block in blocks if isinstance(block, Statements) for i in block.items]
        return one.text

    assert "twice the times" in sentence(lfw("mobilefacenet"))
    assert "twice" not in sentence(unflipped(lfw("mobilefacenet")))


def test_the_terminal_shows_single_inferences_where_no_accuracy_asks_for_more() -> None:
    text = printed([latency("mobilefacenet", "ncnn")])
    assert "2.25±0.01" in text
    assert "embedding" not in text
    alone = printed([latency("mobilefacenet", "ncnn"), unflipped(lfw("mobilefacenet"))])
    assert "2.25±0.01" in alone


def test_the_terminal_tells_rows_of_one_inference_from_rows_of_two() -> None:
    text = printed(
        [
            *(latency(name, "ncnn") for name in ("mobilefacenet", "mobilenet_v2")),
            lfw("mobilefacenet"),
            unflipped(lfw("mobilenet_v2")),
        ]
    )
    assert "inf." in text
    assert "4.50±0.02" in text
    (row,) = [line for line in text.splitlines() if line.startswith("mobilenet_v2")]
    assert " 1 " in row
