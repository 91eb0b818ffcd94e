"""The command that scores networks on faces: verify."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from itertools import product
from pathlib import Path
from typing import Any

import click

from facebench.architectures.errors import BadInputError
from facebench.harness.cli import options
from facebench.harness.cli.commands.running import raise_failures, run_jobs
from facebench.harness.cli.output import console, scores
from facebench.harness.comparison.pair_agreement import PairAgreement, agreements
from facebench.harness.machine import environment
from facebench.harness.measures.registry import in_short
from facebench.harness.models.networks import Network
from facebench.harness.records.accuracy import Accuracy
from facebench.harness.records.record import Record
from facebench.harness.records.store import Store
from facebench.harness.runs import jobs
from facebench.harness.runs.fastest import FASTEST, find_fastest
from facebench.harness.runtimes.registry import RUNTIMES
from facebench.harness.verification.datasets.registry import DATASETS, data_root
from facebench.harness.verification.embedding import FLIPS
from facebench.harness.verification.inspection import require_whole
from facebench.harness.verification.preparation import ABSENT
from facebench.harness.verification.summary import FARS, Summary, summarise


@click.command()
@options.networks
@options.weights
@click.option(
    "--dataset", default="synthetic", show_default=True,
    help="See 'facebench data list'; folder:DIR and list:FILE are your own.",
)  # fmt: skip
@click.option(
    "--runtime", default="ncnn", show_default=True, metavar="R[,R]",
    help=f"See 'facebench list runtimes'; {FASTEST} finds the fastest one and its batch.",
)  # fmt: skip
@options.precision
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
    "--far", metavar="F[,F]", help="False acceptance rates to give TAR at. "
    f"Default: {', '.join(f'{far:g}' for far in FARS)}, as far as the pairs support them.",
)  # fmt: skip
@options.device
@click.option("--compare", is_flag=True, help="Compare every two of the scores pair by pair.")
@click.option("--threads", type=click.IntRange(1, 1024), help="Default: all cores.")
@options.batch
@options.data
@click.option(
    "-o", "--out", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE",
    help="Results file to add the records to; what is in it already is not run again.",
)  # fmt: skip
@options.as_json
def verify(
    networks: tuple[str, ...],
    dataset: str,
    runtime: str,
    precision: str,
    flip: str,
    landmarks: str,
    absent: str,
    calibration: str,
    far: str | None,
    device: str,
    compare: bool,
    threads: int | None,
    batch: int,
    data: Path | None,
    out: Path | None,
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
    """
    fars = _rates(far) if far else FARS
    scoring = jobs.Scoring(dataset, flip, landmarks, absent)
    data = data_root(data)
    opened = DATASETS[dataset].open(data)
    if landmarks == "file" and absent == "refuse":
        require_whole(opened)
    resolved = options.resolve_networks(networks, **chosen)
    precisions = options.precisions(precision, calibration)
    _require(options.comma_list(runtime), precisions)
    wanted = [
        jobs.with_fingerprint(
            jobs.scoring_job(network, name, scoring, data, how, threads, size, place)
        )
        for place in options.comma_list(device)
        for network, how in product(resolved, precisions)
        for name, size in _runtimes(network, options.comma_list(runtime), how, threads, batch)
    ]
    records = run_jobs(wanted, Store(out) if out else None)
    good = [record for record in records if record.status == "ok"]
    summaries = {r.case.key: _summary(r.result, fars) for r in good}
    compared = agreements(good) if compare and len(good) > 1 else []
    if as_json:
        console.as_json(
            _json(records, summaries, compared)
            if compare
            else [_flat(record, summaries) for record in records]
        )
    else:
        scores.scores(good, summaries)
        scores.agreements(compared)
    raise_failures(records)


def _rates(text: str) -> tuple[float, ...]:
    try:
        return tuple(float(part) for part in options.comma_list(text))
    except ValueError:
        raise BadInputError(f"--far {text!r} will not do: give rates such as 1e-2,1e-3") from None


def _require(runtimes: Sequence[str], precisions: Sequence[jobs.Precision]) -> None:
    for name, how in product(runtimes, precisions):
        if name != FASTEST:
            RUNTIMES[name].require(how.name)


def _runtimes(
    network: Network, names: Sequence[str], how: jobs.Precision, threads: int | None, batch: int
) -> Iterator[tuple[str, int]]:
    """Runtimes and their batches, with the fastest found where it is asked for."""
    for name in names:
        if name == FASTEST:
            yield _fastest(network, how, threads)
        else:
            yield name, batch


def _fastest(network: Network, how: jobs.Precision, threads: int | None) -> tuple[str, int]:
    def listen(record: Record, stored: bool) -> None:
        if not stored:
            console.err.print(f"trying {record.case}: {in_short(record)}", markup=False)

    name, batch = find_fastest(network, how, threads or environment.cores(), listen)
    console.err.print(f"{network.name}: fastest in {name} with a batch of {batch}", markup=False)
    return name, batch


def _summary(result: Any, fars: Sequence[float]) -> Summary | None:
    if not isinstance(result, Accuracy) or result.scores is None:
        return None
    return summarise(result.scores, fars)


def _flat(record: Record, summaries: dict[str, Summary | None]) -> dict[str, Any]:
    summary = summaries.get(record.case.key)
    return console.flat(record) | ({"summary": asdict(summary)} if summary else {})


def _json(
    records: Sequence[Record],
    summaries: dict[str, Summary | None],
    compared: Sequence[PairAgreement],
) -> dict[str, Any]:
    return {
        "records": [_flat(record, summaries) for record in records],
        "comparisons": [
            {
                "first": asdict(one.first.case),
                "second": asdict(one.second.case),
                **asdict(one.paired),
                "difference": one.paired.difference,
                "adjusted_p": one.adjusted_p,
                "changed_decisions": one.changed,
                "largest_score_difference": one.score_difference,
                "embeddings": one.embeddings and asdict(one.embeddings),
                "verdict": one.verdict,
            }
            for one in compared
        ],
    }
