"""What torchrun starts in a test: trains the tiny network, and the first process saves it."""

import sys
from pathlib import Path

import torch

from facebench.harness.training.data.faces import load
from facebench.harness.training.loop import DivergedError
from facebench.harness.training.ranks import joined
from tests.harness.training.small import STEADY, recipe, trained


def main() -> None:
    folder, out, loss, *changes = sys.argv[1:]
    torch.set_num_threads(1)
    how = recipe(loss=loss, **settings(loss) | {"learning_rate": float(*changes or [0.01])})
    try:
        with joined() as ranks:
            faces = load(Path(folder))
            state, rows = trained(faces, how, architecture=STEADY, ranks=ranks)
            facts = state.facts()
            if ranks.first:
                torch.save({"facts": facts, "losses": [row.loss for row in rows]}, out)
    except DivergedError as error:
        require_no_thread_of_the_group()
        sys.exit(f"diverged: {error}")
    require_no_thread_of_the_group()


def require_no_thread_of_the_group() -> None:
    """One that is left may abort the process when the interpreter ends, now and then."""
    names = [path.read_text().strip() for path in Path("/proc/self/task").glob("*/comm")]
    if left := [name for name in names if "gloo" in name or "tcpstore" in name]:
        sys.exit(f"threads outlive their process group: {left}")


def settings(loss: str) -> dict[str, object]:
    """A short run whose steps are small enough for rounding not to grow."""
    some = {"scale": 16.0, "margin": 0.2}
    bare = {"scale": None, "margin": None}
    marginal = loss in ("arcface", "am_softmax", "cosface")
    return {"batch": 16, "epochs": 2, "learning_rate": 0.01, **(some if marginal else bare)}


if __name__ == "__main__":
    main()
