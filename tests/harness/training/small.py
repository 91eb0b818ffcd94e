"""Small training sets and networks: people who are told apart by coloured patches."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import nn

from facebench.architectures import registry
from facebench.architectures.registry import Architecture
from facebench.harness.training import loop
from facebench.harness.training.data.faces import load
from facebench.harness.training.data.training_faces import TrainingFaces
from facebench.harness.training.loop import TrainingSpec
from facebench.harness.training.ranks import ALONE, Ranks
from facebench.harness.training.recipe import Recipe, checked
from facebench.harness.training.state import TrainingState, begin

SIZE = 112
EMBEDDING = 16


def person(number: int) -> np.ndarray:
    """What all images of one person share: 4x4 patches of colour."""
    return np.random.default_rng([7, number]).uniform(40, 215, (4, 4, 3))


def image(number: int, shot: int) -> np.ndarray:
    """An image of a person, under noise and a light of its own, `(112, 112, 3)`."""
    rng = np.random.default_rng([11, number, shot])
    patches = person(number) + rng.normal(0, 25, (4, 4, 3)) + rng.uniform(-30, 30)
    pixels = patches.repeat(SIZE // 4, 0).repeat(SIZE // 4, 1) + rng.normal(0, 12, (SIZE, SIZE, 3))
    return np.clip(pixels, 0, 255).astype(np.uint8)


def write_people(folder: Path, people: int = 12, images: int = 8) -> Path:
    for number in range(people):
        (folder / f"p{number:02d}").mkdir(parents=True)
        for shot in range(images):
            path = folder / f"p{number:02d}" / f"{shot}.png"
            Image.fromarray(image(number, shot)).save(path)
    return folder


def faces_in(folder: Path, people: int = 12, images: int = 8) -> TrainingFaces:
    return load(write_people(folder, people, images))


class Tiny(nn.Sequential):
    """A face network in little: convolution, BN, PReLU, GDConv, linear 1x1 convolution."""

    def __init__(self, dropout: float = 0.1) -> None:
        super().__init__(
            nn.Conv2d(3, 12, 8, stride=8, bias=False),
            nn.BatchNorm2d(12),
            nn.PReLU(12),
            nn.Conv2d(12, 12, 3, stride=2, padding=1, bias=False),
            nn.BatchNorm2d(12),
            nn.PReLU(12),
            nn.Conv2d(12, 12, 7, groups=12, bias=False),
            nn.BatchNorm2d(12),
            nn.Dropout(dropout),
            nn.Conv2d(12, EMBEDDING, 1, bias=False),
            nn.BatchNorm2d(EMBEDDING),
            nn.Flatten(),
        )


TINY = Architecture("tiny", Tiny, (SIZE, SIZE), EMBEDDING, "none")
# Each process draws what it drops by itself, so that two drop other things than one.
STEADY = Architecture("steady", lambda: Tiny(0.0), (SIZE, SIZE), EMBEDDING, "none")


@contextmanager
def registered(name: str, build: Callable[[], nn.Module], size: int) -> Iterator[str]:
    """Let commands know a network by a name, for as long as this is entered."""
    registry.names()  # what is registered by itself comes first
    registry.register(name, embedding_size=size, reference="a test")(build)
    try:
        yield name
    finally:
        registry.forget([name])


def recipe(**changes: object) -> Recipe:
    """A few dozen steps that learn."""
    base = {
        "scale": 16.0,
        "margin": 0.2,
        "batch": 32,
        "epochs": 12,
        "least_iterations": 0,
        "learning_rate": 0.05,
        "schedule": "cosine",
        "warmup": 0.1,
    }
    whole = {key: value for key, value in (base | changes).items() if value is not None}
    return checked(whole, "test", "test")


class Silent:
    """A watcher that keeps the rows."""

    def __init__(self) -> None:
        self.rows: list[loop.LogRow] = []

    def row(self, row: loop.LogRow) -> None:
        self.rows.append(row)

    def rest(self, state: TrainingState, epoch_done: bool) -> None:
        pass


def trained(
    faces: TrainingFaces,
    how: Recipe,
    targets: torch.Tensor | None = None,
    architecture: Architecture = TINY,
    ranks: Ranks = ALONE,
    compiled: bool = False,
) -> tuple[TrainingState, list[loop.LogRow]]:
    size = None if targets is None else targets.shape[2]
    state = begin(architecture, how, 0, len(faces.identities), size, ranks)
    watcher = Silent()
    spec = TrainingSpec(faces, how, 0, (SIZE, SIZE), targets, compiled=compiled)
    loop.run(state, spec, watcher)
    return state, watcher.rows


def separation(network: nn.Module, people: range = range(100, 130)) -> float:
    """Area under the ROC curve over pairs of people who were in no training set."""
    pixels = np.stack([image(number, shot) for number in people for shot in range(3)])
    inputs = (torch.from_numpy(pixels).permute(0, 3, 1, 2).float() - 127.5) / 128
    with torch.no_grad():
        embeddings = nn.functional.normalize(network.eval()(inputs))
    scores = (embeddings @ embeddings.T).numpy()
    owners = np.repeat(np.arange(len(people)), 3)
    same = owners[:, None] == owners
    upper = np.triu(np.ones_like(same), 1)
    genuine, impostor = scores[same & upper], scores[~same & upper]
    return float((genuine[:, None] > impostor).mean())
