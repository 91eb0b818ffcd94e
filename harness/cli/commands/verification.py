"""The command that scores networks on faces: verify."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from facebench.architectures.errors import BadInputError
from facebench.harness.cli import case_options, options
from facebench.harness.cli.commands.running import raise_failures, run_jobs
from facebench.harness.cli.output import scores, terminal
from facebench.harness.cli.output.embedded_scores import print_curves, print_normalized
from facebench.harness.cli.output.threshold_scores import print_transfers
from facebench.harness.comparison.verification_run import VerificationRequest
from facebench.harness.comparison.verification_run import verify as verify_networks
from facebench.harness.measures.registry import MEASURES, in_short
from facebench.harness.models.networks import Network
from facebench.harness.records.record import Record
from facebench.harness.runs.fastest import FASTEST
from facebench.harness.runs.jobs import Precision
from facebench.harness.runs.rounds import RunListener
from facebench.harness.verification.datasets.registry import DATASETS
from facebench.harness.verification.embedding import FLIPS
from facebench.harness.verification.preparation import ABSENT
from facebench.harness.verification.summary import FARS


def _rates(context: click.Context, parameter: click.Parameter, text: str | None) -> list[float]:
    if not text:
        return list(FARS)
    try:
        return [float(part) for part in options.comma_list(text)]
    except ValueError:
        raise BadInputError(f"--far {text!r} is not valid: give rates such as 1e-2,1e-3") from None


def _protocols(context: click.Context, parameter: click.Parameter, asked: bool) -> None:
    """Say what is reported of each dataset, and leave."""
    if not asked:
        return
    for measure in MEASURES:
        names = [dataset.name for dataset in DATASETS if dataset.measure == measure.name]
        if names:
            terminal.out.print(f"{', '.join(names)}: {measure.reports}.", markup=False)
    for dataset in DATASETS:
        if dataset.protocol:
            terminal.out.print(f"{dataset.name}: {dataset.protocol}", markup=False)
    context.exit()


@click.command()
@case_options.networks
@click.option(
    "--dataset", default="synthetic", show_default=True,
    help="See 'facebench data list'; folder:DIR and list:FILE are your own.",
)  # fmt: skip
@click.option(
    "--runtime", default="ncnn", show_default=True, metavar="R[,R]",
    help=f"See 'facebench list runtimes'; {FASTEST} finds the fastest one and its batch.",
)  # fmt: skip
@case_options.precisions
@click.option(
    "--flip", type=click.Choice(FLIPS), default="sum", show_default=True,
    help="How the embeddings of an image and its mirror are joined.",
)  # fmt: skip
@click.option(
    "--landmarks", default="file", show_default=True, metavar="SOURCE",
    help="file (beside the dataset), aligned (the images are crops already), or a detector: "
    "scrfd, mtcnn, with the path of its weights after a colon.",
)  # fmt: skip
@click.option(
    "--absent", type=click.Choice(ABSENT), default="refuse", show_default=True,
    help="What becomes of images in which no face is found: stop; exclude their pairs; reject "
    "these pairs (they score -1); or use the centre of the image.",
)  # fmt: skip
@click.option(
    "--far", "fars", metavar="F[,F]", callback=_rates,
    help="False acceptance rates to give TAR at. "
    f"Default: {', '.join(f'{far:g}' for far in FARS)}, as far as the pairs support them.",
)  # fmt: skip
@click.option(
    "--threshold-from", metavar="DATASET", default="",
    help="Set a threshold at each --far on this dataset, and tell FAR and FRR of the other one "
    "there, as of a product.",
)  # fmt: skip
@click.option(
    "--cohort", metavar="DATASET", default="",
    help="Normalize scores by those with the images of this dataset, of strangers: z, t and s.",
)  # fmt: skip
@click.option(
    "--quality", metavar="norm|FILE", default="",
    help="Give error against reject: FRR where the pairs of the worst images are left out, by the "
    "length of the embedding, or by a CSV file image,quality.",
)  # fmt: skip
@click.option(
    "--protocol", is_flag=True, is_eager=True, expose_value=False, callback=_protocols,
    help="Say what is reported of each dataset, and leave.",
)  # fmt: skip
@options.device
@click.option("--compare", is_flag=True, help="Compare every two of the scores pair by pair.")
@click.option("--threads", type=click.IntRange(1, 1024), help="Default: all cores.")
@options.batch
@options.data
@click.option(
    "-o", "--out", "store", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE",
    help="Results file to add the records to; what is in it already is not run again.",
)  # fmt: skip
@options.as_json
def verify(
    networks: Sequence[Network],
    dataset: str,
    runtime: str,
    precisions: Sequence[Precision],
    device: str,
    compare: bool,
    as_json: bool,
    **chosen: Any,
) -> None:
    """Score networks on faces: verification of pairs, or identification of probes.

    \b
    facebench verify mobilefacenet --dataset synthetic
    facebench verify mobilefacenet --weights mobilefacenet=trained.pth --dataset lfw --data DIR
    facebench verify onnx:a.onnx onnx:b.onnx --dataset agedb_30 --compare
    facebench verify onnx:a.onnx --dataset lfw --runtime torch,ncnn,tvm --compare
    facebench verify onnx:a.onnx --dataset lfw --runtime onnxruntime --precision fp32,int8 --compare
    facebench verify onnx:a.onnx --dataset folder:my/faces --landmarks scrfd --absent exclude
    facebench verify onnx:a.onnx --dataset folder:my/faces --threshold-from lfw --far 1e-3
    """
    request = VerificationRequest(
        networks,
        dataset,
        options.comma_list(runtime),
        precisions,
        options.comma_list(device),
        compare=compare,
        **chosen,
    )
    found = verify_networks(request, run_jobs, _Trials())
    if as_json:
        several = compare or request.threshold_from or request.cohort or request.quality
        terminal.as_json(scores.comparison_json(found) if several else scores.json(found))
    else:
        scores.scores(found.scored, found.summaries)
        print_transfers(found.transfers)
        print_normalized(found.normalized)
        print_curves(found.curves)
        scores.agreements(found.agreements)
    raise_failures([*found.records, *found.sources])


class _Trials(RunListener):
    """Prints each runtime that is tried, and which one is the fastest."""

    def record(self, record: Record, stored: bool) -> None:
        if not stored:
            self.say(f"trying {record.case}: {in_short(record)}")

    def say(self, sentence: str) -> None:
        terminal.say(sentence)
