"""Looks at folders and data: what can be written, and which data sets are found."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from facebench.architectures.errors import FacebenchError
from facebench.harness.compiler import records
from facebench.harness.runs.doctor.observation import MISSING, OK, WARNING, Observation, Place
from facebench.harness.storage import cache, shipped
from facebench.harness.verification.datasets.registry import DATASETS, Dataset, data_root

# The exported networks, their libraries and the emulated device take about so much.
_LEAST_FREE_BYTES = 2 * 10**9


def cache_folder(place: Place) -> Iterator[Observation]:
    """Check the folder of what is costly to make."""
    yield _writable("cache", cache.root(), "set FACEBENCH_CACHE to a folder that can be written")


def tuning_folder(place: Place) -> Iterator[Observation]:
    """Check the folder that a search for faster kernels writes to."""
    folder = records.own_file("host").parent
    yield _writable("tuning", folder, "set FACEBENCH_TUNING to a folder that can be written")


def results_folder(place: Place) -> Iterator[Observation]:
    """Check the folder that a run writes to."""
    mend = "go to a folder that can be written, or name one with -o"
    yield _writable("results", place.results, mend)


def _writable(name: str, folder: Path, mend: str) -> Observation:
    """Return whether files can be made in a folder, or in what is nearest above it and exists."""
    folder = folder.absolute()
    there = next(path for path in (folder, *folder.parents) if path.exists())
    try:
        with tempfile.TemporaryFile(dir=there):
            free = shutil.disk_usage(there).free
    except OSError as error:
        return Observation(name, MISSING, f"{folder} cannot be written: {error.strerror}", mend)
    says = f"{folder}, {free / 1e9:.1f} GB free"
    if free < _LEAST_FREE_BYTES:
        return Observation(name, WARNING, says, "facebench cache prune --to 2G")
    return Observation(name, OK, says)


def variables(place: Place) -> Iterator[Observation]:
    """Check names of the variables that are set; their values may be secrets."""
    found = sorted(name for name in os.environ if name.startswith("FACEBENCH_"))
    yield Observation("variables", OK, " ".join(found) or "none of facebench's is set")


def weights(place: Place) -> Iterator[Observation]:
    """Check the trained weights that come with facebench."""
    found = shipped.weights()
    if found:
        yield Observation("shipped weights", OK, f"{len(found)} files")
    else:
        says = f"none in {shipped.folder('weights')}"
        yield Observation(
            "shipped weights", MISSING, says, "pip install --force-reinstall facebench"
        )


def data_folder(place: Place) -> Iterator[Observation]:
    """Check the folder in which data sets are looked for."""
    root = data_root(place.data)
    mend = "name a folder with --data or FACEBENCH_DATA"
    if root is None:
        yield Observation("data folder", WARNING, "none is named: no real faces", mend)
    elif not root.is_dir():
        yield Observation("data folder", MISSING, f"{root} is no folder", mend)
    else:
        yield Observation("data folder", OK, str(root.resolve()))


def datasets(place: Place) -> Iterator[Observation]:
    """Check the data sets that facebench knows by name."""
    yield from (_dataset(dataset, place.data) for dataset in DATASETS)


def _dataset(dataset: Dataset, data: Path | None) -> Observation:
    try:
        if dataset.found(data):
            return Observation(dataset.name, OK, "found")
    except FacebenchError as error:
        return Observation(
            dataset.name, WARNING, str(error), f"facebench data check {dataset.name}"
        )
    if dataset.downloads:
        mend = f"facebench data fetch {dataset.name}"
    else:
        mend = f"put into the data folder {dataset.place}"
    return Observation(dataset.name, MISSING, "not found", mend)
