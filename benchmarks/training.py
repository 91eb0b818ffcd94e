"""Images a second of `facebench train` beside a bare torch loop, in turns.

    python benchmarks/training.py [--network mobilefacenet] [--rounds 5] [--threads 2]

All train the same network with ArcFace, SGD and one batch size. The bare loop, in single
precision, has its images as tensors in memory and does nothing but forward, backward and step;
ours, in single precision and in bfloat16 where the CPU has it, has decoded JPEG files into
memory before, makes batches from them, draws flips, and keeps its log.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import nn

from facebench.architectures import registry
from facebench.architectures.registry import Architecture
from facebench.harness.training import loop
from facebench.harness.training.arithmetic import arithmetic, named
from facebench.harness.training.data.faces import load as load_faces
from facebench.harness.training.data.memory import SHARE, held
from facebench.harness.training.data.training_faces import TrainingFaces
from facebench.harness.training.log import LogRow
from facebench.harness.training.loop import TrainingSpec
from facebench.harness.training.recipe import Recipe, load
from facebench.harness.training.state import TrainingState, begin

_PEOPLE, _IMAGES = 64, 20
_STEPS = 5


def write_faces(folder: Path) -> None:
    rng = np.random.default_rng(0)
    for person in range(_PEOPLE):
        (folder / f"{person:03}").mkdir(parents=True)
        for shot in range(_IMAGES):
            pixels = rng.integers(0, 256, (14, 14, 3), dtype=np.uint8).repeat(8, 0).repeat(8, 1)
            Image.fromarray(pixels).save(folder / f"{person:03}" / f"{shot}.jpg", quality=90)


@dataclass
class Rates:
    """A watcher that keeps what each row of the log says."""

    rows: list[LogRow] = field(default_factory=list)

    def row(self, row: LogRow) -> None:
        self.rows.append(row)

    def rest(self, state: TrainingState, epoch_done: bool) -> None:
        pass


def bare(network: nn.Module, loss: nn.Module, size: tuple[int, int], batch: int) -> float:
    """Images a second of a loop with nothing around it."""
    network.to(memory_format=torch.contiguous_format)
    images = torch.randn(batch, 3, *size)
    labels = torch.randint(0, _PEOPLE, (batch,))
    both = [*network.parameters(), *loss.parameters()]
    optimizer = torch.optim.SGD(both, lr=0.01, momentum=0.9, weight_decay=4e-5)
    network.train()
    start = time.perf_counter()
    for _ in range(_STEPS):
        optimizer.zero_grad(set_to_none=True)
        loss(network(images), labels).backward()
        optimizer.step()
    return _STEPS * batch / (time.perf_counter() - start)


def ours(architecture: Architecture, faces: TrainingFaces, recipe: Recipe) -> LogRow:
    """What the log says of the steps."""
    state, watcher = begin(architecture, recipe, 0, _PEOPLE), Rates()
    loop.run(state, TrainingSpec(faces, recipe, 0, architecture.input_size), watcher)
    (row,) = watcher.rows
    return row


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--network", default="mobilefacenet")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    asked = parser.parse_args()
    torch.set_num_threads(asked.threads)
    architecture = registry.find(asked.network)
    recipe = replace(
        load("small"), batch=asked.batch, epochs=1000, least_iterations=0, most_iterations=_STEPS
    )
    kinds = {
        named(arithmetic(one.precision, "cpu")): one
        for one in (replace(recipe, precision="fp32"), replace(recipe, precision="bf16"))
    }
    ratios: dict[str, list[float]] = {kind: [] for kind in kinds}
    waits = []
    with tempfile.TemporaryDirectory() as folder:
        write_faces(Path(folder))
        faces = held(load_faces(Path(folder)), SHARE)
        print(f"{asked.network}, batches of {asked.batch}, {asked.threads} threads, images/s")
        for number in range(asked.rounds + 1):
            state = begin(architecture, recipe, 0, _PEOPLE)
            assert state.classification is not None
            plain = bare(
                state.student.network, state.classification, architecture.input_size, asked.batch
            )
            rows = {kind: ours(architecture, faces, one) for kind, one in kinds.items()}
            if not number:  # the first round warms up
                continue
            for kind, row in rows.items():
                ratios[kind].append(row.images_per_second / plain)
                waits.append(row.waiting_share)
            told = "   ".join(f"{kind} {row.images_per_second:7.1f}" for kind, row in rows.items())
            print(f"bare {plain:7.1f}   ours: {told}")
    for kind, found in ratios.items():
        print(f"{kind}: median ratio {statistics.median(found):.2f}")
    print(f"{statistics.median(waits):.1%} of the time spent waiting for images")


if __name__ == "__main__":
    main()
