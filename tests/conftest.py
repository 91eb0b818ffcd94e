"""What all tests share."""

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def data_root() -> Path:
    """The folder of real faces; tests that need it are skipped where there is none."""
    chosen = os.environ.get("FACEBENCH_DATA")
    root = Path(chosen) if chosen else Path(__file__).parents[2] / "shared" / "data"
    if not root.is_dir():
        pytest.skip(
            f"no real faces: {root} is not a folder; set FACEBENCH_DATA to one that holds them"
        )
    return root
