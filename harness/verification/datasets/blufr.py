"""BLUFR: ten trials on all images of Labeled Faces in the Wild, by its authors' lists.

Source: S. Liao, Z. Lei, D. Yi, S. Z. Li, "A Benchmark Study of Large-scale Unconstrained Face
Recognition", IJCB 2014. Its toolkit has the lists as texts, in the folder `list/lfw`: the images'
names by number, who is in each, and of each trial the images to test, the gallery and the probes.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from facebench.architectures.errors import BadInputError
from facebench.harness.verification.datasets.lfw import LFW_IMAGES, lfw_images
from facebench.harness.verification.datasets.registry import DATASETS, Dataset, data_root
from facebench.harness.verification.faces import FaceSet, Rows, Trial, TrialSet
from facebench.harness.verification.layout import read_landmarks
from facebench.harness.verification.tables import read_lines, read_numbers

LISTS = ("BLUFR/list/lfw", "blufr/list/lfw")
_SETS = ("test_set", "gallery_set", "probe_set")
PLACE = (
    f"{LFW_IMAGES}, with all 13,233 images, and its authors' toolkit as a folder BLUFR, whose "
    f"{LISTS[0]} has image_list.txt, labels.txt, test_set.txt, gallery_set.txt and probe_set.txt"
)


def _lists(root: Path | None) -> Path | None:
    kept = data_root(root)
    if kept is None:
        return None
    return next((kept / name for name in LISTS if (kept / name / "image_list.txt").exists()), None)


def _found(root: Path | None) -> bool:
    return _lists(root) is not None and lfw_images(root) is not None


def _open(root: Path | None) -> FaceSet:
    lists, images = _lists(root), lfw_images(root)
    if lists is None or images is None:
        raise BadInputError(
            f"dataset blufr is not in {data_root(root) or 'a folder that was named'}: give with "
            f"--data or FACEBENCH_DATA a folder that holds {PLACE}"
        )
    names = [text.strip() for _, text in read_lines(lists / "image_list.txt") if text.strip()]
    people = read_numbers(lists / "labels.txt", ["label"])[:, 0]
    if len(people) != len(names) or not names:
        raise BadInputError(
            f"{lists / 'labels.txt'} has {len(people):,} labels for {len(names):,} images of "
            "image_list.txt: copy the lists anew"
        )
    parts = [_rows(lists / f"{part}.txt", names) for part in _SETS]
    if len({len(part) for part in parts}) > 1:
        raise BadInputError(f"the lists in {lists} are of different trials: copy them anew")
    trials = tuple(Trial(*rows) for rows in zip(*parts, strict=True))
    for number, trial in enumerate(trials, start=1):
        _require_once(trial, f"trial {number} of the lists in {lists}", names)
    keys = tuple(_key(name, lists / "image_list.txt") for name in names)
    _require_named(keys, people, lists / "labels.txt")
    points = read_landmarks(images.landmarks) if images.landmarks.is_file() else {}
    identities = {key: key.partition("/")[0] for key in keys}
    return _taken(TrialSet("blufr", "", images.files, points, identities, keys, people, trials))


def _require_named(keys: Sequence[str], people: Rows, path: Path) -> None:
    """Refuse labels that join or part others than the images' names do."""
    labels: dict[str, int] = {}
    named: dict[int, str] = {}
    for key, label in zip(keys, people.tolist(), strict=True):
        name = key.partition("/")[0]
        if (other := labels.setdefault(name, label)) != label:
            raise BadInputError(
                f"{path} has the labels {other} and {label} for images of {name}: copy the lists "
                "anew"
            )
        if (person := named.setdefault(label, name)) != name:
            raise BadInputError(
                f"{path} has the label {label} for {person} and for {name}: copy the lists anew"
            )


def _require_once(trial: Trial, where: str, names: list[str]) -> None:
    """Refuse a trial that would compare an image with itself."""
    searched = np.concatenate([trial.gallery, trial.probes])
    for rows, what in ((trial.test, "test_set"), (searched, "gallery_set and probe_set")):
        found, times = np.unique(rows, return_counts=True)
        if times.max(initial=0) > 1:
            raise BadInputError(
                f"{where} has {names[found[times.argmax()]]} {times.max()} times in {what}, where "
                "each image is compared with others alone: copy the lists anew"
            )


def _taken(faces: TrialSet) -> TrialSet:
    """Return the set without images that no trial takes."""
    used = np.zeros(len(faces.images), np.bool_)
    for trial in faces.trials:
        for rows in (trial.test, trial.gallery, trial.probes):
            used[rows] = True
    others = {key for key, taken in zip(faces.images, used, strict=True) if not taken}
    return faces.without(frozenset(others))


def _rows(path: Path, names: list[str]) -> list[Rows]:
    """Return the rows of each trial's images.

    A list says how many trials there are, and of each how many images, then `number, name`, a line
    an image; numbers begin with 1.
    """
    lines = [(line, text.strip()) for line, text in read_lines(path) if text.strip()]
    trials: list[Rows] = []
    place = 1
    for _ in range(_count(lines, 0, path)):
        count = _count(lines, place, path)
        part = lines[place + 1 : place + 1 + count]
        if len(part) < count:
            raise BadInputError(f"{path} ends before its last trial: copy it anew")
        trials.append(np.array([_row(line, text, path, names) for line, text in part], np.int32))
        place += 1 + count
    if place != len(lines):
        raise BadInputError(f"{path} has more than the trials that it begins with: copy it anew")
    return trials


def _count(lines: list[tuple[int, str]], place: int, path: Path) -> int:
    text = lines[place][1] if place < len(lines) else ""
    if not (text.isascii() and text.isdigit() and 0 < int(text) < 10**6):
        line = lines[place][0] if place < len(lines) else "after the last"
        raise BadInputError(
            f"{path} line {line} must say how many follow, not {text[:60]!r}: copy the list anew"
        )
    return int(text)


def _row(line: int, text: str, path: Path, names: list[str]) -> int:
    number, _, name = (field.strip() for field in text.partition(","))
    if number.isascii() and number.isdigit() and 1 <= int(number[:9]) <= len(names):
        row = int(number[:9]) - 1
        if names[row] == name:
            return row
    raise BadInputError(
        f"{path} line {line} must be the number and name of an image of image_list.txt, not "
        f"{text[:60]!r}: copy the lists anew"
    )


def _key(name: str, path: Path) -> str:
    """Return where LFW has an image: in the folder of who it shows, whom its name begins with."""
    person, underscore, _ = name.rpartition("_")
    if not underscore or set(name) & set("/\\") or person in ("", ".", ".."):
        raise BadInputError(
            f"{path} names {name[:60]!r}, which is no image of LFW (such as "
            "Aaron_Eckhart_0001.jpg): copy the list anew"
        )
    return f"{person}/{name}"


DATASETS.add(
    "blufr",
    Dataset(
        "blufr",
        label="",
        found=_found,
        open=_open,
        about="BLUFR: ten trials on all 13,233 images of LFW (S. Liao et al., IJCB 2014)",
        measure="trials",
        place=PLACE,
    ),
)
