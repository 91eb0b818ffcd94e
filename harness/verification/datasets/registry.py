"""The protocol of datasets and their registry.

A dataset is one file in this package: two functions and one registration.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from architectures.registry import Registry
from harness.verification.faces import FaceSet


@dataclass(frozen=True)
class Dataset:
    """Faces that a network can be scored on.

    Attributes:
        name: as it is called on the command line and in records.
        label: what limits the meaning of its scores; empty for real faces.
        found: whether it is there, given the folder where data is kept; a
            dataset that is there in part counts, and `open` says what it lacks.
        open: makes it ready to read, given the same folder. Raises
            `BadInputError` where a file is missing or malformed.
        about: where it comes from and what it holds, in a line.
    """

    name: str
    label: str
    found: Callable[[Path | None], bool]
    open: Callable[[Path | None], FaceSet]
    about: str


DATASETS: Registry[Dataset] = Registry("dataset", package="harness.verification.datasets")


def available(root: Path | None = None) -> list[str]:
    """Names of the datasets that are found, in the order of registration.

    Args:
        root: the folder where data is kept; see `data_root`.
    """
    return [dataset.name for dataset in DATASETS if dataset.found(root)]


def data_root(root: Path | None) -> Path | None:
    """The folder where data is kept: `root`, else `FACEBENCH_DATA`, else none."""
    if root is not None:
        return root
    chosen = os.environ.get("FACEBENCH_DATA")
    return Path(chosen) if chosen else None
