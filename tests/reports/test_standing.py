"""A report is left as it stands only where it is what these records come to."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from facebench.harness.records.record import Record
from facebench.reports import render, standing
from tests.reports.report_records import cost, latency


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many records were rendered, each time that anything was."""
    counts: list[int] = []

    def fake(records: Sequence[Record], out: Path) -> list[Path]:
        counts.append(len(records))
        files = [out / "report.html", out / "cost.csv"]
        for file in files:
            file.write_text(f"{len(records)} records")
        return files

    monkeypatch.setattr(render, "render", fake)
    return counts


RECORDS = [cost("mobilefacenet"), latency("mobilefacenet", "ncnn")]


def test_the_same_records_are_rendered_once(tmp_path: Path, drawn: list[int]) -> None:
    first = standing.render(RECORDS, tmp_path)
    assert standing.render(RECORDS, tmp_path) == first
    assert first[0] == tmp_path / "report.html"
    assert drawn == [2]


def test_other_records_another_folder_and_a_file_that_was_changed_are_rendered(
    tmp_path: Path, drawn: list[int]
) -> None:
    other = tmp_path / "other"
    other.mkdir()
    records = [cost("mobilenet_v2"), *RECORDS]
    standing.render(records, tmp_path)
    standing.render(records[:1], tmp_path)
    standing.render(records, tmp_path)  # what was there is of other records
    standing.render(records, other)
    assert drawn == [3, 1, 3, 3]
    (other / "cost.csv").write_text("mine")
    standing.render(records, other)
    (other / "cost.csv").unlink()
    standing.render(records, other)
    assert drawn == [3, 1, 3, 3, 3, 3]


def test_a_page_on_a_run_that_goes_on_says_so(tmp_path: Path) -> None:
    sentence = "The run goes on: 3 of its cases are still to come."
    render.render(RECORDS, tmp_path, sentence)
    for name in ("report.html", "report.md"):
        assert sentence in (tmp_path / name).read_text()
    render.render(RECORDS, tmp_path)
    assert sentence not in (tmp_path / "report.html").read_text()
