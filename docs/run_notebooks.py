"""Runs notebooks of docs/notebooks, and stores them with what came of each cell.

The site shows them so. Run it once a notebook has changed, on a machine that is quiet:

    python -m docs.run_notebooks [NAME...]
"""

from __future__ import annotations

import base64
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

import nbclient
import nbformat

from docs.pictures import small
from tests.places import ROOT

FOLDER = ROOT / "docs" / "notebooks"


def run(path: Path, folder: Path) -> Any:
    """The notebook as Jupyter runs it in a folder, from its first cell to its last."""
    notebook = nbformat.read(path, as_version=4)
    metadata = dict(notebook.metadata)
    os.environ["PYTHONPATH"] = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    client = nbclient.NotebookClient(
        notebook, timeout=600, resources={"metadata": {"path": str(folder)}}
    )
    client.execute()
    # Otherwise it says which Python ran it, and when.
    notebook.metadata = nbformat.from_dict(metadata)
    for cell in notebook.cells:
        cell.metadata = nbformat.from_dict({})
        if cell.cell_type == "code":
            cell.outputs = [_small(one) for one in cell.outputs if _shown(one)]
    return notebook


def _shown(output: Any) -> bool:
    """Whether it belongs on a page: a bar that is full does not."""
    return (
        output.output_type == "execute_result"
        or "image/png" in output.get("data", {})
        or (output.get("name") == "stdout")
    )


def _small(output: Any) -> Any:
    if picture := output.get("data", {}).get("image/png"):
        output.data["image/png"] = base64.b64encode(small(base64.b64decode(picture))).decode()
    return output


def main(names: list[str]) -> None:
    """Run those of these names, all where there are none."""
    for path in sorted(FOLDER.glob("*.ipynb")):
        if not names or path.stem in names:
            with tempfile.TemporaryDirectory() as folder:
                notebook = run(path, Path(folder))
            nbformat.write(notebook, path)


if __name__ == "__main__":
    main(sys.argv[1:])
