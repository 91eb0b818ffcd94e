"""The notebooks of the documentation run from their first cell to their last."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.places import ROOT

NOTEBOOKS = sorted((ROOT / "docs" / "notebooks").glob("*.ipynb"))


@pytest.mark.slow
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs_as_jupyter_runs_it(path: Path, tmp_path: Path) -> None:
    reason = "no Jupyter kernel: pip install facebench[notebook,test]"
    for module in ("ipykernel", "nbformat", "nbclient"):
        pytest.importorskip(module, reason=reason)
    from docs.run_notebooks import run

    made = forms(run(path, tmp_path).cells)
    assert made == forms(json.loads(path.read_text())["cells"])
    assert {"text/html", "image/png"} & {form for of_cell in made for form in of_cell}


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_stored_as_it_ran_from_its_first_cell_to_its_last(path: Path) -> None:
    cells = [one for one in json.loads(path.read_text())["cells"] if one["cell_type"] == "code"]
    again = f"python -m docs.run_notebooks {path.stem}"
    assert [one["execution_count"] for one in cells] == [*range(1, len(cells) + 1)], again
    assert sum(map(len, forms(cells))) > 3, again
    text = re.sub(r'"image/png": ".*"', "", path.read_text())
    assert not re.search(r"/(home|root|tmp|work)/|Traceback", text)
    assert path.stat().st_size < 150_000


def forms(cells: Sequence[Any]) -> list[list[str]]:
    """What each cell shows: tables, pictures, text; a file has those of one output by name."""
    return [
        [
            form
            for output in one.get("outputs", ())
            for form in sorted(output.get("data", {"text": ""}))
        ]
        for one in cells
    ]


def test_every_notebook_is_shown_on_the_site() -> None:
    shown = (ROOT / "mkdocs.yml").read_text()
    assert len(NOTEBOOKS) > 3
    for path in NOTEBOOKS:
        assert f"notebooks/{path.stem}.md" in shown
