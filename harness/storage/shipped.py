"""Finds what comes with the project: files below `results/`, in the package or in the checkout."""

from __future__ import annotations

from pathlib import Path

# Of the package: in a checkout a link to the folder at its top.
_RESULTS = Path(__file__).parents[2] / "results"


def folder(name: str) -> Path:
    """Return a folder of `results/`: inside the installed package, or in the checkout."""
    return (_RESULTS / name).resolve()


def installed() -> bool:
    """Say whether this is an installed package, whose own folders are not to be written to."""
    return not _RESULTS.is_symlink()


def weights() -> dict[str, Path]:
    """Return the trained weights that come with the project, by network."""
    return {path.stem: path for path in sorted(folder("weights").glob("*.safetensors"))}
