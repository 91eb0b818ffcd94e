"""Commands on networks that are named: cost, export, compile, latency."""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from facebench.architectures.errors import FacebenchError
from facebench.harness.cli import case_options, options
from facebench.harness.cli.commands.running import raise_failures, run_jobs
from facebench.harness.cli.output import console, start, terminal
from facebench.harness.comparison import limits
from facebench.harness.compiler.targets import TARGETS, Target
from facebench.harness.compiler.tvm import import_tvm
from facebench.harness.measures.job import Job
from facebench.harness.models import known_networks
from facebench.harness.models.networks import Network
from facebench.harness.records.case import Case
from facebench.harness.records.cost import Cost
from facebench.harness.records.record import Record
from facebench.harness.runs.execute import perform
from facebench.harness.runs.jobs import Precision
from facebench.harness.runs.model_files import (
    LibraryRequest,
    ModelFile,
    require_apart,
    write_libraries,
    write_onnx,
)
from facebench.harness.runs.requests import LatencyRequest


def _limits(context: click.Context, parameter: click.Parameter, text: str) -> dict[str, int]:
    return limits.limits(text)


def _hold(counted: Sequence[Record], most: Mapping[str, int]) -> None:
    """Leave with exit code 1 where a network is above a limit."""
    above = {
        record.case.network: limits.exceeded(record.result, most)
        for record in counted
        if isinstance(record.result, Cost)
    }
    for network, found in above.items():
        for one in found:
            terminal.say(f"{network} is too large: {one}")
    if any(above.values()):
        sys.exit(1)


@click.command()
@case_options.networks
@click.option("--layers", is_flag=True, help="Print each layer too.")
@click.option(
    "--at-most",
    default="",
    metavar="FIGURE=N[,..]",
    callback=_limits,
    help="Exit code 1 where a network has more parameters, madds or bytes, such as madds=220M.",
)
@options.as_json
def cost(
    networks: Sequence[Network], layers: bool, at_most: Mapping[str, int], as_json: bool
) -> None:
    """Count parameters, MAdds, activations and bytes.

    MAdds are counted under named conventions; the paper's is conv+linear.

    \b
    facebench cost mobilefacenet mobilenet_v2
    facebench cost timm:ghostnet_100:gap --layers
    facebench cost mobilefacenet --json     one network: an object; several: a list
    facebench cost my.onnx --at-most madds=220M,parameters=1M
    """
    records = [perform(Job(Case("cost", n.name, n.weights), n)) for n in networks]
    counted = [record for record in records if record.result is not None]
    if as_json:
        flat = [console.flat(record) for record in records]
        terminal.as_json(flat[0] if len(flat) == 1 else flat)
    elif counted:
        terminal.out.print(console.costs(counted))
        for record in counted if layers else ():
            terminal.out.print(console.layers(record))
    raise_failures(records)
    _hold(counted, at_most)


@click.command()
@case_options.networks
@click.option(
    "-o", "--out", type=click.Path(path_type=Path, file_okay=False), default=Path(),
    help="Folder to write NETWORK.onnx to. Default: this one.",
)  # fmt: skip
@options.as_json
def export(networks: Sequence[Network], out: Path, as_json: bool) -> None:
    """Export to ONNX, BN folded, checked against torch.

    \b
    facebench export mobilefacenet -o models
    facebench export mobilefacenet --weights mobilefacenet=trained.pth
    """

    require_apart(networks)
    _each(networks, lambda network: [write_onnx(network, out)], as_json)


def _targets(context: click.Context, parameter: click.Parameter, text: str) -> list[Target]:
    """Return targets, with TVM imported where networks are going to be, which loads torch.

    TVM's import ends in errors that it passes over. To tell where they are from, it reads the
    symbols of all libraries of the process; those of torch take as long as the rest.
    """
    found = [TARGETS[name] for name in options.comma_list(text)]
    if not known_networks.kept():
        import_tvm()
    return found


@click.command("compile")
@case_options.networks
@click.option(
    "--target", required=True, metavar="T[,T]", callback=_targets,
    help="See 'facebench list targets'.",
)  # fmt: skip
@case_options.precisions
@options.batch
@options.data
@click.option(
    "-o", "--out", type=click.Path(path_type=Path, file_okay=False), default=Path(),
    help="Folder to write NETWORK.TARGET.so to. Default: this one.",
)  # fmt: skip
@options.as_json
def compile_(
    networks: Sequence[Network], target: list[Target], out: Path, as_json: bool, **chosen: Any
) -> None:
    """Compile with TVM to a shared library.

    fp16 is for CPUs that compute in it (ARMv8.2-A), int8 for x86-64 with AVX2 and 64-bit ARM.

    \b
    facebench compile mobilefacenet --target cortex-a72,cortex-a76 -o libraries
    facebench compile mobilefacenet --target cortex-a76 --precision fp16,int8 --calibration lfw
    """
    request = LibraryRequest(target, **chosen)
    require_apart(networks)
    _each(networks, lambda network: write_libraries(network, request, out), as_json)


@click.command()
@case_options.networks
@click.option("--runtime", metavar="R[,R]", help="Default: all, that is all that are installed.")
@options.device
@options.target
@case_options.precisions
@options.threads
@options.batch
@options.data
@case_options.sampling
@options.as_json
def latency(
    networks: Sequence[Network],
    runtime: str | None,
    device: str,
    precisions: Sequence[Precision],
    as_json: bool,
    **chosen: Any,
) -> None:
    """Measure latency, each case in several processes of its own.

    Processes of the cases take turns, and more are started until the median is known
    well enough or there are twice as many; the record says which. The fastest runtime
    comes first, and a sentence says which others are not shown to be slower.

    On an emulated core, where time says nothing, count instructions and model
    cycles instead.

    \b
    facebench latency mobilefacenet --runtime all
    facebench latency mobilefacenet mobilenet_v2 --runtime ncnn,onnxruntime --threads 2
    facebench latency mobilefacenet --runtime onnxruntime --precision fp32,int8
    facebench latency mobilefacenet --runtime ncnn --processes 5 --known-to 1%
    facebench latency mobilefacenet --device ssh://pi@raspberrypi --runtime tvm,ncnn
    facebench latency mobilefacenet mobilenet_v2 --device emulated:cortex-a72 --runtime ncnn
    facebench latency onnx:my.onnx --mean 127.5 --scale 128 --channels RGB --json
    """
    request = LatencyRequest(
        networks,
        options.runtimes(runtime),
        options.comma_list(device),
        precisions=precisions,
        **chosen,
    )
    records = run_jobs(request.jobs())
    if as_json:
        terminal.as_json([console.flat(record) for record in records])
    else:
        console.timings(records)
        _say_what_to_ship(records)
        if (started := start.starts(records)) is not None:
            terminal.out.print(started)
    raise_failures(records)


def _say_what_to_ship(records: Sequence[Record]) -> None:
    if len({record.case.runtime for record in records}) > 1:
        from facebench.reports.evidence import Evidence  # loads pandas
        from facebench.reports.shipping import choices, sentence

        for choice in choices(Evidence(records)):
            terminal.out.print(sentence(choice), markup=False, soft_wrap=True)


def _each(
    networks: Sequence[Network],
    make: Callable[[Network], list[ModelFile]],
    as_json: bool,
) -> None:
    """Print the files of each network; what one fails at is said once the others are done."""
    files: list[ModelFile] = []
    reasons = []
    gc.freeze()  # what is loaded, torch with it, is no garbage, and not searched for it again
    for network in networks:
        try:
            files += make(network)
        except FacebenchError as error:
            reasons.append(f"{network.name}: {error}" if len(networks) > 1 else str(error))
    if as_json:
        terminal.as_json([file.flat() for file in files])
    else:
        for file in files:
            terminal.out.print(str(file.path), markup=False, soft_wrap=True)
    for file in files:
        if file.doubt:
            terminal.say(file.doubt)
    if reasons:
        raise FacebenchError("\nfacebench: ".join(reasons))
