from __future__ import annotations

import base64
import csv
import errno
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pandas as pd
import pytest

from facebench.architectures.errors import BadInputError
from facebench.harness.records.case import Case
from facebench.harness.records.cost import Cost
from facebench.harness.records.latency import Latency
from facebench.harness.records.record import KINDS, Record
from facebench.harness.storage import writing
from facebench.reports.figures import FIGURES
from facebench.reports.markdown import escape
from facebench.reports.page import SECTIONS
from facebench.reports.render import render
from tests.places import ROOT
from tests.reports.report_records import HOSTILE, NETWORKS, cost, latency, synthetic

VOID = {"meta", "img", "source", "br"}


class Page(HTMLParser):
    """Checks nesting, and collects what the tests look at."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self.cells: list[tuple[dict[str, str | None], str]] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag in ("td", "th"):
            self.cells.append((dict(attrs), ""))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)
        if "td" in self.open:
            attributes, text = self.cells[-1]
            self.cells[-1] = (attributes, text + data)


def page(folder: Path) -> Page:
    return Page((folder / "report.html").read_text())


@pytest.mark.parametrize("folder", ["rendered", "hostile"])
def test_the_page_is_well_formed_and_loads_nothing(
    folder: str, request: pytest.FixtureRequest
) -> None:
    path: Path = request.getfixturevalue(folder)
    parsed = page(path)
    assert parsed.open == []
    for tag, attributes in parsed.tags:
        assert tag not in ("link", "iframe", "object", "embed", "form", "base")
        for name in ("src", "srcset", "href", "data", "action", "style"):
            value = attributes.get(name) or ""
            assert not value or value.startswith(("data:image/svg+xml;base64,", "#"))
            assert "//" not in value.partition("base64,")[0]
        assert not any(name.startswith("on") for name in attributes)
    style = re.search(r"<style>(.*?)</style>", (path / "report.html").read_text(), re.S)
    assert style is not None
    assert "url(" not in style[1]
    assert "@import" not in style[1]
    assert (path / "report.html").stat().st_size < 5_000_000


def test_figures_on_dark_pages_differ_in_colours_alone(rendered: Path) -> None:
    sources = [a for tag, a in page(rendered).tags if tag == "source"]
    images = [a for tag, a in page(rendered).tags if tag == "img"]
    assert len(sources) == len(images) > 0
    for dark, light in zip(sources, images, strict=True):
        drawings = [
            base64.b64decode((one or "").partition("base64,")[2])
            for one in (dark["srcset"], light["src"])
        ]
        bare = [re.sub(rb"#[0-9a-f]{6}", b"#", one) for one in drawings]
        assert bare[0] == bare[1]
        # What refers to a shape finds it.
        used = set(re.findall(rb'(?:href="#|url\(#)([\w-]+)', drawings[0]))
        assert used == set(re.findall(rb' id="([^"]*)"', drawings[0]))


def test_sections_stand_in_their_order(rendered: Path) -> None:
    ids = [a["id"] for tag, a in page(rendered).tags if tag == "section"]
    assert ids == [one.name for one in sorted(SECTIONS, key=lambda one: one.order)]


def test_links_within_the_page_lead_somewhere(rendered: Path) -> None:
    tags = page(rendered).tags
    ids = {a.get("id") for _, a in tags}
    links = {(a["href"] or "")[1:] for tag, a in tags if tag == "a"}
    assert links
    assert links <= ids


def test_every_figure_of_a_table_carries_its_kind(rendered: Path) -> None:
    words = {"", "–", "refused", "failed"}
    figures = 0
    for attributes, text in page(rendered).cells:
        if attributes.get("class") != "n" or "scope" in attributes:
            continue
        if re.sub(r"\d+$", "", text.strip()) in words and not text.strip().isdigit():
            continue
        if "data-kind" not in attributes:
            # Threads and batches are no figures.
            assert text.strip() in {"1", "2", "4"}, f"{text!r} is of no kind"
            continue
        assert attributes["data-kind"] in KINDS
        figures += 1
    assert figures > 1000


def test_drawn_figures_and_headlines_name_their_kinds(rendered: Path) -> None:
    text = (rendered / "report.html").read_text()
    captions = re.findall(r"<figcaption>(.*?)</figcaption>", text, re.S)
    assert len(captions) == len(list(FIGURES))
    assert all('class="kind ' in caption for caption in captions)
    statements = re.findall(r'<span class="figure">(.*?)</li>', text, re.S)
    assert statements
    assert all('class="kind ' in one for one in statements)


def test_untuned_is_said_beside_every_time_of_untuned_code(
    rendered: Path, records: list[Record]
) -> None:
    timed = [r for r in records if r.case.measure == "latency" and r.case.runtime == "tvm"]
    rows = [
        line
        for line in (rendered / "report.md").read_text().splitlines()
        if line.startswith("| tvm |")
    ]
    assert len(rows) == len(timed) >= len(NETWORKS)
    assert all("untuned" in row and "fastest" not in row for row in rows)


def test_published_figures_are_marked_published(rendered: Path) -> None:
    kinds = {a.get("data-kind") for a, text in page(rendered).cells if text.strip() == "2.04"}
    assert kinds == {"published"}


def test_hostile_names_are_shown_and_do_nothing(hostile: Path) -> None:
    text = (hostile / "report.html").read_text()
    assert "<script>alert" not in text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in text
    assert "\u202e" not in text
    assert "\x07" not in text
    assert "<b>none" not in text


def test_markdown_tables_keep_their_columns(hostile: Path) -> None:
    text = (hostile / "report.md").read_text()
    width = 0
    for line in text.splitlines():
        if not line.startswith("|"):
            width = 0
            continue
        cells = len(re.findall(r"(?<!\\)\|", line))
        width = width or cells
        assert cells == width, line
    assert "<script>" not in text
    assert "\\[f\\](" in text
    assert "@someone" not in text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a|b", r"a\|b"),
        ("two\nlines\r\n here", "two lines here"),
        ("<img src=x>", "&lt;img src=x&gt;"),
        ("mobilefacenet_112x96", "mobilefacenet_112x96"),
        ("_x_ *y* `z` \\", r"\_x\_ \*y\* \`z\` \\"),
    ],
)
def test_markdown_is_escaped(text: str, expected: str) -> None:
    assert escape(text) == expected


def test_csv_gives_the_numbers_back(rendered: Path, records: list[Record]) -> None:
    table = pd.read_csv(rendered / "latency.csv", keep_default_na=False)
    found = {
        (row["network"], row["runtime"], int(row["threads"]), row["precision"]): row["median_ms"]
        for _, row in table.iterrows()
    }
    for record in records:
        if isinstance(record.result, Latency):
            case = record.case
            key = (case.network, case.runtime, case.threads, case.precision)
            assert float(found[key]) == record.result.median_ms
    costs = {row["network"]: row for row in _rows(rendered / "cost.csv")}
    for record in records:
        if isinstance(record.result, Cost):
            row = costs[record.case.network]
            assert int(row["madds[conv+linear]"]) == record.result.madds["conv+linear"]
            assert int(row["parameters_bn_folded"]) == record.result.parameters_bn_folded
            assert row["kind"] == "counted"


def test_csv_files_hold_a_kind_in_every_row(rendered: Path) -> None:
    for name in ("latency", "cost", "compile", "verification", "identification", "paired"):
        rows = _rows(rendered / f"{name}.csv")
        assert rows
        assert all(row["kind"] in KINDS for row in rows)
    comparison = _rows(rendered / "comparison.csv")
    assert len(comparison) == len(NETWORKS) + 1  # a large one, which is counted alone
    assert all(row["cost_kind"] == "counted" for row in comparison)


def test_csv_text_is_no_formula_to_a_spreadsheet(hostile: Path) -> None:
    names = {row["network"] for row in _rows(hostile / "cost.csv")}
    assert f"'{HOSTILE[2]}" in names
    assert HOSTILE[2] not in names


@pytest.mark.parametrize("mark", ["=", "\n=", "\r\n=", "\t=", "@", "+", "-"])
def test_no_cell_begins_as_a_formula_does(tmp_path: Path, mark: str) -> None:
    render([cost(f"{mark}1+1")], tmp_path)
    (row,) = _rows(tmp_path / "cost.csv")
    assert row["network"].startswith("'")


def test_the_same_records_give_the_same_files(tmp_path: Path) -> None:
    records = [f(n) for n in ("mobilefacenet", "mobilenet_v2") for f in (cost, synthetic)]
    first, second = (render(records, tmp_path / name) for name in ("a", "b"))
    for one, other in zip(first, second, strict=True):
        assert one.read_bytes() == other.read_bytes(), one.name


def test_the_page_comes_first_and_nothing_temporary_stays(tmp_path: Path) -> None:
    files = render([cost("mobilefacenet")], tmp_path / "new" / "folder")
    assert files[0].name == "report.html"
    assert sorted(files) == sorted((tmp_path / "new" / "folder").iterdir())


def test_no_records_says_what_to_run(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match="facebench run"):
        render([], tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_a_file_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("")
    with pytest.raises(BadInputError, match="cannot write"):
        render([cost("mobilefacenet")], tmp_path / "out")


def test_a_full_disk_leaves_the_old_report_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    render([cost("mobilefacenet")], tmp_path)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}

    def full(*args: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(writing.os, "fsync", full)
    with pytest.raises(BadInputError, match="No space left on device"):
        render([cost("mobilenet_v2")], tmp_path)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_a_single_failed_record_renders(tmp_path: Path) -> None:
    failed = Record(Case("compile", "x", target="host"), "counted", "failed", reason="no linker")
    render([failed], tmp_path)
    assert "no linker" in (tmp_path / "report.md").read_text()
    assert (tmp_path / "latency.csv").read_text() == "network,kind,status,reason\n"


def test_a_thousand_records_render(tmp_path: Path) -> None:
    records = [cost("mobilefacenet"), latency("mobilefacenet", "ncnn")]
    for index in range(500):
        records += [cost(f"onnx:net{index}"), latency(f"onnx:net{index}", "ncnn")]
    render(records, tmp_path)
    assert (tmp_path / "report.html").stat().st_size < 5_000_000


def test_neither_torch_nor_tvm_is_loaded(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; import facebench.reports.terminal;"
        "from facebench.reports.render import render;"
        "from tests.reports.report_records import scored_run;"
        "records = scored_run(2);"
        f"render(records, Path({str(tmp_path)!r})); "
        "facebench.reports.terminal.summary(records);"
        "loaded = {name.partition('.')[0] for name in sys.modules};"
        "sys.exit(', '.join(loaded & {'torch', 'tvm'}) or 0)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=ROOT
    )
    assert done.returncode == 0, done.stderr


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))
