"""Provides one network trained with one seed: begun or gone on with, kept, scored, and saved."""

from __future__ import annotations

import csv
import io
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from facebench.architectures.errors import BadInputError
from facebench.harness.models.networks import Network
from facebench.harness.storage import writing
from facebench.harness.training import checkpoint, loop, weights
from facebench.harness.training.arithmetic import arithmetic, named
from facebench.harness.training.card import CARD, card
from facebench.harness.training.data.training_faces import TrainingFaces
from facebench.harness.training.deadline import NEVER, Deadline, TimeIsUpError
from facebench.harness.training.distillation import Distillation
from facebench.harness.training.evaluation import Evaluation, figures
from facebench.harness.training.kernels.library import lacking
from facebench.harness.training.log import NOBODY, Log, LogRow, TrainingListener
from facebench.harness.training.loop import DivergedError, TrainingSpec
from facebench.harness.training.ranks import ALONE, Ranks
from facebench.harness.training.recipe import Recipe
from facebench.harness.training.state import TrainingState, begin
from facebench.harness.training.teachers import Teacher, identity

CHECKPOINT, WEIGHTS, LOG, SCORES = "checkpoint.pt", "weights.safetensors", "log.csv", "scores.csv"
LICENCE = (
    "Learned from photographs of people, and from the teachers named here, if any: their licences "
    "and the rights of the people shown go with these weights. Unless those allow more, for "
    "research on networks alone; not for identifying or watching anybody, nor for decisions on "
    "people."
)


@dataclass(frozen=True)
class Task:
    """A task says what is to be trained, on what, and how.

    Attributes:
        network: its name and architecture; its weights do not matter.
        recipe: how.
        seed: of weights, order and augmentation.
        faces: the training set.
        folder: for the checkpoint, the log and the weights.
        distillation: of its teachers; None without one.
        evaluation: what it is scored on; None for nothing.
        every: epochs between scores on the way.
        minutes: between checkpoints.
        workers: processes that decode images.
        compiled: whether torch compiles the network.
        fp16: whether the weights are saved, and scored, in half precision.
        deadline: when it stops, to go on another time.
    """

    network: Network
    recipe: Recipe
    seed: int
    faces: TrainingFaces
    folder: Path
    distillation: Distillation | None = None
    evaluation: Evaluation | None = None
    every: int = 1
    minutes: float = 5.0
    workers: int = 0
    compiled: bool = False
    fp16: bool = False
    deadline: Deadline = NEVER

    @property
    def identity(self) -> dict[str, Any]:
        """Return what a run that goes on must agree in."""
        return {
            "network": self.network.name,
            "recipe": self.recipe.facts(),
            "data": self.faces.digest,
            "seed": self.seed,
            "teacher": identity(self.teachers),
        }

    @property
    def teachers(self) -> tuple[Teacher, ...]:
        """Return whom it learns from."""
        return self.distillation.teachers if self.distillation else ()


@dataclass(frozen=True)
class Trained:
    """Weights that are done.

    Attributes:
        path: of the file.
        facts: what its metadata says.
    """

    path: Path
    facts: dict[str, Any]


def folder_of(out: Path, network: str, seed: int) -> Path:
    """Return where a run keeps its files."""
    return out / re.sub(r"[^\w.-]+", "_", network) / f"seed{seed}"


def train(task: Task, ranks: Ranks = ALONE, listener: TrainingListener = NOBODY) -> Trained:
    """Train from the last checkpoint, or from the beginning; what is done is not done again.

    Raises:
        BadInputError: the folder holds another run, or cannot be written; or an image or the
            recipe is not valid.
        DivergedError: the loss is no number any more.
        TimeIsUpError: the deadline came first; there is a checkpoint.
    """
    path = task.folder / WEIGHTS
    if path.exists():
        found = weights.facts(path)
        checkpoint.require_same(found["run"], task.identity, path)
        return Trained(path, _scored(task, path, found, ranks))
    state = _trained(task, ranks, listener)
    tensors = weights.state_of(state.student.network, task.fp16)
    facts = _facts(task, state)
    if ranks.first:
        weights.save(path, tensors, facts)
        _write_card(task, facts)
        (task.folder / CHECKPOINT).unlink(missing_ok=True)
    ranks.wait()
    return Trained(path, _scored(task, path, facts, ranks))


def _trained(task: Task, ranks: Ranks, listener: TrainingListener) -> TrainingState:
    architecture = task.network.architecture()
    for sentence in _slower(task, ranks):
        listener.say(sentence)
    size = architecture.embedding_size
    targets = task.distillation.targets(size) if task.distillation else None
    state = begin(
        architecture,
        task.recipe,
        task.seed,
        len(task.faces.identities),
        None if targets is None else targets.shape[2],
        ranks,
    )
    spec = TrainingSpec(
        task.faces,
        task.recipe,
        task.seed,
        architecture.input_size,
        targets,
        task.workers,
        task.compiled,
    )
    kept = checkpoint.load(task.folder / CHECKPOINT, task.identity, ranks.device)
    if kept is not None:
        state.restore(kept)
        listener.say(f"goes on at step {state.step:,} of {spec.steps:,}")
    try:
        loop.run(state, spec, _Keeper(task, spec, state, listener))
    except DivergedError as error:
        raise _where(error, task, ranks) from error
    return state


def _slower(task: Task, ranks: Ranks) -> Iterator[str]:
    """Say what keeps a training from being as fast as on other machines."""
    used = named(arithmetic(task.recipe.precision, ranks.device))
    if used != task.recipe.precision:
        yield (
            f"this CPU has no instructions for {task.recipe.precision} (AVX512_BF16): computed in "
            f"{used}"
        )
    why = lacking() if ranks.device == "cpu" else None
    if why:
        yield f"trained with torch's own layers, at half the speed or less: {why}"


class _Keeper:
    """Writes the log and checkpoints, and scores the network, as the loop goes."""

    def __init__(
        self, task: Task, spec: TrainingSpec, state: TrainingState, listener: TrainingListener
    ) -> None:
        self._task, self._spec, self._listener = task, spec, listener
        self._first = state.ranks.first
        self._log = Log(task.folder / LOG, state.step) if self._first else None
        self._kept = time.monotonic()

    def row(self, row: LogRow) -> None:
        """See `loop.TrainingWatcher`."""
        if self._log is not None:
            self._log.append(row)
            self._listener.row(row, self._spec.steps)

    def rest(self, state: TrainingState, epoch_done: bool) -> None:
        """See `loop.TrainingWatcher`."""
        # All processes must agree, since each has a share of the centres to give.
        stops = state.step < self._spec.steps and self._task.deadline.over(state.ranks)
        if stops or Deadline(self._kept + 60 * self._task.minutes).over(state.ranks):
            facts = state.facts()
            if self._first:
                checkpoint.save(self._task.folder / CHECKPOINT, self._task.identity, facts)
            self._kept = time.monotonic()
        if stops:
            raise TimeIsUpError(
                f"{self._task.network.name}, seed {self._task.seed}, stopped at step "
                f"{state.step:,} of {self._spec.steps:,}"
            )
        if epoch_done and state.step < self._spec.steps:
            self._evaluate(state)

    def _evaluate(self, state: TrainingState) -> None:
        epoch = state.step // self._spec.epoch_length
        evaluation = self._task.evaluation
        if evaluation is None or epoch % self._task.every:
            return
        if self._first:
            network = state.student.network
            accuracy = evaluation.score(network, self._task.network.architecture())
            score, error = accuracy.accuracy, accuracy.standard_error
            _append(self._task.folder / SCORES, (state.step, epoch, evaluation.name, score, error))
            told = f"{evaluation.name} {score:.2%} (standard error {error:.2%})"
            self._listener.say(f"epoch {epoch}: {told}")
        state.ranks.wait()


def _append(path: Path, cells: tuple[Any, ...]) -> None:
    text = io.StringIO()
    writer = csv.writer(text)
    if not path.exists():
        writer.writerow(("step", "epoch", "dataset", "accuracy", "standard_error"))
    writer.writerow(cells)
    with writing.shared(path) as file:
        writing.write_all(file, text.getvalue().encode())


def _facts(task: Task, state: TrainingState) -> dict[str, Any]:
    return {
        "run": task.identity,
        "images": len(task.faces),
        "people": len(task.faces.identities),
        "iterations": state.step,
        "processes": state.ranks.world,
        "device": state.ranks.device.partition(":")[0],
        "precision": named(arithmetic(task.recipe.precision, state.ranks.device)),
        "scores": {},
        "licence": LICENCE,
        "teacher_licences": [teacher.licence for teacher in task.teachers],
        "versions": {name: version(name) for name in ("facebench", "torch")},
    }


def _scored(task: Task, path: Path, facts: dict[str, Any], ranks: Ranks) -> dict[str, Any]:
    """Return the facts with the score of the evaluation, in the file too."""
    evaluation = task.evaluation
    if evaluation is None or evaluation.name in facts["scores"]:
        return facts
    if ranks.first:
        tensors = weights.load(path)
        # Scored is what was saved, rounding included.
        network = _filled(task, tensors).to(ranks.device)
        score = figures(evaluation.score(network, task.network.architecture()))
        facts = facts | {"scores": facts["scores"] | {evaluation.name: score}}
        weights.save(path, tensors, facts)
        _write_card(task, facts)
    ranks.wait()
    return facts if ranks.first else weights.facts(path)


def _write_card(task: Task, facts: dict[str, Any]) -> None:
    checkpoint.replace(task.folder / CARD, lambda file: file.write_text(card(facts)))


def _filled(task: Task, tensors: dict[str, Tensor]) -> nn.Module:
    network = task.network.architecture().build().eval()
    lacking, _ = network.load_state_dict(tensors, strict=False)
    if any(not name.endswith("num_batches_tracked") for name in lacking):
        raise BadInputError(f"{task.folder / WEIGHTS} lacks {lacking[0]}: remove it and train anew")
    return network


def _where(error: DivergedError, task: Task, ranks: Ranks) -> DivergedError:
    """Return the error with the network's name, and the batch's images in a file."""
    path = task.folder / "diverged.txt"
    if ranks.first:
        names = [task.faces.name(index) for index in error.indices]
        writing.write(path, "".join(f"{name}\n" for name in names))
    return DivergedError(
        f"{task.network.name}, seed {task.seed}: {error}; {path} names the batch's images, and "
        f"the last checkpoint is whole",
        error.indices,
    )
