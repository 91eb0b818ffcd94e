"""The page in a real browser: sorting, filters, charts, keyboard, dark, phone; and no request."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

playwright = pytest.importorskip("playwright.sync_api")

CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), ""
)

pytestmark = pytest.mark.skipif(
    not CHROMIUM, reason="no Chromium here: apt-get install chromium, and these tests run"
)


@pytest.fixture(scope="module")
def browser() -> Iterator[playwright.Browser]:
    with playwright.sync_playwright() as started:
        arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
        opened = started.chromium.launch(executable_path=CHROMIUM, args=arguments)
        yield opened
        opened.close()


class Seen:
    """A page with all that it asked for and complained of."""

    def __init__(self, page: playwright.Page) -> None:
        self.page = page
        self.requests: list[str] = []
        self.errors: list[str] = []
        page.on("request", lambda request: self.requests.append(request.url))
        page.on("console", lambda said: self.errors.append(said.text))
        page.on("pageerror", lambda error: self.errors.append(str(error)))

    def open(self, folder: Path) -> playwright.Page:
        self.page.goto((folder / "report.html").as_uri())
        self.page.wait_for_selector(".chart svg, .chart canvas, main")
        return self.page


@pytest.fixture
def seen(browser: playwright.Browser) -> Iterator[Seen]:
    context = browser.new_context(offline=True)
    yield Seen(context.new_page())
    context.close()


def column(page: playwright.Page, table: str, index: int) -> list[str]:
    script = """([name, index]) => [...document.querySelectorAll(
        `[aria-labelledby="${name}-caption"] table tbody tr:not(.heading)`)]
        .filter((row) => !row.hidden)
        .map((row) => row.cells[index].firstChild?.textContent.trim() ?? "")"""
    found: list[str] = page.evaluate(script, [table, index])
    return found


def numbers(texts: list[str]) -> list[float]:
    return [float(text.replace(",", "")) for text in texts if text[:1].isdigit()]


@pytest.mark.parametrize("folder", ["rendered", "hostile"])
def test_nothing_is_asked_of_any_network_and_nothing_is_complained_of(
    folder: str, seen: Seen, request: pytest.FixtureRequest
) -> None:
    page = seen.open(request.getfixturevalue(folder))
    page.wait_for_timeout(500)
    assert seen.errors == []
    assert {url.partition(":")[0] for url in seen.requests} <= {"file", "data"}
    assert [url for url in seen.requests if url.startswith("file")] == [page.url]


def test_a_head_sorts_up_then_down_and_says_so(seen: Seen, rendered: Path) -> None:
    page = seen.open(rendered)
    head = page.locator('[aria-labelledby="cost-caption"] thead tr:last-child th').nth(3)
    head.locator("button").click()
    assert head.get_attribute("aria-sort") == "ascending"
    up = numbers(column(page, "cost", 3))
    assert up == sorted(up)
    assert len(up) > 5
    head.locator("button").press("Enter")
    assert head.get_attribute("aria-sort") == "descending"
    down = numbers(column(page, "cost", 3))
    assert down == sorted(down, reverse=True)


def test_filters_keep_the_rows_that_are_asked_for(seen: Seen, rendered: Path) -> None:
    page = seen.open(rendered)
    bar = page.locator('.filters:has(+ [aria-labelledby="latency-caption"])')
    every = column(page, "latency", 0)
    bar.get_by_label("Runtime").select_option("ncnn")
    assert set(column(page, "latency", 0)) == {"ncnn"}
    assert "rows" in bar.locator("output").inner_text()
    bar.get_by_role("searchbox").fill("mobilenet_v2_gdconv")
    few = column(page, "latency", 0)
    assert 0 < len(few) < every.count("ncnn")
    bar.get_by_label("Runtime").select_option("")
    bar.get_by_role("searchbox").fill("")
    assert column(page, "latency", 0) == every


def test_claims_open_by_keyboard(seen: Seen, rendered: Path) -> None:
    page = seen.open(rendered)
    one = page.locator("details").filter(has_text="takes 221 million")
    inside = one.locator("table")
    assert not inside.is_visible()
    one.locator("summary").press("Enter")
    assert inside.is_visible()


def test_the_chart_is_drawn_and_changes_its_axis(seen: Seen, rendered: Path) -> None:
    page = seen.open(rendered)
    chart = page.locator("[data-chart]").first
    chart.locator("svg").wait_for()
    assert "MAdds" in page.locator(".vega-bindings").first.inner_text()
    before = chart.locator("svg").inner_html()
    chart.locator("select").select_option(index=1)
    page.wait_for_timeout(300)
    assert chart.locator("svg").inner_html() != before
    # Where the drawing's panels are too small to be read, the chart stands alone.
    picture = chart.locator("xpath=..").locator("picture")
    assert picture.is_visible()
    page.set_viewport_size({"width": 390, "height": 844})
    assert not picture.is_visible()


def test_dark_pages_are_dark(browser: playwright.Browser, rendered: Path) -> None:
    colours = {}
    for scheme in ("light", "dark"):
        context = browser.new_context(color_scheme=scheme, offline=True)
        page = Seen(context.new_page()).open(rendered)
        colours[scheme] = page.evaluate("getComputedStyle(document.body).backgroundColor")
        context.close()
    assert colours["light"] != colours["dark"]


def test_a_phone_scrolls_tables_and_not_the_page(
    browser: playwright.Browser, rendered: Path
) -> None:
    context = browser.new_context(viewport={"width": 390, "height": 844}, offline=True)
    page = Seen(context.new_page()).open(rendered)
    page.wait_for_timeout(500)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    context.close()


def test_without_scripts_all_figures_are_there(browser: playwright.Browser, rendered: Path) -> None:
    context = browser.new_context(java_script_enabled=False, offline=True)
    page = Seen(context.new_page()).open(rendered)
    assert page.locator("figure picture").first.is_visible()
    context.close()


def test_how_a_figure_was_obtained_is_told_on_demand(seen: Seen, rendered: Path) -> None:
    page = seen.open(rendered)
    more = page.locator('[aria-labelledby="latency-caption"] details.more').first
    assert "AMD EPYC" not in more.inner_text()
    more.locator("summary").press("Enter")
    assert "measured, 2026-11-25" in more.inner_text()
    assert "AMD EPYC" in more.inner_text()
