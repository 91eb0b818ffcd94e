"""The table of networks in every runtime says of each what was found, and no more."""

from __future__ import annotations

import json
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest

from tests.places import ROOT


@pytest.fixture
def table(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    return import_module("runtime_table")


def test_a_refusal_stands_below_the_table_and_what_was_not_tried_is_a_dash(
    table: ModuleType, tmp_path: Path
) -> None:
    state = tmp_path / "state.jsonl"
    lines = [
        {"network": "a", "runtime": "tvm", "said": "right", "cpu_s": 12.0},
        {"network": "a", "runtime": "ncnn", "said": "it differs by 2.1e-04"},
        {"network": "b", "runtime": "ncnn", "said": "it differs by 3.4e-04"},
    ]
    state.write_text("".join(json.dumps(line) + "\n" for line in lines))
    found = table.page(table.known(state))
    said = {"tvm": "right", "ncnn": "refused (1)"}
    assert f"| `a` | {' | '.join(said.get(one, '–') for one in table.COLUMNS)} |" in found
    assert found.count("1. it differs by …") == 1
