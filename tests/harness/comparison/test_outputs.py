"""What other tools read, with names that mean to break it."""

from __future__ import annotations

import html
import re
from dataclasses import replace
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from facebench.harness.comparison import escape
from facebench.harness.comparison.compare import compare
from facebench.harness.comparison.outputs import benchmark_action, github, junit
from facebench.harness.comparison.verdict import Comparison
from facebench.harness.records.case import Case
from tests.harness.comparison.sides import (
    ENVIRONMENT,
    HOSTILE,
    LATENCY,
    accuracy,
    cost,
    entry,
    latency,
    side,
)

hostile = pytest.mark.parametrize("text", HOSTILE)


def compared(network: str = "m", name: str = "a") -> Comparison:
    """One of each: slower, worse, broken, not comparable, not decidable, same."""
    cases = [Case("latency", network, runtime=f"r{i}") for i in range(4)]
    base = [latency(5.0, case) for case in cases]
    new = [
        latency(5.5, cases[0], 1),
        entry(cases[1], status="failed", reason=f"{network}\nfailed"),
        latency(case=cases[2], environment={**ENVIRONMENT, "cpu_model": network}),
        latency(5.0, cases[3], 1),
    ]
    few = accuracy(range(6), pairs=300)
    return compare(
        side(*base, cost(5), few, name=name),
        side(*new, cost(6), few, cost(case=Case("cost", network))),
    )


def texts(element: ElementTree.Element) -> list[str]:
    return [value for one in element.iter() for value in (*one.attrib.values(), one.text or "")]


@hostile
def test_junit_is_well_formed_and_counts_what_it_holds(text: str) -> None:
    root = ElementTree.fromstring(junit.to_xml(compared(text)))
    suite = root[0]
    assert suite.attrib["tests"] == str(len(suite)) == "6"
    assert suite.attrib["failures"] == str(len(suite.findall("testcase/failure"))) == "3"
    assert suite.attrib["skipped"] == str(len(suite.findall("testcase/skipped"))) == "2"
    assert all(value.strip().isprintable() for value in texts(root))
    shown = escape.visible(text)
    assert any(shown in case.attrib["classname"] for case in suite)


@given(st.text())
def test_any_name_gives_xml_that_parses(text: str) -> None:
    made = compare(side(cost(case=Case("cost", text))), side(cost(1, case=Case("cost", text))))
    root = ElementTree.fromstring(junit.to_xml(made).encode("utf-8"))
    assert len(root[0]) == 1


@hostile
def test_an_annotation_is_one_command_a_line(text: str) -> None:
    commands = list(github.commands(compared(text)))
    assert len(commands) == 3 + 1  # the regressions, and the sum of it
    for command in commands:
        assert "\n" not in command
        assert "\r" not in command
        matched = re.fullmatch(r"::(error|notice) title=([^:,]*)::(.*)", command)
        assert matched, command
        # Decoded as the runner does it, the name is there again.
        assert re.fullmatch(r"(%25|[^%])*", matched.group(3))


@given(st.text())
def test_no_text_ends_a_commands_properties_or_its_line(text: str) -> None:
    assert not set(escape.command_property(text)) & set(":,\n\r")
    assert not set(escape.command_data(text)) & set("\n\r")


@given(st.text())
def test_markdown_shows_the_text_and_nothing_else(text: str) -> None:
    made = escape.markdown(text)
    assert html.unescape(made) == escape.visible(text)
    assert not set(re.sub(r"&#?\w+;", "", made)) & set('|<>[]()`*_~@#\\!:$"&\n')
    assert "www." not in made.lower()


@hostile
def test_a_row_of_the_summary_is_one_line_with_all_its_cells(text: str) -> None:
    made = github.summary(compared(text, name=text))
    rows = [line for line in made.splitlines() if line.startswith("|")]
    assert len(rows) == 2 + 5  # all but the one that is the same
    assert all(row.count("|") == 10 for row in rows)
    assert made.encode("utf-8")


def test_a_long_comparison_fits_githubs_limits() -> None:
    cases = [replace(LATENCY, network=f"{'n' * 60}{i}") for i in range(700)]
    base = side(*(cost(5, case=replace(case, measure="cost")) for case in cases))
    new = side(*(cost(6, case=replace(case, measure="cost")) for case in cases))
    made = compare(base, new)
    commands = github.commands(made)
    assert sum(command.startswith("::error") for command in commands) == 10
    assert "691 more regressions" in commands[-2]
    assert len(github.summary(made).encode()) < 2**20
    assert "200 more lines are left out" in github.summary(made)


def test_text_between_the_tokens_is_no_command(capsys: pytest.CaptureFixture[str]) -> None:
    with github.no_commands():
        print("::error::not one")
    first, inner, last = capsys.readouterr().out.splitlines()
    token = first.removeprefix("::stop-commands::")
    assert re.fullmatch(r"[0-9a-f]{32}", token)
    assert (inner, last) == ("::error::not one", f"::{token}::")


def test_smaller_is_better_in_every_figure_for_benchmark_action() -> None:
    good = benchmark_action.to_json([latency(5.0), cost(5), accuracy(range(60))])
    bad = benchmark_action.to_json([latency(6.0), cost(6), accuracy(range(120))])
    assert [one["name"] for one in good] == [one["name"] for one in bad]
    assert all(a["value"] < b["value"] for a, b in zip(good, bad, strict=True))
    assert good[2] == {
        "name": "accuracy mobilefacenet onnxruntime lfw: accuracy, errors",
        "unit": "%",
        "value": pytest.approx(1.0),
        "extra": "measured",
    }
    assert re.fullmatch(r"± 0\.\d+", good[0]["range"])
    assert {one["extra"] for one in good} == {"measured", "counted"}
