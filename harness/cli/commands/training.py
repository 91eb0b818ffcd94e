"""The command that trains networks: train."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

import click
from rich.markup import escape
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from facebench.architectures.errors import BadInputError, FacebenchError
from facebench.harness.cli import options
from facebench.harness.cli.output import console
from facebench.harness.models.networks import ONNX_PREFIX, Network, resolve

if TYPE_CHECKING:
    from facebench.harness.training.data.faces import TrainingFaces
    from facebench.harness.training.log import LogRow
    from facebench.harness.training.ranks import Ranks
    from facebench.harness.training.recipe import Recipe
    from facebench.harness.training.train import Distillation, Trained


# What the command on a machine of a cluster is not told.
_NOT_PASSED_ON = ("cluster", "as_json")


@click.command()
@options.networks
@click.option(
    "--data", required=True, type=click.Path(path_type=Path), metavar="PATH",
    help="Training faces: people's folders, a tar of them, an insightface .rec or a TSV.",
)  # fmt: skip
@click.option(
    "--without", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE",
    help="Whom to leave out or merge: a list that 'facebench data clean' wrote.",
)  # fmt: skip
@click.option(
    "--landmarks", default="file", show_default=True, metavar="SOURCE",
    help="As in 'verify': file (beside the images, or they are aligned), aligned, scrfd, mtcnn.",
)  # fmt: skip
@click.option(
    "--recipe", "recipe_name", default="paper", show_default=True, metavar="R",
    help="paper, small, distill, or a TOML file of yours.",
)  # fmt: skip
@click.option(
    "--teacher", metavar="T", help="A trained network to learn from: onnx:FILE or NETWORK=FILE."
)
@click.option("--teacher-channels", type=click.Choice(["RGB", "BGR"]), help="Of its input.")
@click.option("--teacher-mean", metavar="V[,V,V]", help="Of its input, in pixels of 0 to 255.")
@click.option("--teacher-scale", metavar="V[,V,V]", help="Of its input.")
@click.option(
    "--seeds", type=click.IntRange(1, 1000), default=1, show_default=True,
    help="Train each network so often, from seeds 0, 1, ...",
)  # fmt: skip
@click.option("--epochs", type=click.FloatRange(0, min_open=True), help="Instead of the recipe's.")
@click.option("--evaluate", metavar="DATASET", help="Score on it, such as lfw in FACEBENCH_DATA.")
@click.option(
    "--every", type=click.IntRange(1), default=1, show_default=True,
    help="Epochs between scores on the way.",
)  # fmt: skip
@click.option(
    "--checkpoint-minutes", "minutes", type=click.FloatRange(0), default=5, show_default=True,
    help="Between checkpoints.",
)  # fmt: skip
@click.option(
    "--workers", type=click.IntRange(0, 256),
    help="Processes that make batches. Default: on a GPU the cores; on a CPU none where all "
    "images fit the memory, else 1.",
)  # fmt: skip
@click.option(
    "--cluster", metavar="auto|ADDRESS",
    help="Share the networks among the machines of a Ray cluster, a GPU each where it has some; "
    "data and -o are on a disk that all of them see.",
)  # fmt: skip
@click.option("--compile", "compiled", is_flag=True, help="Let torch compile the network.")
@click.option("--fp16", is_flag=True, help="Save weights in half precision, and score these.")
@click.option(
    "-o", "--out", required=True, type=click.Path(path_type=Path, file_okay=False),
    help="Folder of the weights; a run in it that was interrupted goes on.",
)  # fmt: skip
@options.as_json
def train(
    networks: tuple[str, ...],
    data: Path,
    without: Path | None,
    landmarks: str,
    recipe_name: str,
    teacher: str | None,
    teacher_channels: str | None,
    teacher_mean: str | None,
    teacher_scale: str | None,
    seeds: int,
    epochs: float | None,
    evaluate: str | None,
    every: int,
    minutes: float,
    workers: int | None,
    cluster: str | None,
    compiled: bool,
    fp16: bool,
    out: Path,
    as_json: bool,
) -> None:
    """Train networks, all under the same conditions.

    Each leaves OUT/NETWORK/seedN/weights.safetensors, which every command takes
    with --weights, and a log. The same command goes on where it was. With torchrun
    several GPUs share the work.

    \b
    facebench train mobilefacenet mobilenet_v2 --data faces.tar --seeds 3 -o trained
    facebench train mobilefacenet --data faces.tar --recipe distill --teacher onnx:public.onnx \\
        --teacher-mean 123.675,116.28,103.53 --teacher-scale 58.395,57.12,57.375 \\
        --evaluate lfw -o trained
    facebench train mobilefacenet mobilenet_v2 --data faces.tar --cluster auto -o trained
    torchrun --nproc-per-node 8 -m facebench train mobilefacenet --data faces.rec -o trained
    """
    from facebench.harness.training.evaluation import evaluation_on
    from facebench.harness.training.ranks import joined
    from facebench.harness.training.recipe import load
    from facebench.harness.training.train import Task, folder_of
    from facebench.harness.training.train import train as run

    recipe = load(recipe_name)
    if epochs is not None:
        recipe = replace(recipe, epochs=epochs, least_iterations=0, most_iterations=10**8)
    students = [_student(name) for name in networks]
    preprocessing = options.preprocessing(teacher_channels, teacher_mean, teacher_scale)
    master = _teacher(teacher, recipe, preprocessing)
    done: list[Trained] = []
    failures: list[str] = []
    if cluster is not None:
        done, failures = _spread(cluster, [student.name for student in students])
        _print(done, as_json)
        _require_none(failures)
        return
    with joined() as ranks, _Progress(ranks.first) as progress:
        examined = ranks.in_turn(lambda: evaluation_on(evaluate, None)) if evaluate else None
        faces = _faces(data, without, landmarks, ranks, progress)
        lesson = _lesson(master, faces, ranks, progress)
        for seed in range(seeds):
            for student in students:
                task = Task(
                    student,
                    recipe,
                    seed,
                    faces,
                    folder_of(out, student.name, seed),
                    lesson,
                    examined,
                    every,
                    minutes,
                    _workers(workers, ranks, faces),
                    compiled,
                    fp16,
                )
                try:
                    done.append(run(task, ranks, progress.of(student.name, seed)))
                except FacebenchError as error:
                    failures.append(str(error))
        if ranks.first:
            _print(done, as_json)
    _require_none(failures)


def _spread(cluster: str, names: Sequence[str]) -> tuple[list[Trained], list[str]]:
    """Train each network by this same command, on a machine of a cluster."""
    from facebench.harness.runs.cluster.engine import Cluster
    from facebench.harness.training.cluster import train as spread
    from facebench.harness.training.train import Trained

    context = click.get_current_context()
    words: list[str] = []
    for option in context.command.params:
        value = context.params[option.name or ""]
        given = value is not None and value != option.get_default(context)
        if isinstance(option, click.Option) and given and option.name not in _NOT_PASSED_ON:
            words += [option.opts[-1]] if option.is_flag else [option.opts[-1], str(value)]
    found, failures = spread(
        Cluster(cluster), names, words, lambda line: console.err.print(line, markup=False)
    )
    return [Trained(Path(one.pop("path")), one) for one in found], failures


def _require_none(failures: Sequence[str]) -> None:
    if failures:
        raise FacebenchError("\nfacebench: ".join(failures))


def _student(name: str) -> Network:
    if name.startswith(ONNX_PREFIX):
        raise BadInputError(
            f"{name} cannot be trained: BN is folded in ONNX files; name a registered network or "
            "timm:BACKBONE, and this file as its --teacher"
        )
    return resolve(name)


def _teacher(text: str | None, recipe: Recipe, preprocessing: Any) -> Network | None:
    if text is None:
        if recipe.teacher_weight:
            raise BadInputError(
                f"recipe {recipe.name} learns from a teacher: name one with --teacher onnx:FILE "
                "or NETWORK=FILE"
            )
        return None
    if not recipe.teacher_weight:
        raise BadInputError(
            f"recipe {recipe.name} has no use for a teacher: leave --teacher out, or use distill, "
            "or a recipe of your own with a teacher_weight"
        )
    if text.endswith(".onnx") and not text.startswith(ONNX_PREFIX) and "=" not in text:
        text = ONNX_PREFIX + text
    if text.startswith(ONNX_PREFIX):
        return resolve(text, preprocessing=preprocessing)
    name, equals, file = text.partition("=")
    if not equals or not file:
        raise BadInputError(f"--teacher {text!r} will not do: write onnx:FILE or NETWORK=FILE")
    return resolve(name, file, preprocessing)


def _faces(
    data: Path, without: Path | None, landmarks: str, ranks: Ranks, progress: _Progress
) -> TrainingFaces:
    from facebench.harness.training.data.faces import load
    from facebench.harness.training.data.memory import SHARE, held

    def opened() -> TrainingFaces:
        return load(
            data, without, landmarks, lambda done, total: progress.part("reads", done, total)
        )

    faces = ranks.in_turn(opened)
    for note in faces.notes:
        progress.say(note)
    progress.say(f"{len(faces):,} images of {len(faces.identities):,} people")
    return held(faces, SHARE / ranks.world, partial(progress.part, "decodes"))


def _lesson(
    teacher: Network | None, faces: TrainingFaces, ranks: Ranks, progress: _Progress
) -> Distillation | None:
    from facebench.harness.training.teaching import teach
    from facebench.harness.training.train import Distillation

    if teacher is None:
        return None
    total = len(faces)
    targets = ranks.in_turn(
        lambda: teach(teacher, faces, lambda done: progress.part("teacher", done, total))
    )
    return Distillation(teacher, targets)


def _workers(chosen: int | None, ranks: Ranks, faces: TrainingFaces) -> int:
    if chosen is not None:
        return chosen
    from facebench.harness.machine.environment import cores

    if ranks.device != "cpu":
        return max(1, min(16, cores() // ranks.world))
    # What is decoded already costs a step next to nothing, and a second process a third of
    # the speed: torch's threads wait for the core that it takes.
    return 0 if faces.pixels is not None else 1


class _Progress:
    """A bar with the newest figures; a line now and then where standard error is no terminal."""

    _EVERY = 10  # rows of the log to a line

    def __init__(self, shown: bool) -> None:
        self._shown = shown
        self._rows = 0
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=30),
            TextColumn("{task.completed:,.0f}/{task.total:,.0f}"),
            TimeRemainingColumn(),
            TextColumn("{task.fields[figures]}"),
            console=console.err,
            disable=not (shown and console.err.is_terminal),
        )
        self._task = self._bar.add_task("", total=1, figures="")

    def __enter__(self) -> _Progress:
        self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._bar.stop()

    def say(self, sentence: str) -> None:
        """Print a line above the bar."""
        if self._shown:
            console.err.print(sentence, markup=False, highlight=False, soft_wrap=True)

    def part(self, what: str, done: int, total: int) -> None:
        """Show how far a preparation is."""
        self._bar.update(self._task, description=what, completed=done, total=total, figures="")

    def of(self, network: str, seed: int) -> Any:
        """A listener for one run."""
        from facebench.harness.training.train import Listener

        name = f"{network} seed {seed}"

        def row(row: LogRow, steps: int) -> None:
            figures = (
                f"loss {row.loss:.4f}  rate {row.learning_rate:.2g}  "
                f"{row.images_per_second:,.0f} images/s  waits {row.waiting_share:.1%}"
            )
            self._bar.update(
                self._task,
                description=escape(name),
                completed=row.step,
                total=steps,
                figures=figures,
            )
            self._rows += 1
            if not console.err.is_terminal and (self._rows % self._EVERY == 1 or row.step == steps):
                self.say(f"{name} [{row.step:,}/{steps:,}] {figures}")

        return Listener(row, lambda sentence: self.say(f"{name}: {sentence}"))


def _print(done: Sequence[Trained], as_json: bool) -> None:
    if as_json:
        console.as_json([{"path": str(one.path), **one.facts} for one in done])
        return
    for line in _lines(done):
        console.out.print(line, markup=False, highlight=False, soft_wrap=True)


def _lines(done: Sequence[Trained]) -> list[str]:
    """Each file with its scores; then each network's mean over seeds with its 95 % interval."""
    lines = []
    scores: dict[tuple[str, str], list[float]] = {}
    for one in done:
        told = []
        for dataset, figures in one.facts["scores"].items():
            scores.setdefault((one.facts["run"]["network"], dataset), []).append(
                figures["accuracy"]
            )
            told.append(f"{dataset} {figures['accuracy']:.2%} ± {figures['standard_error']:.2%}")
        lines.append(": ".join([str(one.path), ", ".join(told)]).removesuffix(": "))
    for (network, dataset), values in scores.items():
        if len(values) > 1:
            reach = _reach(values)
            lines.append(
                f"{network}: {dataset} {statistics.fmean(values):.2%} ± {reach:.2%} "
                f"(95 % interval over {len(values)} seeds)"
            )
    return lines


def _reach(values: Sequence[float]) -> float:
    """Half of Student's 95 % interval of the mean."""
    from scipy.special import stdtrit

    spread = statistics.stdev(values) / math.sqrt(len(values))
    return float(stdtrit(len(values) - 1, 0.975)) * spread
