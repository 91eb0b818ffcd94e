"""The page on Python says what can be typed: its calls fit the functions, and all of it runs."""

from __future__ import annotations

import ast
import inspect
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import facebench
from tests.places import ROOT

PAGE = ROOT / "docs" / "python.md"
BLOCKS = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(), re.MULTILINE | re.DOTALL)


def calls() -> list[tuple[str, ast.Call]]:
    """Calls of public functions, and of methods of records, with the names of what is called."""
    found = []
    for block in BLOCKS:
        for node in ast.walk(ast.parse(block)):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                owner = ast.unparse(node.func.value)
                if owner in ("facebench", "records", "timed"):
                    found.append((f"{owner}.{node.func.attr}", node))
    return found


def test_each_call_fits_what_it_calls() -> None:
    assert len(calls()) > 10
    for name, node in calls():
        owner, _, attribute = name.partition(".")
        holder = facebench if owner == "facebench" else facebench.Records
        first = () if owner == "facebench" else (None,)  # self
        words = {str(one.arg): None for one in node.keywords}
        signature = inspect.signature(getattr(holder, attribute))
        signature.bind(*first, *[None] * len(node.args), **words)


@pytest.mark.slow
def test_all_of_it_runs_in_an_empty_folder(tmp_path: Path) -> None:
    (tmp_path / "page.py").write_text("\n".join(BLOCKS))
    done = subprocess.run(
        [sys.executable, "page.py"], cwd=tmp_path, capture_output=True, text=True,
        env=os.environ | {"PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "error::UserWarning:__main__"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "ratios.pdf").read_bytes().startswith(b"%PDF")
