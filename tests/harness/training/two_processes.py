"""What torchrun starts in a test: trains the tiny network, and the first process saves it."""

import sys
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from facebench.harness.training import loop
from facebench.harness.training.data.faces import load
from facebench.harness.training.ranks import joined
from facebench.harness.training.state import TrainingState
from tests.harness.training.small import STEADY, recipe, trained


def main() -> None:
    folder, out, loss, *fails_at = sys.argv[1:]
    torch.set_num_threads(1)
    how = recipe(loss=loss, **settings(loss))
    for step in fails_at:
        fail_at(int(step))
    try:
        with joined() as ranks:
            faces = load(Path(folder))
            state, rows = trained(faces, how, architecture=STEADY, ranks=ranks)
            facts = state.facts()
            if ranks.first:
                torch.save({"facts": facts, "losses": [row.loss for row in rows]}, out)
    except FailedError as error:
        require_no_thread_of_the_group()
        sys.exit(f"failed: {error}")
    require_no_thread_of_the_group()


class FailedError(Exception):
    """What a test makes go wrong."""


def fail_at(number: int) -> None:
    """Have every process fail right after so many steps, as where a loss is no number."""
    sound = loop.step

    def step(state: TrainingState, *rest: Any) -> Tensor:
        found = sound(state, *rest)
        if state.step == number:
            raise FailedError(f"at step {number}")
        return found

    loop.step = step


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
