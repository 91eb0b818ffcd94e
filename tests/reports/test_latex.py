"""Tables and figures for papers: they compile, and bold is earned."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from facebench.architectures.errors import BadInputError, UnknownNameError
from facebench.harness.records.record import Record
from facebench.reports.digits import Estimate
from facebench.reports.evidence import Evidence
from facebench.reports.figures import FIGURES
from facebench.reports.latex import TABLES, escape, number, share
from facebench.reports.render import render_one
from tests.reports.report_records import (
    HOSTILE,
    cost,
    full_run,
    hostile_run,
    latency,
    pair_scores,
    scored,
)
from tests.sampling import today

DOCUMENT = r"""
\documentclass{article}
\usepackage{booktabs,siunitx}
\usepackage[landscape,margin=5mm]{geometry}
\pagestyle{empty}
\begin{document}\tiny
%s
\end{document}
"""


def table(*records: Record) -> str:
    return TABLES["comparison"].make(Evidence(records))


with_latex = pytest.mark.skipif(
    not shutil.which("pdflatex"), reason="no pdflatex here: apt-get install texlive"
)


def compiled(text: str, folder: Path) -> str:
    """What pdflatex said; the fonts that the document holds come last."""
    (folder / "paper.tex").write_text(DOCUMENT % text)
    done = subprocess.run(
        ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "-no-shell-escape", "paper.tex"],
        cwd=folder, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-2000:]
    return done.stdout


@with_latex
@pytest.mark.parametrize("name", TABLES.names())
@pytest.mark.parametrize("records", [full_run(), hostile_run()], ids=["full", "hostile"])
def test_it_compiles(name: str, records: list[Record], tmp_path: Path) -> None:
    compiled(TABLES[name].make(Evidence(records)), tmp_path)
    assert (tmp_path / "paper.pdf").stat().st_size > 5000


@with_latex
def test_bold_is_bold_on_paper(tmp_path: Path) -> None:
    estimate = Estimate(3.2712, 3.24, 3.31)
    assert "cmbx" not in compiled(number(estimate), tmp_path)
    assert "cmbx" in compiled(number(estimate, best=True), tmp_path)


@given(st.text())
def test_no_name_is_a_command(text: str) -> None:
    shown = escape(text)
    assert shown.isascii()
    for command in re.findall(r"\\([a-zA-Z]+)", shown):
        assert command.startswith("text")
    assert not re.search(r"(?<!\\)[%&#_$]", shown)


@given(st.floats(0.01, 1000), st.floats(0.001, 0.5))
def test_the_parentheses_hold_half_of_the_interval(value: float, share: float) -> None:
    side = value * share
    found = re.fullmatch(
        r"\\num\{([\d.]+)\((\d+)\)\}", number(Estimate(value, value - side, value + side))
    )
    assert found
    decimals = len(found[1].partition(".")[2])
    assert float(found[1]) == pytest.approx(value, abs=0.51 * 10**-decimals)
    assert int(found[2]) * 10**-decimals == pytest.approx(side, abs=1.01 * 10**-decimals)


@pytest.mark.parametrize(
    ("value", "low", "high"), [(99.9, 99.2, 99.99), (100.0, 97.5, 100.0), (0.4, 0.1, 1.2)]
)
def test_no_percentage_passes_0_or_100(value: float, low: float, high: float) -> None:
    text = share(Estimate(value, low, high))
    found = re.fullmatch(r"\\num\{([\d.]+)\} \[([\d.]+), ([\d.]+)\]", text)
    assert found
    shown = [float(text) for text in found.groups()]
    assert 0 <= shown[1] <= low
    assert high <= shown[2] <= 100
    assert shown[1] <= shown[0] <= shown[2]


def test_best_is_bold_where_a_paired_test_says_so_and_nowhere_else() -> None:
    good = scored("mobilefacenet", pair_scores(0, 4.0))
    equal = scored("mobilefacenet_m", pair_scores(1, 4.0))
    poor = scored("mobilenet_v2", pair_scores(2, 2.0))
    assert "bfseries" in table(good, poor)
    assert "bfseries" not in table(good, equal, poor)


def test_the_fastest_is_bold_where_its_interval_is_below_all_others() -> None:
    text = table(*(f(n) for n in ("mobilefacenet", "mobilefacenet_96x96")
                   for f in (cost, lambda n: latency(n, "ncnn"))))  # fmt: skip
    bold = [line for line in text.splitlines() if "bfseries" in line]
    assert [line.split(" & ")[0] for line in bold] == [r"mobilefacenet\_96x96"]


@pytest.mark.parametrize("form", ["pdf", "svg", "png"])
def test_a_figure_is_as_wide_as_it_is_asked_for(form: str, tmp_path: Path) -> None:
    records = full_run()
    one = render_one(records, "figure:pareto", form, "page", tmp_path)
    content = one.read_bytes()
    assert one.name == f"pareto.{form}"
    if form == "pdf":
        box = re.search(rb"/MediaBox \[ ?0 0 ([\d.]+)", content)
        assert box
        assert float(box[1]) == pytest.approx(7.0 * 72, abs=0.5)
        assert b"/Type3" not in content
    assert render_one(records, "figure:pareto", form, "page", tmp_path).read_bytes() == content


@pytest.mark.parametrize("name", today(FIGURES.names(), 5))
def test_every_figure_fits_a_column(name: str, records: list[Record], tmp_path: Path) -> None:
    assert render_one(records, f"figure:{name}", "pdf", "column", tmp_path).stat().st_size > 1000


def test_what_is_not_there_is_one_sentence(tmp_path: Path) -> None:
    for what in ("pareto", "picture:pareto", "figure:"):
        with pytest.raises(BadInputError, match="write figure:NAME or table:NAME"):
            render_one([cost("x")], what, "pdf", "column", tmp_path)
    with pytest.raises(UnknownNameError, match="pareto"):
        render_one([cost("x")], "figure:paretto", "pdf", "column", tmp_path)
    with pytest.raises(BadInputError, match="hold nothing for figure:pareto"):
        render_one([cost("x")], "figure:pareto", "pdf", "column", tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_hostile_names_stay_names() -> None:
    text = table(*hostile_run())
    assert escape(HOSTILE[0]) in text
