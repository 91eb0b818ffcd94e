"""The command that makes files of weights smaller: compress."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import click

from facebench.architectures.errors import BadInputError
from facebench.harness.cli import case_options, options
from facebench.harness.cli.commands.running import raise_failures, run_jobs
from facebench.harness.cli.output import compression as output
from facebench.harness.cli.output import terminal
from facebench.harness.cli.output.progress import Bar
from facebench.harness.cli.output.training import TrainingProgress
from facebench.harness.comparison.compression import (
    Compression,
    CompressionRequest,
    Retrained,
    check,
    file_stem,
)
from facebench.harness.comparison.compression import compress as compress_weights
from facebench.harness.comparison.interleaved.turns import Turns
from facebench.harness.comparison.verdict import Comparison
from facebench.harness.comparison.verification_run import VerificationRequest
from facebench.harness.models.networks import Network
from facebench.harness.records.store import RECORDS
from facebench.harness.runtimes.registry import RUNTIMES, installed
from facebench.harness.storage import writing

_Number = TypeVar("_Number", int, float)
_BITS = 8


def _numbers(text: str, kind: Callable[[str], _Number], form: str) -> list[_Number]:
    try:
        found = [kind(part) for part in options.comma_list(text)]
    except ValueError:
        found = []
    if not found:
        raise BadInputError(f"{text!r} is not valid: give {form}, with commas")
    return list(dict.fromkeys(found))


def _sparsities(context: click.Context, parameter: click.Parameter, text: str) -> list[float]:
    found = _numbers(text, float, "shares from 0 to below 1")
    if not all(0 <= share < 1 for share in found):
        raise BadInputError(f"--sparsity {text!r} is not valid: give shares from 0 to below 1")
    return found


def _bits(context: click.Context, parameter: click.Parameter, text: str) -> list[int]:
    found = _numbers(text, int, f"whole numbers from 1 to {_BITS}")
    if not all(1 <= bits <= _BITS for bits in found):
        raise BadInputError(f"--bits {text!r} is not valid: give whole numbers from 1 to {_BITS}")
    return found


def _finite(context: click.Context, parameter: click.Parameter, epochs: float) -> float:
    if not math.isfinite(epochs):
        raise BadInputError(f"--epochs {epochs} is not valid: give a number above 0")
    return epochs


@click.command()
@case_options.networks
@click.option(
    "--sparsity", "sparsities", default="0.3", show_default=True, metavar="S[,S]",
    callback=_sparsities, help="Share of each layer's weights, the smallest, that become zero.",
)  # fmt: skip
@click.option(
    "--bits", default="6", show_default=True, metavar="B[,B]", callback=_bits,
    help="The other weights of a layer share 2^B values.",
)  # fmt: skip
@click.option(
    "--dataset", help="Score each file beside the weights as they were. See 'facebench data list'.",
)  # fmt: skip
@click.option(
    "--retrain", type=click.Path(path_type=Path), metavar="PATH",
    help="Train between the steps on these faces, as 'facebench train' takes them, so that the "
    "network gives the embeddings that it gave before.",
)  # fmt: skip
@click.option(
    "--epochs", type=click.FloatRange(0, min_open=True), default=2, show_default=True,
    callback=_finite, help="Of --retrain after pruning; after sharing half as many.",
)  # fmt: skip
@click.option("--runtime", default="ncnn", show_default=True, help="That scores them.")
@click.option(
    "--time", "timed_in", metavar="R[,R]|all",
    help="Time each file beside the weights as they were, in turns, in these runtimes.",
)  # fmt: skip
@click.option(
    "--rounds", type=click.IntRange(2, 100), default=Turns().processes, show_default=True,
    help="Of --time: processes of each file and runtime, which take turns.",
)  # fmt: skip
@options.data
@click.option(
    "-o", "--out", "folder", type=click.Path(path_type=Path, file_okay=False), required=True,
    metavar="DIR", help="A file for each sparsity and each number of bits; with "
    "--dataset records, and a picture of accuracy by size.",
)  # fmt: skip
@options.as_json
def compress(
    networks: Sequence[Network],
    sparsities: Sequence[float],
    bits: Sequence[int],
    dataset: str | None,
    retrain: Path | None,
    epochs: float,
    runtime: str,
    timed_in: str | None,
    rounds: int,
    data: Path | None,
    folder: Path,
    as_json: bool,
) -> None:
    """Make files of weights smaller by Deep Compression, and say what that costs in accuracy.

    Each layer's smallest weights become zero, the others share a few values, and both are coded by
    Huffman's method (arXiv 1510.00149), with --retrain trained between the steps. What is written
    is weights for every command: --weights NETWORK=FILE.

    \b
    facebench compress mobilefacenet --weights shipped -o small
    facebench compress mobilefacenet --weights shipped --sparsity 0,0.3,0.5 --bits 8,6,5 \\
        --dataset lfw --data DIR -o small
    facebench compress mobilefacenet --weights shipped --sparsity 0.6 --retrain faces.tar -o small
    """
    from facebench.harness.training.retraining import retrained

    runtimes = _runtimes(timed_in)
    found = []
    for network in networks:
        scored = None
        if dataset:
            store = folder / RECORDS
            scored = VerificationRequest([network], dataset, (runtime,), data=data, store=store)
        request = CompressionRequest(network, sparsities, bits, folder, scored)
        check(request)
        trained: Retrained = {}
        if retrain is not None:
            with TrainingProgress(shown=True) as progress:
                told = progress.of(network.name)
                trained = retrained(network, retrain, epochs, request.settings, told)
        found.append(compress_weights(request, run_jobs, trained))
    times = _times(found, runtimes, rounds)
    pictures = [picture for one in found for picture in _drawn(one, folder)]
    if as_json:
        terminal.as_json([output.json(*each) for each in zip(found, times, strict=True)])
    else:
        for one, comparisons in zip(found, times, strict=True):
            output.compression(one)
            output.times(comparisons)
        for path in pictures:
            terminal.out.print(str(path), markup=False, highlight=False, soft_wrap=True)
    raise_failures([record for one in found for record in one.records])


def _runtimes(timed_in: str | None) -> list[str]:
    """Return the runtimes that times are asked for in, each of which is installed."""
    if timed_in is None:
        return []
    found = installed() if timed_in == "all" else options.comma_list(timed_in)
    for name in found:
        RUNTIMES[name].require()
    return list(found)


def _drawn(found: Compression, folder: Path) -> Iterator[Path]:
    """Draw what was scored beside the files, and yield the picture."""
    if not any(one.agreement for one in found.files):
        return
    from facebench.reports.figures import compressed  # matplotlib is slow
    from facebench.reports.figures.style import image

    drawn = image(lambda theme: compressed.draw(found, theme))
    path = folder / f"{file_stem(found.network)}.svg"
    try:
        writing.write(path, drawn.svg)
    except OSError as error:
        raise BadInputError(
            f"cannot write {path}: {error.strerror}; make room, or name another folder"
        ) from error
    yield path


def _times(
    found: Sequence[Compression], runtimes: Sequence[str], rounds: int
) -> list[list[Comparison]]:
    """Return the comparisons of each network's files; none where none are asked for."""
    from facebench.harness.comparison.compressed_time import timed

    if not runtimes:
        return [[] for _ in found]
    with Bar() as progress:
        budget = replace(Turns(), processes=rounds)
        return [timed(one, runtimes, budget, progress) for one in found]
