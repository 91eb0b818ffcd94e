"""The command that trains networks: train."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from facebench.architectures.errors import FacebenchError
from facebench.harness.cli import case_options, options
from facebench.harness.cli.output import terminal, training
from facebench.harness.cli.output.training import TrainingProgress

# What the command on a machine of a cluster is not told.
_NOT_PASSED_ON = ("cluster", "as_json")


@click.command()
@click.argument("networks", nargs=-1, required=True, metavar="NETWORK...")
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
    "--recipe", default="paper", show_default=True, metavar="R",
    help="paper, small, distill, long, or a TOML file of yours.",
)  # fmt: skip
@case_options.teachers
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
    "--stop-after", type=click.FloatRange(0), metavar="MINUTES",
    help="Stop then, with a checkpoint; the same command goes on.",
)  # fmt: skip
@click.option(
    "--workers", type=click.IntRange(0, 256),
    help="Processes that decode images; none where all images fit the memory, on a GPU its own. "
    "Default: on a GPU the cores, on a CPU 1.",
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
def train(cluster: str | None, as_json: bool, **chosen: Any) -> None:
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
    from facebench.harness.training.cluster import train_on_cluster
    from facebench.harness.training.ranks import joined
    from facebench.harness.training.training_run import TrainingRequest, check, train_networks

    request = TrainingRequest(**chosen)
    if cluster is not None:
        names = [student.name for student in check(request).students]
        outcome = train_on_cluster(cluster, names, _words(), terminal.say)
        training.show(outcome, as_json)
    else:
        with joined() as ranks, TrainingProgress(ranks.first) as progress:
            outcome = train_networks(request, ranks, progress)
            if ranks.first:
                training.show(outcome, as_json)
    if outcome.failures:
        raise FacebenchError("\nfacebench: ".join(outcome.failures))


def _words() -> list[str]:
    """Return the options of this command line, for the command on a machine of a cluster."""
    context = click.get_current_context()
    words: list[str] = []
    for option in context.command.params:
        value = context.params[option.name or ""]
        given = value is not None and value != option.get_default(context)
        if isinstance(option, click.Option) and given and option.name not in _NOT_PASSED_ON:
            for one in value if option.multiple else (value,):
                words += [option.opts[-1]] if option.is_flag else [option.opts[-1], str(one)]
    return words
