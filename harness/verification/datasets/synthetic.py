"""Drawn faces of 30 people: the set that is always there."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path

import numpy as np
import PIL
from PIL import Image

from facebench.harness.stats.arrays import Floats
from facebench.harness.storage import cache, fingerprints
from facebench.harness.verification.datasets.registry import DATASETS, Dataset
from facebench.harness.verification.faces import FaceSet, Pair
from facebench.harness.verification.files import Folder
from facebench.harness.verification.layout import image_key, open_layout, write_layout

LABEL = "synthetic: checks the pipeline, says nothing of real faces"
SEED = 20180420
FOLDS = 10
# Three people of five images give thirty genuine pairs: the folds need share nobody.
PEOPLE_PER_FOLD = 3
IMAGES = 5
GENUINE_PER_FOLD = 30


def _open(root: Path | None) -> FaceSet:
    folder = cache.entry("synthetic", _version(), _write)
    return open_layout("synthetic", LABEL, Folder(folder), folder / "landmarks.csv")


def _version() -> str:
    import cv2  # takes a while to load

    return cache.digest(
        fingerprints.code(__name__), SEED, cv2.__version__, np.__version__, PIL.__version__
    )


def _write(folder: Path) -> None:
    from facebench.harness.verification.synthetic.people import identity, shot
    from facebench.harness.verification.synthetic.portrait import draw  # loads OpenCV

    landmarks: dict[str, Floats] = {}
    for number in range(FOLDS * PEOPLE_PER_FOLD):
        person = identity(SEED, number)
        (folder / _name(number)).mkdir()
        for image in range(1, IMAGES + 1):
            picture, points = draw(person, shot(SEED, number, image))
            key = image_key(_name(number), image)
            Image.fromarray(picture).save(folder / key, quality=95)
            landmarks[key] = points
    write_layout(folder, draw_pairs(), landmarks)


def draw_pairs() -> list[Pair]:
    """Return all genuine pairs and as many random impostor pairs, fold by fold; nobody is in two
    folds.
    """
    rng = np.random.default_rng(SEED)
    pairs = []
    for fold in range(FOLDS):
        people = [_name(fold * PEOPLE_PER_FOLD + i) for i in range(PEOPLE_PER_FOLD)]
        numbers = range(1, IMAGES + 1)
        genuine = [
            Pair(image_key(name, i), image_key(name, j), True, fold)
            for name in people
            for i, j in combinations(numbers, 2)
        ]
        impostor = [
            Pair(image_key(first, i), image_key(second, j), False, fold)
            for first, second in combinations(people, 2)
            for i in numbers
            for j in numbers
        ]
        chosen = rng.choice(len(impostor), GENUINE_PER_FOLD, replace=False)
        pairs += genuine + [impostor[i] for i in sorted(chosen)]
    return pairs


def _name(number: int) -> str:
    return f"Drawn_{number:02d}"


DATASETS.add(
    "synthetic",
    Dataset(
        "synthetic",
        label=LABEL,
        found=lambda root: True,
        open=_open,
        about="drawn faces of 30 people: 600 pairs in 10 folds, made on this machine",
    ),
)
