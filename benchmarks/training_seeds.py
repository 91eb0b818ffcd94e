"""Whether training with the kernels in bfloat16 ends where torch's own layers do, seed for seed.

    python benchmarks/training_seeds.py faces.tar others.tar --teacher public.onnx --seeds 3

Both ways distil the same network from the same teacher: ours as `facebench train` does it, and
torch's own layers in single precision. Each run is held to faces of people that it did not see:
the mean cosine with the teacher's embeddings, and the area under the ROC curve of all their pairs.
The state file keeps a line of each run, and a checkpoint beside it the run in hand, so that the
same command goes on where it was; at the end come both means, and Welch's 95 % interval of their
difference, in which seeds are chance and faces are not.
"""

from __future__ import annotations

import argparse
import json
import statistics
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import torch
from scipy import stats
from torch import Tensor
from torch.nn import functional as F

from facebench.architectures import registry
from facebench.architectures.registry import Preprocessing
from facebench.harness.training import checkpoint, loop
from facebench.harness.training.data.faces import load as load_faces
from facebench.harness.training.data.memory import SHARE, held
from facebench.harness.training.deadline import Deadline, TimeIsUpError, in_minutes
from facebench.harness.training.distillation import teacher_targets
from facebench.harness.training.log import LogRow
from facebench.harness.training.loop import TrainingSpec
from facebench.harness.training.recipe import Recipe, load
from facebench.harness.training.state import TrainingState, begin
from facebench.harness.training.teachers import TeacherRequest, look_up
from facebench.harness.verification.embedding import preprocess

WAYS = ("ours, bf16", "torch's own layers, fp32")
_FIGURES = ("cosine", "auc", "loss")
_BATCH = 64
# Steps of a row of the log, after each of which a run can be stopped: a few seconds, or a minute
# where others are at work.
_STEPS = 4


class Keeper:
    """A watcher that keeps the newest loss, and the state for the next command to go on from."""

    def __init__(self, path: Path, identity: dict[str, Any], deadline: Deadline) -> None:
        self.path, self.identity, self.deadline = path, identity, deadline
        self.loss = float("nan")

    def row(self, row: LogRow) -> None:
        self.loss = row.loss

    def rest(self, state: TrainingState, epoch_done: bool) -> None:
        checkpoint.save(self.path, self.identity, state.facts() | {"loss": self.loss})
        if self.deadline.over(state.ranks):
            raise TimeIsUpError

    def go_on(self, state: TrainingState) -> None:
        """Take up the run where it was stopped."""
        facts = checkpoint.load(self.path, self.identity)
        if facts is not None:
            self.loss = facts.pop("loss")
            state.restore(facts)


class Trial:
    """What all runs have in common: a network, its teacher, and faces."""

    def __init__(self, chosen: argparse.Namespace) -> None:
        # ImageNet's, as the public network's card has them.
        expects = Preprocessing("RGB", (123.675, 116.28, 103.53), (58.395, 57.12, 57.375))
        teacher = look_up(TeacherRequest(f"onnx:{chosen.teacher}", expects)).network
        self.architecture = registry.find(chosen.network)
        self.recipe = replace(load("distill"), batch=_BATCH, epochs=chosen.epochs)
        self.faces, self.others = (held(load_faces(p), SHARE) for p in (chosen.data, chosen.others))
        self.targets, self.truth = (teacher_targets(teacher, f) for f in (self.faces, self.others))

    def run(self, way: str, seed: int, keeper: Keeper) -> dict[str, float]:
        """Train once, and hold the network to the other faces."""
        own = way != WAYS[0]
        recipe = replace(self.recipe, precision="fp32" if own else "bf16")
        plain = mock.patch.object(loop, "faster_layers", _none) if own else nullcontext()
        with plain, mock.patch.object(loop, "WINDOW", _STEPS):
            network = self._trained(recipe, seed, keeper)
        made = self._embeddings(network)
        cosine = float((made * self.truth[:, 0]).sum(1).mean())
        auc = area(made.numpy(), np.asarray(self.others.labels))
        return {"cosine": cosine, "auc": auc, "loss": keeper.loss}

    def _trained(self, recipe: Recipe, seed: int, keeper: Keeper) -> torch.nn.Module:
        size = self.targets.shape[2]
        state = begin(self.architecture, recipe, seed, len(self.faces.identities), size)
        keeper.go_on(state)
        spec = TrainingSpec(self.faces, recipe, seed, self.architecture.input_size, self.targets)
        loop.run(state, spec, keeper)
        return state.student.network

    def _embeddings(self, network: torch.nn.Module) -> Tensor:
        """Return embeddings of the others, `(N, E)`, of length 1."""
        blocks = []
        with torch.inference_mode():
            for first in range(0, len(self.others), _BATCH):
                indices = range(first, min(first + _BATCH, len(self.others)))
                pictures = [self.others.image(index) for index in indices]
                inputs = preprocess(pictures, self.architecture.preprocessing)
                blocks.append(network.eval()(torch.from_numpy(inputs)))
        return F.normalize(torch.cat(blocks))


def _none(network: torch.nn.Module, half: bool) -> Any:
    return nullcontext()


def area(embeddings: np.ndarray[Any, Any], labels: np.ndarray[Any, Any]) -> float:
    """Return the area under the ROC curve of all pairs of embeddings (N, E) with labels (N,)."""
    first, second = np.triu_indices(len(labels), 1)
    scores, same = (embeddings @ embeddings.T)[first, second], labels[first] == labels[second]
    return float(stats.mannwhitneyu(scores[same], scores[~same]).statistic) / (
        same.sum() * (~same).sum()
    )


def known(state: Path) -> dict[tuple[str, int], dict[str, float]]:
    """Return the runs that a state file holds."""
    lines = state.read_text().splitlines() if state.exists() else []
    return {(row["way"], row["seed"]): row for row in map(json.loads, lines)}


def show(runs: dict[tuple[str, int], dict[str, float]]) -> None:
    """Print each figure's mean over seeds both ways, and their difference."""
    for figure in _FIGURES if runs else ():
        ours, own = ([row[figure] for (way, _), row in runs.items() if way == w] for w in WAYS)
        of_both = (f"{np.mean(one):.4f} ({len(one)} runs)" for one in (ours, own) if one)
        print(f"{figure}: {' and '.join(of_both)}", end="")
        if min(len(ours), len(own)) > 1:
            low, high = stats.ttest_ind(ours, own, equal_var=False).confidence_interval(0.95)
            difference = statistics.fmean(ours) - statistics.fmean(own)
            print(f", difference {difference:+.4f} ({low:+.4f} to {high:+.4f})", end="")
        print()


def train_all(chosen: argparse.Namespace) -> None:
    """Do each run that the state file does not hold, and write its line.

    Raises:
        TimeIsUpError: the run in hand is kept for the next command.
    """
    deadline = in_minutes(chosen.stop_after)
    trial = Trial(chosen)
    unfinished = chosen.state.with_suffix(".checkpoint")
    for seed in range(chosen.seeds):
        for way in WAYS:
            if (way, seed) in known(chosen.state):
                continue
            run = {"way": way, "seed": seed}
            identity = run | {"network": chosen.network, "epochs": chosen.epochs}
            row = run | trial.run(way, seed, Keeper(unfinished, identity, deadline))
            with chosen.state.open("a") as file:
                file.write(json.dumps(row) + "\n")
            unfinished.unlink()
            print(*row.values(), sep="  ", flush=True)


def main() -> None:
    """Read the command line, and do it."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("others", type=Path)
    parser.add_argument("--teacher", type=Path, required=True, help="an ONNX file")
    parser.add_argument("--network", default="mobilefacenet")
    parser.add_argument("--epochs", type=float, default=2)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--state", type=Path, default=Path("training_seeds.jsonl"))
    parser.add_argument("--stop-after", type=float, help="minutes, to go on another time")
    chosen = parser.parse_args()
    try:
        train_all(chosen)
    except TimeIsUpError:
        print("the same command goes on from here")
    show(known(chosen.state))


if __name__ == "__main__":
    main()
