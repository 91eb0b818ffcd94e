"""What the report says of the model's error is what leaving families out gives."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from facebench.harness.devices.emulator import calibration, published
from facebench.harness.machine.cores import CORES
from facebench.reports.claims import REFUTED
from facebench.reports.claims.papers import load
from facebench.reports.evidence import Evidence
from facebench.reports.figures import FIGURES
from facebench.reports.figures.style import LIGHT
from facebench.reports.page import Paragraph, Statements, Table
from facebench.reports.sections.model_validation import model_validation
from tests.reports.report_records import cost, emulated


def test_without_modelled_times_nothing_is_said_of_the_model() -> None:
    evidence = Evidence([cost("mobilefacenet")])
    assert model_validation(evidence) == []
    assert not FIGURES["modelled_validation"].shows(evidence)


def test_errors_are_those_of_families_that_were_left_out() -> None:
    _, statements, table, missing = model_validation(Evidence(emulated("mobilefacenet")))
    assert isinstance(statements, Statements)
    assert isinstance(table, Table)
    assert isinstance(missing, Paragraph)
    rows = published.rows()
    left = calibration.left_out(rows, calibration.family)
    mean = 100 * np.mean([abs(one.relative) for one in left])
    assert statements.items[0].figure == f"{mean:.1f} %"
    assert sum(int(row[2].text) for group in table.groups for row in group.rows) == len(rows)
    validated = {row.time.core for row in rows}
    for core in CORES:
        if core.figures:
            assert (core.name in missing.text) == (core.name not in validated)
    assert "no runtime but ncnn" in missing.text
    assert "no runtime but ncnn" in missing.text


def test_every_published_time_is_drawn_once(tmp_path: Path) -> None:
    drawing = FIGURES["modelled_validation"]
    evidence = Evidence(emulated("mobilefacenet"))
    assert drawing.shows(evidence)
    (axes,) = drawing.draw(evidence, LIGHT).axes
    drawn = sum(len(line.get_xdata()) for line in axes.lines if line.get_marker() != "None")
    assert drawn == len(published.rows())


def test_the_month_of_the_runtime_moves_the_ratio_by_more_than_rounding() -> None:
    findings = load()["software-age"].judge(Evidence([]))
    assert [one.figure for one in findings] == ["1.01×", "0.75×", "0.76×"]
    assert {one.verdict for one in findings} == {REFUTED}
    assert all(one.kinds == ("published",) for one in findings)
    # 60.6 of 60.2 ms, and MobileNetV1 at 60 of MobileFaceNet's 24.
    assert "2.52 times as fast" in findings[0].why
