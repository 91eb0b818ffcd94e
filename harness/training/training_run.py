"""Trains networks, all under the same conditions: each from several seeds, on one training set."""

from __future__ import annotations

import math
import statistics
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import product
from pathlib import Path

from scipy.special import stdtrit

from facebench.architectures.errors import BadInputError, FacebenchError
from facebench.harness.machine.environment import cores
from facebench.harness.models.networks import (
    GRAPH_PREFIXES,
    Network,
    resolve,
)
from facebench.harness.stats.procedures import procedure
from facebench.harness.storage import writing
from facebench.harness.storage.progress import ProgressStep
from facebench.harness.training.data.faces import FILE, load
from facebench.harness.training.data.memory import SHARE, held
from facebench.harness.training.data.training_faces import TrainingFaces
from facebench.harness.training.deadline import TimeIsUpError, in_minutes
from facebench.harness.training.distillation import Distillation, distill
from facebench.harness.training.evaluation import evaluation_on
from facebench.harness.training.log import NOBODY, TrainingListener
from facebench.harness.training.ranks import ALONE, Ranks
from facebench.harness.training.recipe import NO_LOSS, Recipe
from facebench.harness.training.recipe import load as load_recipe
from facebench.harness.training.teachers import Teacher, TeacherRequest, look_up
from facebench.harness.training.train import (
    Task,
    Trained,
    folder_of,
    train,
)

# Processes that decode images for one GPU are no more than this.
_MOST_WORKERS = 16
_GOES_ON = "the same command goes on from there"


@dataclass(frozen=True)
class TrainingRequest:
    """Networks that are to be trained.

    Attributes:
        networks: by name.
        data: the training set: people's folders, a tar of them, a `.rec` or a `.tsv`.
        out: folder of the weights; a run in it that was interrupted goes on.
        without: list of whom to leave out or merge.
        landmarks: where the faces are, as in `faces.load`.
        recipe: a TOML file, or the name of a built-in recipe.
        epochs: instead of the recipe's.
        teachers: whom they learn from; none where the recipe has no use for one.
        seeds: each network is trained from seeds 0 to this, less one.
        evaluate: data set of pairs to score on.
        every: epochs between scores on the way.
        minutes: between checkpoints.
        workers: processes that decode images, where the device does not hold all of them; None
            for as many as serve best.
        compiled: whether torch compiles all from pixels to embeddings.
        fp16: whether weights are saved, and scored, in half precision.
        stop_after: minutes after which it stops, to go on another time; None for never.
    """

    networks: tuple[str, ...]
    data: Path
    out: Path
    without: Path | None = None
    landmarks: str = FILE
    recipe: str = "paper"
    epochs: float | None = None
    teachers: tuple[TeacherRequest, ...] = ()
    seeds: int = 1
    evaluate: str | None = None
    every: int = 1
    minutes: float = 5.0
    workers: int | None = None
    compiled: bool = False
    fp16: bool = False
    stop_after: float | None = None


@dataclass(frozen=True)
class TrainingOutcome:
    """It is what became of a request.

    Attributes:
        trained: weights that are done, seed by seed.
        failures: why others are not, in sentences.
    """

    trained: tuple[Trained, ...]
    failures: tuple[str, ...] = ()

    def means(self) -> list[SeedMean]:
        """Average the scores of networks that were trained from several seeds."""
        scores: dict[tuple[str, str], list[float]] = {}
        for one in self.trained:
            for dataset, score in one.facts["scores"].items():
                key = one.facts["run"]["network"], dataset
                scores.setdefault(key, []).append(score["accuracy"])
        return [
            SeedMean(network, dataset, *seed_mean(values), len(values))
            for (network, dataset), values in scores.items()
            if len(values) > 1
        ]


@dataclass(frozen=True)
class SeedMean:
    """It is a network's mean accuracy on a data set over the seeds it was trained from.

    Attributes:
        network: its name.
        dataset: that it was scored on.
        accuracy: the mean, 0 to 1.
        reach: half of Student's 95 % interval of the mean; faces are not chance in it.
        seeds: how many.
    """

    network: str
    dataset: str
    accuracy: float
    reach: float
    seeds: int

    @property
    def interval(self) -> tuple[float, float]:
        """Return the 95 % interval of the mean, which passes neither 0 nor 1."""
        return max(self.accuracy - self.reach, 0.0), min(self.accuracy + self.reach, 1.0)


@procedure("mean over seeds")
def seed_mean(values: Sequence[float]) -> tuple[float, float]:
    """Return the mean over two seeds or more, and half of its 95 % interval, Student's."""
    spread = statistics.stdev(values) / math.sqrt(len(values))
    return statistics.fmean(values), float(stdtrit(len(values) - 1, 0.975)) * spread


@dataclass(frozen=True)
class TrainingPlan:
    """What a request names, looked up; no data is read yet.

    Attributes:
        students: the networks.
        recipe: how they are trained.
        teachers: whom they learn from; none or several.
    """

    students: tuple[Network, ...]
    recipe: Recipe
    teachers: tuple[Teacher, ...]


def train_networks(
    request: TrainingRequest, ranks: Ranks = ALONE, listener: TrainingListener = NOBODY
) -> TrainingOutcome:
    """Train every network from every seed; one that fails does not hold up the others.

    Raises:
        UnknownNameError: a network, the recipe or the data set to score on is unknown.
        BadInputError: the request contradicts itself, or the training set is not as it should be.
    """
    deadline = in_minutes(request.stop_after)
    plan = check(request)
    evaluation = None
    if request.evaluate:
        evaluation = ranks.in_turn(partial(evaluation_on, request.evaluate, None))
    faces = _faces(request, plan.recipe, ranks, listener)
    distillation = _distillation(plan.teachers, faces, ranks, listener)
    workers = _workers(request.workers, ranks, faces)
    trained, failures = [], []
    for seed, student in product(range(request.seeds), plan.students):
        if deadline.over(ranks):
            listener.say(f"time is up before {student.name}, seed {seed}: {_GOES_ON}")
            break
        task = Task(
            student,
            plan.recipe,
            seed,
            faces,
            writing.folder(folder_of(request.out, student.name, seed), below=request.out),
            distillation,
            evaluation,
            request.every,
            request.minutes,
            workers,
            request.compiled,
            request.fp16,
            deadline,
        )
        try:
            trained.append(train(task, ranks, listener.of(f"{student.name} seed {seed}")))
        except TimeIsUpError as stop:
            listener.say(f"time is up: {stop}: {_GOES_ON}")
            break
        except FacebenchError as error:
            failures.append(str(error))
    return TrainingOutcome(tuple(trained), tuple(failures))


def check(request: TrainingRequest) -> TrainingPlan:
    """Look up what a request names, before any data is read.

    Raises:
        UnknownNameError: a network or the recipe is unknown.
        BadInputError: a network cannot be trained, the recipe is wrong, or it lacks a teacher
            or has no use for one.
    """
    recipe = load_recipe(request.recipe)
    if request.epochs is not None:
        recipe = replace(recipe, epochs=request.epochs, least_iterations=0, most_iterations=10**8)
    students = tuple(_student(name) for name in request.networks)
    return TrainingPlan(students, recipe, _teachers(request, recipe))


def _student(name: str) -> Network:
    if name.startswith(GRAPH_PREFIXES):
        raise BadInputError(
            f"{name} cannot be trained: BN is folded in such files; name a registered network or "
            "timm:BACKBONE, and this file as its --teacher"
        )
    return resolve(name)


def _teachers(request: TrainingRequest, recipe: Recipe) -> tuple[Teacher, ...]:
    if recipe.teacher_weight and not request.teachers:
        raise BadInputError(
            f"recipe {recipe.name} learns from a teacher: name one with --teacher onnx:FILE "
            "or NETWORK=FILE"
        )
    if request.teachers and not recipe.teacher_weight:
        raise BadInputError(
            f"recipe {recipe.name} has no use for a teacher: leave --teacher out, or use distill, "
            "or a recipe of your own with a teacher_weight"
        )
    teachers = tuple(look_up(one) for one in request.teachers)
    for name, count in Counter(one.network.name for one in teachers).items():
        if count > 1:
            raise BadInputError(f"--teacher names {name} more than once: name each one once")
    return teachers


def _faces(
    request: TrainingRequest, recipe: Recipe, ranks: Ranks, listener: TrainingListener
) -> TrainingFaces:
    """Return the training set, decoded in memory where it fits."""
    read = ProgressStep(listener, "reads")
    least = 1 if recipe.loss == NO_LOSS else 2
    faces = ranks.in_turn(
        lambda: load(request.data, request.without, request.landmarks, read, least)
    )
    for note in faces.notes:
        listener.say(note)
    listener.say(f"{len(faces):,} images of {len(faces.identities):,} people")
    return held(faces, SHARE / ranks.world, ProgressStep(listener, "decodes"))


def _distillation(
    teachers: tuple[Teacher, ...], faces: TrainingFaces, ranks: Ranks, listener: TrainingListener
) -> Distillation | None:
    if not teachers:
        return None
    told = ProgressStep(listener, "teacher")
    return ranks.in_turn(lambda: distill(teachers, faces, told))


def _workers(chosen: int | None, ranks: Ranks, faces: TrainingFaces) -> int:
    if chosen is not None:
        return chosen
    if ranks.device != "cpu":
        return max(1, min(_MOST_WORKERS, cores() // ranks.world))
    # What is decoded already costs a step next to nothing, and a second process a third of
    # the speed: torch's threads wait for the core that it takes.
    return 0 if faces.pixels is not None else 1
