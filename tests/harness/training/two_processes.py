"""What torchrun starts in a test: trains the tiny network, and the first process saves it."""

import sys
from pathlib import Path

import torch

from facebench.harness.training.data.faces import load
from facebench.harness.training.ranks import joined
from tests.harness.training.small import STEADY, recipe, trained


def main() -> None:
    folder, out, loss = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]
    torch.set_num_threads(1)
    how = recipe(loss=loss, **settings(loss))
    with joined() as ranks:
        faces = load(folder)
        state, rows = trained(faces, how, architecture=STEADY, ranks=ranks)
        facts = state.facts()
        if ranks.first:
            torch.save({"facts": facts, "losses": [row.loss for row in rows]}, out)


def settings(loss: str) -> dict[str, object]:
    """A short run whose steps are small enough for rounding not to grow."""
    some = {"scale": 16.0, "margin": 0.2}
    bare = {"scale": None, "margin": None}
    marginal = loss in ("arcface", "am_softmax", "cosface")
    return {"batch": 16, "epochs": 2, "learning_rate": 0.01, **(some if marginal else bare)}


if __name__ == "__main__":
    main()
