"""Packages from elsewhere, as they look installed, and processes that have them."""

import os
import subprocess
import sys
from pathlib import Path


def in_a_process(code: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Registries are filled once in a process, so each case has its own."""
    return subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | variables,
        capture_output=True,
        text=True,
        check=False,
    )


def plugin(folder: Path, text: str, *kinds: str) -> Path:
    """A folder that looks as an installed package does, which extends registries of these kinds."""
    (folder / "facebench_plugin.py").write_text(text)
    info = folder / "facebench_plugin-1.2.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: facebench-plugin\nVersion: 1.2\n")
    points = [f"[facebench.{kind}]\nmine = facebench_plugin\n" for kind in kinds]
    (info / "entry_points.txt").write_text("\n".join(points))
    return folder
