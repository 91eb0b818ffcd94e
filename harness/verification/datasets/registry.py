"""Defines the protocol of datasets, and their registry.

A dataset is one file in this package, or a row of one: two functions and one
registration. A family of names, such as `folder:<path>`, is one function that
makes the dataset from what follows the colon.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from facebench.architectures.extensions import load_installed
from facebench.architectures.registry import Registry
from facebench.harness.storage.downloads import Download
from facebench.harness.verification.faces import FaceSet


@dataclass(frozen=True)
class Dataset:
    """A dataset is faces that a network can be scored on.

    Attributes:
        name: as it is called in records; on the command line too, but for families.
        label: what limits the meaning of its scores; empty for real faces.
        found: whether it is there, given the folder where data is kept; a
            dataset that is there in part counts, and `inspection` says what it lacks.
        open: makes it ready to read, given the same folder: a `PairSet` or a
            `SearchSet`. Raises `BadInputError` where a list of the dataset is
            missing or malformed; images are not looked at.
        about: where it comes from and what it holds, in a line.
        measure: what is scored on it: `accuracy` (1:1) or `identification` (1:N).
        place: what to put where, for those who have it from elsewhere; a phrase
            that completes "put into the data folder ...".
        downloads: its files at their official addresses; empty where none is public.
        protocol: what its authors report that its measure does not say; a sentence, or empty.
        open_images: opens all its images where they need not do for its measure, as int8's
            calibration wants them; by default those that `open` gives.
    """

    name: str
    label: str
    found: Callable[[Path | None], bool]
    open: Callable[[Path | None], FaceSet]
    about: str
    measure: str = "accuracy"
    place: str = ""
    downloads: tuple[Download, ...] = ()
    protocol: str = ""
    open_images: Callable[[Path | None], FaceSet] | None = None

    def images(self, root: Path | None) -> FaceSet:
        """Return its images, given the folder where data is kept; raises as `open` does."""
        return (self.open_images or self.open)(root)


DATASETS: Registry[Dataset] = Registry(
    "dataset", "facebench.harness.verification.datasets", partial(load_installed, "datasets")
)


def available(root: Path | None = None) -> list[str]:
    """Return names of the registered datasets that are found, in the order of registration.

    Args:
        root: the folder where data is kept; see `data_root`.
    """
    return [dataset.name for dataset in DATASETS if dataset.found(root)]


def data_root(root: Path | None) -> Path | None:
    """Return the folder where data is kept: `root`, else `FACEBENCH_DATA`, else none."""
    if root is not None:
        return root
    chosen = os.environ.get("FACEBENCH_DATA")
    return Path(chosen) if chosen else None
