"""Embeddings of a dataset's images: decoded, aligned and fed to a network in batches."""

from __future__ import annotations

import queue
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from architectures.errors import BadInputError
from architectures.registry import Preprocessing
from harness.verification.alignment import align
from harness.verification.faces import FaceSet, Picture

Embeddings = npt.NDArray[np.float32]
# One inference: images (N, 3, H, W) to embeddings (N, E), both float32; N never varies.
Embed = Callable[[npt.NDArray[np.float32]], Embeddings]

# How the embeddings of an image and of its mirror image become one.
FLIPS = ("none", "sum", "concatenation")


@dataclass(frozen=True)
class Extraction:
    """Embeddings, and what it took.

    Attributes:
        embeddings: `(K, E)`, as the network gives them: not normalized.
        seconds: from the first image's bytes to the last embedding, by the clock on the wall.
    """

    embeddings: Embeddings
    seconds: float

    @property
    def images_per_second(self) -> float:
        """Images of the dataset, each with its mirror image where flips are used."""
        return len(self.embeddings) / self.seconds


def extract(
    faces: FaceSet,
    keys: Sequence[str],
    streams: Sequence[Embed],
    preprocessing: Preprocessing,
    input_size: tuple[int, int],
    batch: int = 1,
    flip: str = "none",
) -> Extraction:
    """Embed images, each read, decoded and aligned once.

    Each stream works on a batch of its own from its bytes to its embeddings,
    which keeps cores busier than several threads in one inference. The last
    batch is filled up by repeating its last image, since a compiled network
    takes one batch size only. The embeddings do not depend on the streams.

    Args:
        faces: where the images are.
        keys: the images, K of them.
        streams: the same network, once for each batch that may be in work at a time.
        preprocessing: what its input expects.
        input_size: height and width in pixels.
        batch: images in one inference.
        flip: one of `FLIPS`.

    Raises:
        BadInputError: an image can't be read or aligned; the network's output
            has a wrong shape; or an embedding is not finite, zero, or the same for all images.
    """
    if flip not in FLIPS:
        raise BadInputError(f"unknown flip {flip!r}: use one of {', '.join(FLIPS)}")
    idle: queue.SimpleQueue[Embed] = queue.SimpleQueue()
    for stream in streams:
        idle.put(stream)

    def work(used: Sequence[str]) -> Embeddings:
        inputs = _inputs(faces, used, preprocessing, input_size, batch)
        stream = idle.get()
        try:
            return _embed(inputs, stream, flip)[: len(used)]
        finally:
            idle.put(stream)

    began = time.perf_counter()
    batches = [keys[start : start + batch] for start in range(0, len(keys), batch)]
    parts: list[Embeddings] = []
    pool = ThreadPoolExecutor(len(streams))
    try:
        for used, part in zip(batches, pool.map(work, batches), strict=True):
            _check(part, used)
            parts.append(part)
    finally:
        pool.shutdown(cancel_futures=True)
    embeddings = np.concatenate(parts)
    _check_variety(embeddings, keys)
    return Extraction(embeddings, time.perf_counter() - began)


def preprocess(
    pictures: Sequence[Picture], preprocessing: Preprocessing
) -> npt.NDArray[np.float32]:
    """Network input `(N, 3, H, W)` from N aligned pictures `(H, W, 3)`, RGB."""
    order = ["RGB".index(channel) for channel in preprocessing.channels]
    pixels = np.stack(pictures)[..., order].astype(np.float32)
    mean = np.array(preprocessing.mean, np.float32)
    scaled = (pixels - mean) / np.array(preprocessing.scale, np.float32)
    return np.ascontiguousarray(scaled.transpose(0, 3, 1, 2))


def _inputs(
    faces: FaceSet,
    keys: Sequence[str],
    preprocessing: Preprocessing,
    input_size: tuple[int, int],
    batch: int,
) -> npt.NDArray[np.float32]:
    """Inputs `(batch, 3, H, W)` of up to `batch` images."""
    pictures = [_aligned(faces, key, input_size) for key in keys]
    pictures += [pictures[-1]] * (batch - len(pictures))
    return preprocess(pictures, preprocessing)


def _aligned(faces: FaceSet, key: str, input_size: tuple[int, int]) -> Picture:
    picture = faces.picture(key)
    try:
        return align(picture, faces.landmarks[key], input_size)
    except BadInputError as error:
        raise BadInputError(f"{faces.files.describe(key)} cannot be aligned: {error}") from error


def _embed(inputs: npt.NDArray[np.float32], embed: Embed, flip: str) -> Embeddings:
    plain = _call(embed, inputs)
    if flip == "none":
        return plain
    mirrored = _call(embed, np.ascontiguousarray(inputs[..., ::-1]))
    return plain + mirrored if flip == "sum" else np.concatenate([plain, mirrored], axis=1)


def _call(embed: Embed, inputs: npt.NDArray[np.float32]) -> Embeddings:
    # A runtime may hand out the same buffer at each call.
    embeddings = np.array(embed(inputs), np.float32)
    if embeddings.ndim != 2 or len(embeddings) != len(inputs):
        raise BadInputError(
            f"the network gives an output of shape {embeddings.shape} for {len(inputs)} images, "
            f"not ({len(inputs)}, E): export it for this batch size, or use a batch of 1"
        )
    return embeddings


def _check(embeddings: Embeddings, keys: Sequence[str]) -> None:
    bad = ~np.isfinite(embeddings).all(axis=1)
    zero = ~embeddings.any(axis=1)
    if bad.any() or zero.any():
        key = keys[int(np.argmax(bad | zero))]
        what = "not finite" if bad.any() else "zero"
        raise BadInputError(
            f"the embedding of {key} is {what}: check the network's weights and preprocessing"
        )


def _check_variety(embeddings: Embeddings, keys: Sequence[str]) -> None:
    """Refuse a network that has one answer to all faces; rounding is no difference."""
    rounding = 1e-6 * np.abs(embeddings).max()
    if len(embeddings) > 1 and np.ptp(embeddings, axis=0).max() <= rounding:
        raise BadInputError(
            f"all {len(embeddings)} embeddings equal that of {keys[0]}: the network is constant; "
            "check its weights and preprocessing"
        )
