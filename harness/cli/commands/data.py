"""Offers commands on datasets: list, fetch, check, pairs, clean, augment."""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from facebench.architectures.errors import BadInputError, UnavailableError
from facebench.harness.cli import catalogue, options
from facebench.harness.cli.commands.data_augment import augment
from facebench.harness.cli.commands.data_clean import clean
from facebench.harness.cli.output import terminal
from facebench.harness.cli.output.progress import Bar
from facebench.harness.storage import downloads
from facebench.harness.verification import lists
from facebench.harness.verification.census import Census
from facebench.harness.verification.datasets.registry import DATASETS, Dataset, data_root
from facebench.harness.verification.faces import PairSet
from facebench.harness.verification.inspection import Inspection, inspect


@click.group()
def data() -> None:
    """List, fetch and check datasets; draw pairs of your own images; clean training sets.

    \b
    facebench data list
    facebench data check lfw --data ~/faces
    facebench data pairs folder:my/faces -o my/faces/pairs.csv
    facebench data clean faces.tar --teacher teacher.onnx --against lfw -o without.csv
    facebench data augment faces.tar --recipe long -o sheet.png
    """


data.add_command(clean)
data.add_command(augment)


@data.command("list")
@options.data
@options.as_json
def list_(data: Path | None, as_json: bool) -> None:
    """List the datasets, and how each comes here.

    \b
    facebench data list
    facebench data list --data ~/faces --json
    """
    rows = [_row(entry) for entry in catalogue.entries("datasets", data)["datasets"]]
    if as_json:
        terminal.as_json(rows)
    else:
        terminal.catalogue({"datasets": rows})


def _row(entry: catalogue.Entry) -> dict[str, Any]:
    """Return a line of the list: what scores it, and whether `fetch` gets it."""
    name = entry["name"]
    known = {dataset.name: dataset for dataset in DATASETS}.get(name)
    return {
        "name": name,
        "found": entry["found"],
        "measure": known.measure if known else "",
        "download": bool(known and known.downloads),
        "about": entry["about"],
        "note": known.place if known else "",
    }


@data.command()
@click.argument("name")
@options.data
@options.as_json
def fetch(name: str, data: Path | None, as_json: bool) -> None:
    """Download a dataset from its publisher into the data folder.

    What was interrupted goes on where it was, and nothing gets its name before
    its checksum is right.

    \b
    facebench data fetch lfw --data ~/faces
    """
    dataset = DATASETS[name]
    root = data_root(data)
    if not dataset.downloads:
        raise BadInputError(_by_hand(dataset))
    if root is None:
        raise BadInputError("no data folder is named: give one with --data or FACEBENCH_DATA")
    try:
        paths = [_fetched(download, root) for download in dataset.downloads]
    except UnavailableError as error:
        raise UnavailableError(f"{error}; or put into {root} {dataset.place}") from error
    if as_json:
        terminal.as_json([str(path) for path in paths])
    else:
        terminal.out.print("\n".join(map(str, paths)), markup=False, soft_wrap=True)


def _by_hand(dataset: Dataset) -> str:
    if not dataset.place:
        return f"dataset {dataset.name} needs no download: it is {dataset.about}"
    return (
        f"dataset {dataset.name} has no public address ({dataset.about}): get it from its "
        f"publisher and put into the data folder {dataset.place}"
    )


def _fetched(download: downloads.Download, root: Path) -> Path:
    with Bar(download.name, in_bytes=True) as progress:
        return downloads.fetch(download, root, progress)


@data.command()
@click.argument("name")
@options.data
@options.as_json
def check(name: str, data: Path | None, as_json: bool) -> None:
    """Look at every image and pair of a dataset, and name all that is wrong.

    Exit code 1 says that something is.

    \b
    facebench data check lfw --data ~/faces
    facebench data check folder:my/faces --json
    """
    faces = DATASETS[name].open(data_root(data))
    with Bar(faces.name) as progress:
        inspection = inspect(faces, progress)
    if as_json:
        terminal.as_json({"name": faces.name, **asdict(inspection)})
    else:
        _print(faces.name, inspection)
    if inspection.problems:
        sys.exit(1)


def _print(name: str, inspection: Inspection) -> None:
    counts = ", ".join(f"{count:,} {what}" for what, count in inspection.counts.items())
    lines = [f"{name}: {counts}", *_kinds(inspection.images)]
    lines += [f"{problem.kind}: {problem.sentence}" for problem in inspection.problems]
    lines.append(f"{len(inspection.problems) or 'no'} problems")
    terminal.out.print("\n".join(lines), markup=False, highlight=False, soft_wrap=True)


def _kinds(images: Census) -> list[str]:
    """Return a line of formats and one of sizes, and one of orientations where Exif turns any."""
    kinds = {"formats": images.formats, "sizes": images.sizes}
    if set(images.orientations) - {"1"}:
        kinds["turned upright, by Exif's orientation"] = images.orientations
    return [
        f"{what}: {', '.join(f'{kind} ({count:,})' for kind, count in counts.items())}"
        for what, counts in kinds.items()
        if counts
    ]


@data.command()
@click.argument("name")
@click.option(
    "-o", "--out", required=True, type=click.Path(path_type=Path, dir_okay=False),
    help="CSV file to write; none is overwritten.",
)  # fmt: skip
@click.option(
    "--seed", type=click.IntRange(0, 2**32 - 1),
    help="Draws other pairs of a folder. Default: its pairs.csv, or those of seed 0.",
)  # fmt: skip
@options.data
@options.as_json
def pairs(name: str, out: Path, seed: int | None, data: Path | None, as_json: bool) -> None:
    """Write the pairs of a dataset, drawn from a seed where it is a folder.

    As pairs.csv in the folder they are its pairs from then on, whatever images
    come later.

    \b
    facebench data pairs folder:my/faces -o my/faces/pairs.csv
    facebench data pairs folder:my/faces -o my/faces/other.csv --seed 7
    """
    faces = _drawn(name, data_root(data), seed)
    lists.write_pairs(out, faces.pairs)
    if as_json:
        terminal.as_json({"name": faces.name, "path": str(out), "pairs": len(faces.pairs)})
    else:
        terminal.out.print(f"{len(faces.pairs):,} pairs: {out}", markup=False, soft_wrap=True)


def _drawn(name: str, root: Path | None, seed: int | None) -> PairSet:
    from facebench.harness.verification.datasets.folders import open_folder

    prefix, _, path = name.partition(":")
    if prefix == "folder":
        return open_folder(path, root, seed)
    if seed is not None:
        raise BadInputError(
            f"--seed draws pairs of a folder, and {name} has its own: leave it out, or name folder:"
            "PATH"
        )
    faces = DATASETS[name].open(root)
    if not isinstance(faces, PairSet):
        raise BadInputError(f"{name} has no pairs of images: name another dataset")
    return faces
