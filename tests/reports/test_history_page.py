"""The page over revisions: what it says of each, whatever texts there are, and in a browser."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Sequence
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import pytest

from facebench.harness.comparison.entry import Entry
from facebench.harness.comparison.history import HistoryRevision, Series, series
from facebench.reports.history_page import page
from tests.harness.comparison.sides import HOSTILE, accuracy, cost, latency

CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), ""
)


def found(*revisions: Sequence[Entry], subject: str = "a change") -> list[Series]:
    sides = [
        (HistoryRevision(f"{number:010x}", "2026-01-02T03:04:05Z", subject), entries)
        for number, entries in enumerate(revisions)
    ]
    return series(sides, 0.01)


STEPPED = [[latency(5.0 + (i > 5), seed=i), cost(100 + (i > 3))] for i in range(12)]


class Texts(HTMLParser):
    """The texts of a page outside its scripts, and how many elements of each name it has."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.texts: list[str] = []
        self.names: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.names.append(tag)

    def handle_data(self, data: str) -> None:
        if self.names[-1:] not in (["script"], ["style"]):
            self.texts.append(data)


def test_a_step_is_named_with_its_revision_and_drawn_where_it_is() -> None:
    said = " ".join("".join(Texts(page(found(*STEPPED))).texts).split())
    assert "+1.0 % at 0000000004 2026-01-02 a change" in said
    (share,) = re.findall(r"\+(\d+\.\d) % at 0000000006", said.split("Figures")[1])
    assert float(share) == pytest.approx(20, abs=1)
    # A count is drawn at the revisions that it is of: twelve, from edge to edge.
    line = next(one for one in re.findall(r'class="line" d="M(.*?)"', page(found(*STEPPED))))
    places = [float(point.split(" ")[0]) for point in line.split("L")]
    assert len(places) == 12
    assert [round(b - a, 1) for a, b in pairwise(places)] == pytest.approx(
        [(640 - 12) / 11] * 11, abs=0.11
    )


def test_texts_of_others_are_shown_and_nothing_else() -> None:
    plain = page(found(*STEPPED))
    hostile = page(found(*STEPPED, subject="</script><script>alert(1)</script><img src=x>"))
    assert Texts(hostile).names == Texts(plain).names
    for text in HOSTILE:
        assert Texts(page(found(*STEPPED, subject=text))).names == Texts(plain).names


def test_one_revision_is_a_page_too() -> None:
    text = page(found([cost(100)]))
    assert "1 revision," in text
    assert "Latest steps" not in text


@pytest.mark.skipif(not CHROMIUM, reason="no Chromium here: apt-get install chromium")
def test_in_a_browser_the_point_under_the_pointer_is_told(tmp_path: Path) -> None:
    playwright = pytest.importorskip("playwright.sync_api")
    steady = [[*entries, accuracy(range(60))] for entries in STEPPED]
    (tmp_path / "index.html").write_text(page(found(*steady)))
    with playwright.sync_playwright() as started:
        arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
        browser = started.chromium.launch(executable_path=CHROMIUM, args=arguments)
        opened = browser.new_page()
        complaints: list[str] = []
        opened.on("console", lambda said: complaints.append(said.text))
        opened.on("pageerror", lambda error: complaints.append(str(error)))
        opened.goto((tmp_path / "index.html").as_uri())
        first = opened.locator(".case").first
        drawing = first.locator("svg")
        box = drawing.bounding_box()
        assert box is not None
        drawing.hover(position={"x": box["width"] - 2, "y": 20})
        assert " at 000000000b 2026-01-02 a change" in first.locator("output").inner_text()
        shown = opened.locator(".case:visible")
        everything = shown.count()
        opened.fill(".tools input[type=search]", "parameters")
        assert 0 < shown.count() < everything
        opened.fill(".tools input[type=search]", "")
        opened.check(".tools input[type=checkbox]")
        assert shown.count() == opened.locator(".case[data-steps]").count() < everything
        browser.close()
    assert complaints == []
