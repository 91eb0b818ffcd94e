"""What comes with the project: files below `results/`, in the package or in the checkout."""

from __future__ import annotations

from pathlib import Path


def folder(name: str) -> Path:
    """A folder of `results/`: inside the installed package, or in the checkout."""
    installed = _here() / "results" / name
    return installed if installed.is_dir() else _here().parent / "results" / name


def installed() -> bool:
    """Whether this is an installed package, whose own folders are not to be written to."""
    return (_here() / "results").is_dir()


def weights() -> dict[str, Path]:
    """Trained weights that come with the project, by network."""
    return {path.stem: path for path in sorted(folder("weights").glob("*.safetensors"))}


def _here() -> Path:
    return Path(__file__).parent
