from __future__ import annotations

from dataclasses import replace
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.figure import Figure

from facebench.harness.comparison.entry import Entry
from facebench.harness.comparison.history import of_files, series
from facebench.harness.records.case import Case
from facebench.harness.records.comparable import Timed
from facebench.harness.records.cost import Cost
from facebench.harness.records.record import Record
from facebench.reports.evidence import Evidence
from facebench.reports.figures import FIGURES, history
from facebench.reports.figures.style import Theme, image
from tests.harness.comparison.sides import (
    HOSTILE,
    LATENCY,
    accuracy,
    cost,
    entry,
    latency,
    side,
    timed,
)
from tests.reports import report_records


def drawn(*revisions: list[Entry]) -> bytes:
    found = series(of_files([side(*r, name=f"r{i}") for i, r in enumerate(revisions)]), 0.01)

    def draw(theme: Theme) -> Figure:
        return history.draw(found, theme)

    return image(draw).svg


def test_figures_of_all_sorts_are_drawn_and_the_same_ones_give_the_same_bytes() -> None:
    revisions = [
        [latency(5.0 + (i > 5), seed=i), cost(100 + (i > 3)), accuracy(range(60 + i))]
        for i in range(12)
    ]
    made = drawn(*revisions)
    ElementTree.fromstring(made)
    assert drawn(*revisions) == made
    assert drawn(*revisions[1:]) != made


@given(st.lists(st.floats(1e-3, 1e5), min_size=1, max_size=4))
def test_a_mean_of_times_lies_among_them_to_the_last_bit(medians: list[float]) -> None:
    """The logarithm's rounding took it out, and error bars had negative lengths."""
    found = Timed("median", "ms", tuple(medians), tuple(1 for _ in medians))
    assert min(medians) <= found.value <= max(medians)


def test_one_process_a_revision_is_drawn() -> None:
    medians = 0.1, 0.3, 2.7, 48.3
    drawn(*([entry(LATENCY, timed((median,)))] for median in medians))


def test_one_revision_is_drawn() -> None:
    assert drawn([latency()]).startswith(b"<?xml")


@pytest.mark.parametrize("network", HOSTILE)
def test_hostile_names_are_drawn(network: str) -> None:
    ElementTree.fromstring(drawn([cost(case=Case("cost", network))]))


def test_more_series_than_fit_are_cut() -> None:
    cases = [Case("cost", f"n{i}") for i in range(history.MOST_PANELS + 5)]
    found = series(of_files([side(*(cost(case=case) for case in cases))]), 0.01)
    with_axes: list[object] = []

    def draw(theme: Theme) -> Figure:
        figure = history.draw(found, theme)
        with_axes.extend(axes for axes in figure.axes if axes.get_visible())
        return figure

    image(draw)
    assert len(with_axes) == history.MOST_PANELS


def revisions(count: int) -> list[Record]:
    one = report_records.cost("mobilefacenet")
    assert isinstance(one.result, Cost)
    return [
        replace(
            one,
            result=replace(one.result, parameters=1000 + (i > 2)),
            created=f"2026-01-{i + 1:02}T00:00:00+00:00",
            provenance={"git_revision": f"abc{i}"},
        )
        for i in range(count)
    ]


def test_a_report_draws_cases_that_were_recorded_more_than_once() -> None:
    evidence = Evidence([*revisions(6), report_records.latency("mobilefacenet", "ncnn")])
    (parameters,) = [one for one in evidence.history if one.figure == "parameters"]
    assert [point.revision for point in parameters.points] == [f"abc{i}" for i in range(6)]
    assert [step.index for step in parameters.steps] == [3]
    assert FIGURES["history"].shows(evidence)
    assert image(lambda theme: FIGURES["history"].draw(evidence, theme)).svg.startswith(b"<?xml")
    assert "counted" in FIGURES["history"].kinds(evidence)


def test_cases_that_were_recorded_once_have_no_history() -> None:
    assert not FIGURES["history"].shows(Evidence(revisions(1)))
