"""The table of timm's backbones says of each what was found, and no more."""

from __future__ import annotations

import json
import re
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest

from facebench.architectures.errors import BadInputError
from tests.places import ROOT


@pytest.fixture
def table(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    return import_module("timm_table")


def test_a_refusal_is_its_sentence_and_any_other_failure_a_defect(table: ModuleType) -> None:
    def raising(error: Exception) -> None:
        raise error

    assert table.outcome(lambda: None) == "right"
    assert table.outcome(lambda: raising(BadInputError("so it is"))) == "so it is"
    assert table.outcome(lambda: raising(KeyError("x"))) == "DEFECT KeyError: 'x'"


def test_lines_of_two_parts_are_one_row_and_what_was_not_tried_is_not_counted(
    table: ModuleType, tmp_path: Path
) -> None:
    state = tmp_path / "state.jsonl"
    right = dict.fromkeys(table.COLUMNS[:-1], "right")
    lines = [
        {"backbone": "a", "parameters": 1.26, "madds": 2e6, "published": 1.9e6} | right,
        {"backbone": "a", "tvm": "timm:a:gap differs by 1.2e-03"},
        {"backbone": "b", "parameters": 2.0} | right | {"ncnn": "timm:b:gap differs by 3.4e-03"},
        {"backbone": "c", "large": True},
    ]
    state.write_text("".join(json.dumps(line) + "\n" for line in lines))
    page = table.page(table.known(state))
    cells = " | ".join(["right"] * 6)
    assert f"| `a` | 1.3 M | 2.0 M | 1.9 M | {cells} | refused (1) |" in page
    assert "| tried | 2 | 2 | 2 | 2 | 2 | 2 | 1 |" in page
    assert "| share | 100.0 % | 100.0 % | 100.0 % | 100.0 % | 100.0 % | 50.0 % | 0.0 % |" in page
    assert page.count("1. it differs by …") == 1
    assert "`c`" not in page


def test_the_page_counts_what_its_rows_say() -> None:
    page = (ROOT / "docs" / "timm.md").read_text()
    rows = re.findall(r"^\| `\w+` \|.*\|$", page, re.MULTILINE)
    cells = [[cell.strip() for cell in row.split("|")[5:-1]] for row in rows]
    (said,) = re.findall(r"^\| right \|(.*)\|$", page, re.MULTILINE)
    right = [sum(row[i] == "right" for row in cells) for i in range(7)]
    assert [int(one) for one in said.split("|")] == right
    for number in set(re.findall(r"refused \((\d+)\)", page)):
        assert f"\n{number}. " in page
