"""Makes embeddings of a dataset's images: cut, fed to a network in batches, kept in the cache."""

from __future__ import annotations

import json
import queue
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from facebench.architectures.errors import BadInputError
from facebench.architectures.registry import Preprocessing
from facebench.harness.machine import environment
from facebench.harness.stats.arrays import Picture
from facebench.harness.storage import cache, fingerprints
from facebench.harness.storage.progress import SILENT, Progress
from facebench.harness.verification.crops import crops_key, cut
from facebench.harness.verification.faces import FaceSet

Embeddings = npt.NDArray[np.float32]
# One inference: images (N, 3, H, W) to embeddings (N, E), both float32; N never varies.
Embed = Callable[[npt.NDArray[np.float32]], Embeddings]
# Told how many images of a block are embedded so far; often, since silence is taken for a hang.
Tell = Callable[[int], None]

# How the embeddings of an image and of its mirror image become one.
FLIPS = ("none", "sum", "concatenation")

# Images in one entry of the cache: what an interruption can lose, and what is held at once.
CHUNK = 2048

_KIND = "embeddings"

# Crops of larger sets are not kept: a million of them would take 38 GB.
_KEPT_CROPS = 50_000


@dataclass(frozen=True)
class Embedder:
    """It is a network that is ready to embed.

    Attributes:
        streams: the same network, once for each batch that may be in work at a time.
        preprocessing: what its input expects.
        input_size: height and width in pixels.
        batch: images in one inference.
        key: hash of all that an embedding depends on beside the image: the
            artifact, and the runtime with its version.
    """

    streams: Sequence[Embed]
    preprocessing: Preprocessing
    input_size: tuple[int, int]
    batch: int
    key: str


@dataclass(frozen=True)
class Extraction:
    """It holds embeddings, and what it took to make them.

    Attributes:
        embeddings: `(K, E)`, as the network gives them: not normalized.
        seconds: from the first image's bytes to the last embedding, as if one process had
            made them all.
        entries: of the cache, that hold them.
        cpus: the kinds of processor that made them.
    """

    embeddings: Embeddings
    seconds: float
    entries: tuple[str, ...]
    cpus: frozenset[str]

    @property
    def images_per_second(self) -> float:
        """Say how many images are embedded a second, each with its mirror image if flipped."""
        return len(self.embeddings) / self.seconds


def extract(
    faces: FaceSet,
    keys: Sequence[str],
    embedder: Embedder,
    flip: str = "none",
    progress: Progress = SILENT,
) -> Extraction:
    """Embed images, each read, decoded and aligned once, or find them in the cache.

    Args:
        faces: where the images are.
        keys: the images, K of them.
        embedder: the network.
        flip: one of `FLIPS`.
        progress: told how many images are embedded.

    Raises:
        BadInputError: an image can't be read or aligned; the network's output
            has a wrong shape; or an embedding is not finite, zero, or the same for all images.
    """
    parts = list(extract_blocks(faces, keys, embedder, flip, progress))
    embeddings = np.concatenate([part.embeddings for part in parts])
    _check_variety(embeddings, keys)
    return Extraction(
        embeddings,
        sum(part.seconds for part in parts),
        tuple(entry for part in parts for entry in part.entries),
        frozenset().union(*(part.cpus for part in parts)),
    )


def extract_blocks(
    faces: FaceSet,
    keys: Sequence[str],
    embedder: Embedder,
    flip: str = "none",
    progress: Progress = SILENT,
    shard: int = 0,
    shards: int = 1,
) -> Iterator[Extraction]:
    """Yield the same, `CHUNK` images at a time, for sets that do not fit in memory.

    Each block is in the cache before the next is begun, so that what is
    interrupted goes on where it was. Of n shards, each has every n-th block: the blocks are
    the same however many shards there are.
    """
    if flip not in FLIPS:
        raise BadInputError(f"unknown flip {flip!r}: use one of {', '.join(FLIPS)}")
    keep = len(keys) <= _KEPT_CROPS
    done = 0
    for start in range(shard * CHUNK, len(keys), shards * CHUNK):
        used = keys[start : start + CHUNK]

        def tell(count: int, before: int = done) -> None:
            progress.at(before + count, len(keys))

        block = _block(faces, used, embedder, flip != "none", keep, tell)
        done += len(used)
        progress.at(done, len(keys))
        yield Extraction(
            _joined(block.embeddings, flip),
            block.seconds,
            (block.entry,),
            frozenset({block.cpu}),
        )


def blocks_of(images: int) -> int:
    """Return how many blocks, and so at most how many shards, so many images make."""
    return -(-images // CHUNK)


def load(entries: Sequence[str], flip: str) -> Embeddings | None:
    """Return embeddings `(K, E)` that `extract` left in the cache; None where it lacks any."""
    folders = [cache.find(_KIND, entry) for entry in entries]
    if not folders:
        return None
    parts = [_read(folder) for folder in folders if folder is not None]
    if len(parts) < len(folders):
        return None
    return np.concatenate([_joined(part, flip) for part in parts])


@dataclass(frozen=True)
class _Block:
    """It holds embeddings `(2, K, E)` of images and their mirrors, or `(1, K, E)` without
    mirrors.
    """

    embeddings: Embeddings
    seconds: float
    entry: str
    cpu: str


def _block(
    faces: FaceSet,
    keys: Sequence[str],
    embedder: Embedder,
    mirrored: bool,
    keep: bool,
    tell: Tell,
) -> _Block:
    def make(folder: Path) -> None:
        crops = cut(faces, keys, embedder.input_size, len(embedder.streams), keep, lambda: tell(0))
        began = time.perf_counter()
        embeddings = _embed_all(crops.pictures, keys, embedder, mirrored, tell)
        seconds = time.perf_counter() - began + crops.thread_seconds / len(embedder.streams)
        np.save(folder / "embeddings.npy", embeddings, allow_pickle=False)
        facts = {"seconds": seconds, "cpu": environment.identity()["cpu_model"]}
        (folder / "facts.json").write_text(json.dumps(facts))

    key = cache.digest(
        embedder.key,
        asdict(embedder.preprocessing),
        embedder.batch,
        len(embedder.streams),  # the speed depends on it, the embeddings do not
        mirrored,
        crops_key(faces, keys, embedder.input_size),
        fingerprints.code(__name__),
    )
    folder = cache.entry(_KIND, key, make)
    facts = json.loads((folder / "facts.json").read_text())
    return _Block(_read(folder), facts["seconds"], key, facts["cpu"])


def _read(folder: Path) -> Embeddings:
    embeddings: Embeddings = np.load(folder / "embeddings.npy", allow_pickle=False)
    return embeddings


def _embed_all(
    pictures: Picture, keys: Sequence[str], embedder: Embedder, mirrored: bool, tell: Tell
) -> Embeddings:
    """Embeddings `(1 or 2, K, E)`; each stream works on a batch of its own.

    That keeps cores busier than several threads in one inference.
    """
    idle: queue.SimpleQueue[Embed] = queue.SimpleQueue()
    for stream in embedder.streams:
        idle.put(stream)

    def work(start: int) -> Embeddings:
        stop = min(start + embedder.batch, len(pictures))
        inputs = _inputs(pictures[start:stop], embedder)
        stream = idle.get()
        try:
            made = _embed(inputs, stream, mirrored)[:, : stop - start]
        finally:
            idle.put(stream)
        _check(made, keys[start:stop])
        return made

    pool = ThreadPoolExecutor(len(embedder.streams))
    try:
        parts = []
        for part in pool.map(work, range(0, len(pictures), embedder.batch)):
            parts.append(part)
            tell(min(len(parts) * embedder.batch, len(pictures)))
    finally:
        # After an error nobody waits for the rest.
        pool.shutdown(cancel_futures=True)
    return np.concatenate(parts, axis=1)


def preprocess(
    pictures: Sequence[Picture], preprocessing: Preprocessing
) -> npt.NDArray[np.float32]:
    """Return network input `(N, 3, H, W)` from N aligned pictures `(H, W, 3)`, RGB."""
    order = ["RGB".index(channel) for channel in preprocessing.channels]
    pixels = np.stack(pictures)[..., order].astype(np.float32)
    mean = np.array(preprocessing.mean, np.float32)
    scaled = (pixels - mean) / np.array(preprocessing.scale, np.float32)
    return np.ascontiguousarray(scaled.transpose(0, 3, 1, 2))


def _inputs(pictures: Picture, embedder: Embedder) -> npt.NDArray[np.float32]:
    """Inputs of a whole batch: a compiled network takes one size only, so the last image repeats.

    Here `pictures` are up to a batch.
    """
    inputs = preprocess(list(pictures), embedder.preprocessing)
    missing = embedder.batch - len(inputs)
    return np.concatenate([inputs, np.repeat(inputs[-1:], missing, axis=0)]) if missing else inputs


def _embed(inputs: npt.NDArray[np.float32], embed: Embed, mirrored: bool) -> Embeddings:
    both = [inputs, np.ascontiguousarray(inputs[..., ::-1])] if mirrored else [inputs]
    return np.stack([_call(embed, images) for images in both])


def _call(embed: Embed, inputs: npt.NDArray[np.float32]) -> Embeddings:
    # A runtime may hand out the same buffer at each call.
    embeddings = np.array(embed(inputs), np.float32)
    if embeddings.ndim != 2 or len(embeddings) != len(inputs):
        raise BadInputError(
            f"the network gives an output of shape {embeddings.shape} for {len(inputs)} images, "
            f"not ({len(inputs)}, E): export it for this batch size, or use a batch of 1"
        )
    return embeddings


def _joined(embeddings: Embeddings, flip: str) -> Embeddings:
    if flip == "none":
        return np.asarray(embeddings[0])
    plain, mirrored = embeddings
    if flip == "concatenation":
        return np.concatenate([plain, mirrored], axis=1)
    total: Embeddings = plain + mirrored
    return total


def _check(embeddings: Embeddings, keys: Sequence[str]) -> None:
    bad = ~np.isfinite(embeddings).all(axis=(0, 2))
    zero = ~embeddings.any(axis=2).all(axis=0)
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
