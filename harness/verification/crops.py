"""Cuts a dataset's aligned crops once and keeps them for all networks of one input size."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import PIL

from facebench.architectures.errors import BadInputError
from facebench.harness.stats.arrays import Picture
from facebench.harness.storage import cache, fingerprints
from facebench.harness.verification.alignment import align
from facebench.harness.verification.faces import FaceSet


@dataclass(frozen=True)
class Crops:
    """They are aligned faces, in the order of the keys they were asked for by.

    Attributes:
        pictures: `(N, H, W, 3)`; read from the disk as they are used, where they are kept there.
        thread_seconds: spent on reading, decoding and aligning, all threads
            together, whenever that was.
    """

    pictures: Picture
    thread_seconds: float


def cut(
    faces: FaceSet,
    keys: Sequence[str],
    input_size: tuple[int, int],
    threads: int,
    keep: bool,
    tell: Callable[[], None] = lambda: None,
) -> Crops:
    """Read, decode and align images, or find them in the cache.

    Args:
        faces: where the images and their landmarks are.
        keys: N of them.
        input_size: height and width in pixels.
        threads: images in work at a time.
        keep: whether to leave them in the cache, 38 kB each at 112x112.
        tell: called after each image, so that whoever waits knows that work goes on.

    Raises:
        BadInputError: an image can't be read or aligned.
    """
    if not keep:
        pictures = np.empty((len(keys), *input_size, 3), np.uint8)
        return Crops(pictures, _fill(pictures, faces, keys, input_size, threads, tell))

    def make(folder: Path) -> None:
        shape = (len(keys), *input_size, 3)
        pictures = np.lib.format.open_memmap(folder / "crops.npy", "w+", np.uint8, shape)
        seconds = _fill(pictures, faces, keys, input_size, threads, tell)
        pictures.flush()
        (folder / "facts.json").write_text(json.dumps({"thread_seconds": seconds}))

    folder = cache.entry("crops", cache.digest(crops_key(faces, keys, input_size)), make)
    facts = json.loads((folder / "facts.json").read_text())
    pictures = np.load(folder / "crops.npy", mmap_mode="r", allow_pickle=False)
    return Crops(pictures, facts["thread_seconds"])


def crops_key(faces: FaceSet, keys: Sequence[str], input_size: tuple[int, int]) -> str:
    """Hash of all that the crops depend on: bytes, landmarks, size and code."""
    images = [
        (faces.image_digests[key].hex(), np.asarray(faces.landmarks[key], np.float64).tolist())
        for key in keys
    ]
    code = fingerprints.code(__name__)
    return cache.digest(images, input_size, code, cv2.__version__, PIL.__version__)


def _fill(
    pictures: Picture,
    faces: FaceSet,
    keys: Sequence[str],
    input_size: tuple[int, int],
    threads: int,
    tell: Callable[[], None],
) -> float:
    """Cut each crop into its row. Returns seconds, all threads together."""

    def work(row: int) -> float:
        began = time.perf_counter()
        pictures[row] = _aligned(faces, keys[row], input_size)
        return time.perf_counter() - began

    return _in_threads(work, len(keys), threads, tell)


def _in_threads(
    work: Callable[[int], float], count: int, threads: int, tell: Callable[[], None]
) -> float:
    pool = ThreadPoolExecutor(threads)
    seconds = 0.0
    try:
        for taken in pool.map(work, range(count)):
            seconds += taken
            tell()
        return seconds
    finally:
        # After an error nobody waits for the rest.
        pool.shutdown(cancel_futures=True)


def _aligned(faces: FaceSet, key: str, input_size: tuple[int, int]) -> Picture:
    picture = faces.picture(key)
    try:
        return align(picture, faces.landmarks[key], input_size)
    except BadInputError as error:
        raise BadInputError(f"{faces.files.describe(key)} cannot be aligned: {error}") from error
