"""The protocol of datasets and their registry.

A dataset is one file in this package, or a row of one: two functions and one
registration. A family of names, such as `folder:<path>`, is one function that
makes the dataset from what follows the colon.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from architectures.registry import Registry
from harness.downloads import Download
from harness.verification.faces import FaceSet


@dataclass(frozen=True)
class Dataset:
    """Faces that a network can be scored on.

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
    """

    name: str
    label: str
    found: Callable[[Path | None], bool]
    open: Callable[[Path | None], FaceSet]
    about: str
    measure: str = "accuracy"
    place: str = ""
    downloads: tuple[Download, ...] = ()


# From what follows the colon in a name to the dataset.
Family = Callable[[str], Dataset]

DATASETS: Registry[Dataset] = Registry("dataset", package="harness.verification.datasets")
_families: dict[str, tuple[Family, str]] = {}


def register_family(prefix: str, about: str) -> Callable[[Family], Family]:
    """Register the decorated function for all names that begin with `prefix:`."""

    def decorate(family: Family) -> Family:
        _families[prefix] = (family, about)
        return family

    return decorate


def families() -> dict[str, str]:
    """What each prefix of a family stands for, in a line."""
    DATASETS.names()
    return {prefix: about for prefix, (_, about) in _families.items()}


def find(name: str) -> Dataset:
    """The dataset called `name`, such as `lfw` or `folder:/home/me/faces`.

    Raises:
        UnknownNameError: there is none; the message names the nearest.
    """
    prefix, colon, rest = name.partition(":")
    if colon and prefix in families():
        return _families[prefix][0](rest)
    return DATASETS[name]


def available(root: Path | None = None) -> list[str]:
    """Names of the registered datasets that are found, in the order of registration.

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
