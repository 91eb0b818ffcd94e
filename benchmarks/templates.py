"""IJB-C's size: 15.7 million pairs of 23 thousand templates, made of half a million images.

The lists are made in the published format and read from the disk. Images and network cost next to
nothing, so that what is told is what facebench itself takes: every image is one small picture,
and an embedding is noise around its person. `python benchmarks/templates.py [SHARE]` prints the
seconds of each part and the peak of the process's memory; a share of 0.1 makes a tenth of it all.
"""

from __future__ import annotations

import io
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from facebench.architectures.registry import Preprocessing
from facebench.harness.verification.datasets.ijb import open_templates
from facebench.harness.verification.embedding import Embedder, extract_blocks
from facebench.harness.verification.preparation import locate, settle
from facebench.harness.verification.template_rates import rates
from facebench.harness.verification.templates import compare, pool

# As B. Maze et al., ICB 2018, have them; and as insightface's lists of IJB-C.
PEOPLE, TEMPLATES, IMAGES, GENUINE, PAIRS = 3_531, 23_124, 469_375, 19_557, 15_658_489
WIDTH = 128


class OnePicture:
    """It gives the same picture under every name: `Files`."""

    def __init__(self) -> None:
        data = io.BytesIO()
        noise = np.random.default_rng(0).integers(0, 256, (112, 112, 3), np.uint8)
        Image.fromarray(noise).save(data, "JPEG")
        self._data = data.getvalue()

    def __contains__(self, name: object) -> bool:
        return True

    def read(self, name: str) -> bytes:
        return self._data

    def describe(self, name: str) -> str:
        return name


def write(folder: Path, share: float) -> None:
    """Write the three lists: a gallery template of each person, and probes."""
    rng = np.random.default_rng(1)
    people, templates = int(PEOPLE * share), int(TEMPLATES * share)
    images, genuine, pairs = (int(count * share) for count in (IMAGES, GENUINE, PAIRS))
    who = np.concatenate([np.arange(people), rng.integers(0, people, templates - people)])
    template = np.sort(
        np.append(np.arange(templates), rng.integers(0, templates, images - templates))
    )
    medium = rng.integers(0, images // 2, images)
    names = [f"{i + 1}.jpg" for i in range(images)]
    lists = folder / "meta"
    lists.mkdir(parents=True)
    media = pd.DataFrame({"name": names, "template": template + 1, "medium": medium})
    media.to_csv(lists / "ijbc_face_tid_mid.txt", sep=" ", header=False, index=False)
    points = np.array([38.3, 51.7, 73.5, 51.5, 56.0, 71.7, 41.5, 92.4, 70.7, 92.2])
    table = pd.DataFrame(points + rng.normal(0, 1, (images, 10)))
    table.insert(0, "name", names)
    table["score"] = rng.uniform(0.5, 1, images)
    table.to_csv(
        lists / "ijbc_name_5pts_score.txt", sep=" ", header=False, index=False, float_format="%.4f"
    )
    probe = rng.integers(people, templates, pairs)
    gallery = rng.integers(0, people, pairs)
    gallery[:genuine] = who[probe[:genuine]]
    label = (who[gallery] == who[probe]).astype(int)
    table = pd.DataFrame({"first": gallery + 1, "second": probe + 1, "same": label})
    table.to_csv(lists / "ijbc_template_pair_label.txt", sep=" ", header=False, index=False)


def embedder() -> Embedder:
    """Return a network that makes noise of nothing, as fast as memory."""
    rng = np.random.default_rng(2)

    def embed(images: np.ndarray) -> np.ndarray:
        return rng.standard_normal((len(images), WIDTH), np.float32)

    return Embedder((embed,) * 2, Preprocessing(), (112, 112), 64, "noise")


@contextmanager
def told(what: str) -> Iterator[None]:
    began, cpu = time.perf_counter(), time.process_time()
    yield
    status = Path("/proc/self/status").read_text()
    peak = int(status.split("VmHWM:")[1].split()[0]) / 1024
    seconds, cpu = time.perf_counter() - began, time.process_time() - cpu
    print(f"{what}: {seconds:.1f} s, {cpu:.1f} s of CPU; peak so far {peak:,.0f} MB", flush=True)


def main(folder: Path) -> None:
    """Score the set whose lists are in a folder."""
    with told("lists"):
        faces = replace(open_templates("ijbc", folder), files=OnePicture())
        faces = settle(locate(faces, "file"), "refuse").faces
    with told("digest"):
        print(faces.digest)
    with told(f"embeddings of {len(faces.images):,} images, and templates"):
        blocks = extract_blocks(faces, faces.images, embedder(), "sum")
        templates = pool((block.embeddings for block in blocks), faces)
    with told(f"scores of {len(faces.same):,} pairs"):
        scores = compare(templates, faces)
        # Noise has no genuine pairs that score high.
        scores += np.where(faces.same, np.float32(0.3), np.float32(0))
    with told("rates and intervals"):
        found = rates(scores, faces)
    for point, bound in zip(found.tar, found.bounds, strict=True):
        print(f"TAR at FAR {point.rate:g}: {point.true_rate:.2%}, {bound.interval} {bound.note}")
    print(*found.refused, sep="\n")


if __name__ == "__main__":
    if len(sys.argv) == 3:
        main(Path(sys.argv[2]))
    else:
        import subprocess

        share = sys.argv[1] if len(sys.argv) > 1 else "1"
        with tempfile.TemporaryDirectory() as made:
            write(Path(made), float(share))
            # In a process of its own, whose peak is not that of making the lists.
            subprocess.run([sys.executable, __file__, share, made], check=True)
