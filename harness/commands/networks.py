"""Commands on networks that are named: cost, export, compile, latency, verify."""

from __future__ import annotations

import re
import shutil
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from architectures.errors import FacebenchError
from harness import options, plan, runner, show
from harness.case import Case
from harness.compiler.build import compile_network
from harness.compiler.targets import TARGETS
from harness.export import export as export_network
from harness.job import Job
from harness.perform import perform
from harness.record import Record
from harness.runtimes.registry import RUNTIMES, installed
from harness.timing.sampler import Budget
from harness.verification.datasets.registry import DATASETS, data_root


@click.command()
@options.networks
@options.weights
@click.option("--layers", is_flag=True, help="Print each layer too.")
@options.as_json
def cost(networks: tuple[str, ...], layers: bool, as_json: bool, **chosen: Any) -> None:
    """Count parameters, MAdds, activations and bytes.

    MAdds are counted under named conventions; the paper's is conv+linear.

    \b
    facebench cost mobilefacenet mobilenet_v2
    facebench cost timm:ghostnet_100:gap --layers
    facebench cost mobilefacenet --json     one network: an object; several: a list
    """
    found = options.resolve_networks(networks, **chosen)
    records = [perform(Job(Case("cost", n.name, n.weights), n)) for n in found]
    _raise_failures(records)
    if as_json:
        flat = [show.flat(record) for record in records]
        show.as_json(flat[0] if len(flat) == 1 else flat)
        return
    show.out.print(show.costs(records))
    for record in records if layers else ():
        show.out.print(show.layers(record))


@click.command()
@options.networks
@options.weights
@click.option(
    "-o", "--out", type=click.Path(path_type=Path, file_okay=False), default=Path(),
    help="Folder to write NETWORK.onnx to. Default: this one.",
)  # fmt: skip
@options.as_json
def export(networks: tuple[str, ...], out: Path, as_json: bool, **chosen: Any) -> None:
    """Export to ONNX, BN folded, checked against torch.

    \b
    facebench export mobilefacenet -o models
    facebench export mobilefacenet --weights mobilefacenet=trained.pth
    """
    files = []
    for network in options.resolve_networks(networks, **chosen):
        exported = export_network(network)
        path = _copy(exported.onnx, out / f"{_file_name(network.name)}.onnx")
        facts = {"network": network.name, "path": str(path)}
        files.append(facts | {k: v for k, v in exported.facts().items() if k != "name"})
    _print_files(files, as_json)


@click.command("compile")
@options.networks
@options.weights
@click.option("--target", required=True, metavar="T[,T]", help="See 'facebench list targets'.")
@options.batch
@click.option(
    "-o", "--out", type=click.Path(path_type=Path, file_okay=False), default=Path(),
    help="Folder to write NETWORK.TARGET.so to. Default: this one.",
)  # fmt: skip
@options.as_json
def compile_(
    networks: tuple[str, ...], target: str, batch: int, out: Path, as_json: bool, **chosen: Any
) -> None:
    """Compile with TVM to a shared library.

    \b
    facebench compile mobilefacenet --target cortex-a72,cortex-a76 -o libraries
    """
    targets = [TARGETS[name] for name in options.comma_list(target)]
    files = []
    for network in options.resolve_networks(networks, **chosen):
        exported = export_network(network)
        for one in targets:
            library = compile_network(exported, one, batch)
            path = _copy(library.path, out / f"{_file_name(network.name)}.{one.name}.so")
            facts = {"network": network.name, "target": one.name, "path": str(path)}
            files.append(facts | asdict(library.compilation()) | {"label": library.label})
    _print_files(files, as_json)


@click.command()
@options.networks
@options.weights
@click.option("--runtime", metavar="R[,R]", help="Default: all that are installed.")
@options.threads
@options.batch
@click.option(
    "--seconds", type=click.FloatRange(0, 3600, min_open=True), default=1.0, show_default=True,
    help="Seconds of samples for each case; at least 64 samples are taken whatever it is.",
)  # fmt: skip
@options.as_json
def latency(
    networks: tuple[str, ...],
    runtime: str | None,
    threads: int,
    batch: int,
    seconds: float,
    as_json: bool,
    **chosen: Any,
) -> None:
    """Measure latency, each case in a process of its own.

    \b
    facebench latency mobilefacenet mobilenet_v2 --runtime ncnn,onnxruntime --threads 2
    facebench latency onnx:my.onnx --mean 127.5 --scale 128 --channels RGB --json
    """
    runtimes = options.comma_list(runtime) if runtime else installed()
    for name in runtimes:
        RUNTIMES[name].require()
    jobs = [
        Job(plan.latency_case(n, name, threads, batch), n, budget=Budget(sampling_s=seconds))
        for n in options.resolve_networks(networks, **chosen)
        for name in runtimes
    ]
    records = _run(jobs)
    if as_json:
        show.as_json([show.flat(record) for record in records])
    else:
        show.out.print(show.latencies(records))
    _raise_failures(records)


@click.command()
@options.networks
@options.weights
@click.option("--dataset", default="synthetic", show_default=True)
@click.option("--runtime", default="ncnn", show_default=True)
@click.option(
    "--flip", type=click.Choice(["none", "sum", "concatenation"]), default="sum", show_default=True,
    help="How the embeddings of an image and its mirror are joined.",
)  # fmt: skip
@click.option("--threads", type=click.IntRange(1, 1024), help="Default: all cores.")
@options.batch
@options.data
@options.as_json
def verify(
    networks: tuple[str, ...],
    dataset: str,
    runtime: str,
    flip: str,
    threads: int | None,
    batch: int,
    data: Path | None,
    as_json: bool,
    **chosen: Any,
) -> None:
    """Score verification accuracy by the 10-fold protocol.

    \b
    facebench verify mobilefacenet --dataset synthetic
    facebench verify mobilefacenet --weights mobilefacenet=trained.pth --dataset lfw --data DIR
    facebench verify onnx:my.onnx --mean 127.5 --scale 128 --channels RGB --dataset lfw
    """
    RUNTIMES[runtime].require()
    data = data_root(data)
    DATASETS[dataset].open(data)
    jobs = [
        Job(plan.accuracy_case(n, runtime, dataset, flip, threads, batch), n, data=data)
        for n in options.resolve_networks(networks, **chosen)
    ]
    records = _run(jobs)
    if as_json:
        show.as_json([show.flat(record) for record in records])
    else:
        show.lines(records)
    _raise_failures(records)


def _run(jobs: Sequence[Job]) -> list[Record]:
    with show.RunProgress(len(jobs)) as progress:
        return runner.run(jobs, listen=progress.listen)


def _raise_failures(records: Sequence[Record]) -> None:
    """What went wrong, as the error of the command, once the rest is printed."""
    show.warn([record for record in records if record.status == "ok"])
    reasons = [f"{r.case}: {r.status}: {r.reason}" for r in records if r.status != "ok"]
    if reasons:
        raise FacebenchError("\nfacebench: ".join(reasons))


def _copy(source: Path, target: Path) -> Path:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)
    return target


def _file_name(network: str) -> str:
    """The network's name with what a file name cannot hold replaced."""
    return re.sub(r"[^\w.-]+", "_", network)


def _print_files(files: Sequence[dict[str, Any]], as_json: bool) -> None:
    if as_json:
        show.as_json(files)
        return
    for facts in files:
        show.out.print(facts["path"], markup=False, soft_wrap=True)
