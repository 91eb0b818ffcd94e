"""Defines plans, which say what to run and expand to jobs.

A plan is a TOML file. Every key may be left out:

    networks = ["mobilefacenet", "timm:ghostnet_100:gap"]  # or "paper", or "all" but large ones
    first = ["mobilefacenet"]    # whose report comes first, all else after it
    runtimes = "installed"       # or a list
    threads = [1]
    precisions = ["fp32"]        # and fp16, int8, where a runtime runs them
    calibration = "synthetic"    # the dataset that int8's ranges come from
    targets = "all"              # for TVM; or a list
    datasets = ["synthetic", "lfw"]
    verify_with = "ncnn"         # the runtime that accuracy is scored in, on all cores
    sampling_s = 1.0             # seconds of samples a case, at least 64 samples
    processes = 3                # that take them, and up to twice as many
    known_to = 0.02              # until the median's 95 % interval is this narrow, of it
    limit_s = 900                # a case that is silent for longer is stopped: it hangs
    pin = true                   # to as many cores as a case has threads
    devices = ["local"]          # where latency is measured
    batches = [1, 4, 16]         # where images a second are measured too, on this machine
    layers = true                # times of single layers too, in ONNX Runtime
    emulated = ["cortex-a72"]    # cores to count instructions for, where that is set up
    emulated_runtimes = ["ncnn", "tvm"]

    weights_otherwise = "random:0"  # or "shipped": of networks that [weights] does not name

    [weights]                    # a file, relative to the plan's folder, "shipped" or "random:1"
    mobilefacenet = "weights.pth"

    [sizes]                      # of images, of files that leave height and width free
    "onnx:my.onnx" = "112x112"

    [outputs]                    # of files with several, the one that holds the embedding
    "onnx:my.onnx" = "embedding"
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain, islice, product
from pathlib import Path
from typing import Annotated, Any, Literal

from msgspec import Meta

from facebench.architectures import registry
from facebench.architectures.errors import BadInputError, UnknownNameError
from facebench.harness.compiler.targets import TARGETS
from facebench.harness.devices.board.device import BoardDevice
from facebench.harness.devices.emulator import setup
from facebench.harness.devices.registry import DEVICES
from facebench.harness.machine.cores import CORES
from facebench.harness.measures.job import LIMIT_S, Job
from facebench.harness.measures.registry import MEASURES, Measure, Per
from facebench.harness.models.networks import (
    GRAPH_PREFIXES,
    RANDOM,
    SHIPPED,
    Network,
    image_size,
    is_random,
    resolve,
    shipped_or_random,
    told_apart,
)
from facebench.harness.models.precision import require_known
from facebench.harness.records.case import Case
from facebench.harness.runs import phases
from facebench.harness.runs.jobs import (
    BUDGET,
    Precision,
    Scoring,
    latency_job,
    scoring_job,
    throughput_job,
    with_fingerprint,
)
from facebench.harness.runtimes.registry import RUNTIMES, installed
from facebench.harness.storage.serialization import convert_settings, read_toml
from facebench.harness.timing.sampler import Budget
from facebench.harness.verification.datasets.registry import DATASETS, data_root

BUILT_IN = Path(__file__).parent / "plans"

# What nobody means: to expand more than this takes the memory and hours of a machine.
MOST_NETWORKS, MOST_CASES = 2_000, 50_000


_Names = Annotated[Sequence[str], Meta(description="a list of names")]
_Counts = Annotated[
    Sequence[Annotated[int, Meta(ge=1, le=1024)]],
    Meta(description="a list of whole numbers from 1 to 1024"),
]
_Seconds = Annotated[float, Meta(gt=0, le=3600, description="seconds, above 0 and at most 3600")]


@dataclass(frozen=True)
class Plan:
    """A plan says what to run. Names are checked when it expands to jobs."""

    networks: Annotated[
        Sequence[str] | Literal["paper", "all"],
        Meta(description='a list of names, "paper" or "all"'),
    ] = "paper"
    runtimes: Annotated[
        Sequence[str] | Literal["installed"], Meta(description='a list of names, or "installed"')
    ] = "installed"
    threads: _Counts = (1,)
    precisions: Annotated[
        Sequence[str], Meta(description="a list of names, of fp32, fp16 and int8")
    ] = ("fp32",)
    calibration: Annotated[str, Meta(description="the name of a dataset")] = "synthetic"
    targets: Annotated[
        Sequence[str] | Literal["all"], Meta(description='a list of names, or "all"')
    ] = "all"
    datasets: _Names = ("synthetic",)
    verify_with: Annotated[str, Meta(description="the name of a runtime")] = "ncnn"
    sampling_s: _Seconds = BUDGET.sampling_s
    processes: Annotated[int, Meta(ge=1, le=100)] = BUDGET.processes
    known_to: Annotated[
        float,
        Meta(ge=0.0001, le=1, description="a share of the median, from 0.0001 to 1"),
    ] = BUDGET.known_to
    limit_s: Annotated[float, Meta(ge=1, le=86400, description="seconds, from 1 to 86400")] = (
        LIMIT_S
    )
    pin: bool = BUDGET.pin
    devices: _Names = ("local",)
    batches: _Counts = ()
    layers: bool = False
    emulated: Annotated[Sequence[str], Meta(description="a list of cores")] = ()
    emulated_runtimes: _Names = ("ncnn", "tvm")
    first: _Names = ()
    weights_otherwise: Annotated[
        str, Meta(pattern=rf"^({RANDOM}|{SHIPPED})\Z", description=f"{RANDOM} or {SHIPPED}")
    ] = RANDOM
    weights: Annotated[Mapping[str, str], Meta(description="a table of network = file")] = field(
        default_factory=dict
    )
    sizes: Annotated[Mapping[str, str], Meta(description="a table of network = HEIGHTxWIDTH")] = (
        field(default_factory=dict)
    )
    outputs: Annotated[
        Mapping[str, str], Meta(description="a table of network = name of an output")
    ] = field(default_factory=dict)


def load(name: str) -> Plan:
    """Read a plan: a TOML file, or the name of a built-in one.

    Raises:
        UnknownNameError: there is neither.
        BadInputError: it is no TOML, or has a wrong key or value.
    """
    path = Path(name)
    built_in = {file.stem: file for file in sorted(BUILT_IN.glob("*.toml"))}
    if not path.is_file():
        if name not in built_in:
            raise UnknownNameError(
                f"no plan {name!r}: give a TOML file or one of {', '.join(built_in)}"
            )
        path = built_in[name]
    plan = Plan(**convert_settings(read_toml(path, "plan"), Plan, str(path)))
    files = {
        network: file if file == SHIPPED or is_random(file) else str(path.parent / file)
        for network, file in plan.weights.items()
    }
    return replace(plan, weights=files)


def connected(plan: Plan) -> tuple[str, ...]:
    """Return devices of a plan that are boards elsewhere: to know of them is to connect to them.

    Raises:
        UnknownNameError: a device is unknown.
        BadInputError: a device's name is wrong.
    """
    return tuple(one for one in plan.devices if isinstance(DEVICES[one], BoardDevice))


def without(plan: Plan, devices: Sequence[str]) -> Plan:
    """Return a plan without some of its devices."""
    return replace(plan, devices=tuple(one for one in plan.devices if one not in devices))


def jobs(plan: Plan, data: Path | None) -> list[Job]:
    """Expand a plan: every case, with what is needed to obtain it.

    A data set that is not found under `data` is left out.

    Raises:
        UnknownNameError: a network, runtime, target or data set is unknown.
        UnavailableError: a runtime that the plan names is not installed, or a device
            of it cannot be reached.
        BadInputError: it has more than `MOST_NETWORKS` networks or `MOST_CASES` cases.
    """
    data = data_root(data)
    devices = [*plan.devices, *(f"emulated:{core}" for core in _cores(plan))]
    names = network_names(plan)
    if len(names) > MOST_NETWORKS:
        raise BadInputError(
            f"the plan has {len(names):,} networks, and {MOST_NETWORKS:,} are the most: split it"
        )
    networks = told_apart(list(_networks(plan, names)))
    if absent := sorted({*plan.first} - {*names}):
        raise BadInputError(f"first = {absent[0]!r} is none of the plan's networks: add it to them")
    every = chain.from_iterable(_expanded(network, plan, data, devices) for network in networks)
    expanded = list(islice(every, MOST_CASES + 1))
    if len(expanded) > MOST_CASES:
        raise BadInputError(f"the plan has more than {MOST_CASES:,} cases: split it")
    settled = [
        replace(job, limit_s=plan.limit_s, phase=phases.phase(job, plan.first)) for job in expanded
    ]
    return [with_fingerprint(job) for job in settled]


def _expanded(
    network: Network, plan: Plan, data: Path | None, devices: Sequence[str]
) -> Iterator[Job]:
    yield from (Job(case, network, data=data) for case in _cases(network, plan))
    for device in devices:
        yield from _latencies(network, plan, data, device)
    yield from _throughputs(network, plan, data)
    yield from _scores(network, plan, data)


def network_names(plan: Plan) -> Sequence[str]:
    """Return names of the plan's networks, "all" and "paper" spelled out."""
    groups = {"all": registry.mobile_names, "paper": registry.paper_names}
    return groups[plan.networks]() if isinstance(plan.networks, str) else plan.networks


def _networks(plan: Plan, names: Sequence[str]) -> Iterator[Network]:
    """Yield networks with their weights; of a user's graph, with the size and output asked for."""
    for key in ("sizes", "outputs"):
        for name in getattr(plan, key):
            if name not in names or not name.startswith(GRAPH_PREFIXES):
                raise BadInputError(
                    f"[{key}] names {name!r}, which is no ONNX or TFLite file of the plan's"
                )
    for name in names:
        size = plan.sizes.get(name)
        yield resolve(
            name,
            plan.weights.get(name) or shipped_or_random(plan.weights_otherwise, name),
            size=None if size is None else image_size(size, f"[sizes] {name} ="),
            output=plan.outputs.get(name, ""),
        )


def _cases(network: Network, plan: Plan) -> Iterator[Case]:
    """Yield what needs no choice of a runtime."""
    # The export first: whatever has a runtime waits for it.
    for measure in sorted(_measures(Per.NETWORK, network, plan), key=lambda m: m.name != "export"):
        yield Case(measure.name, network.name, network.weights, runtime=measure.runtime)
    for target in TARGETS.names() if plan.targets == "all" else plan.targets:
        for measure in _measures(Per.TARGET, network, plan):
            yield Case(
                measure.name,
                network.name,
                network.weights,
                runtime=measure.runtime,
                target=TARGETS[target].name,
            )


def _measures(per: Per, network: Network, plan: Plan) -> list[Measure[Any]]:
    """Return those that a plan has cases of for a network; its key of a measure's name may say
    no.
    """
    return [
        measure
        for measure in MEASURES
        if measure.per is per and measure.suits(network) and getattr(plan, measure.name, True)
    ]


def _of_each(measures: Sequence[Measure[Any]], job: Job) -> list[Job]:
    """Return the job's case as one of each measure."""
    return [replace(job, case=replace(job.case, measure=measure.name)) for measure in measures]


def _cores(plan: Plan) -> Sequence[str]:
    """Return those of the plan, where an emulated device is set up."""
    for core in plan.emulated:
        CORES[core]
    return () if setup.ready() else plan.emulated


def _latencies(network: Network, plan: Plan, data: Path | None, device: str) -> Iterator[Job]:
    budget = _budget(plan)
    if device == "local" and network.name in plan.first:
        budget = phases.ahead(budget)
    emulated = DEVICES[device].kind == "emulated"
    runtimes = plan.emulated_runtimes if emulated else _runtimes(plan, device)
    measures = _measures(Per.CORE if emulated else Per.DEVICE, network, plan)
    for runtime in runtimes:
        RUNTIMES[runtime].require()
        precisions = _precisions(plan, runtime, device)
        for threads, how in product((1,) if emulated else plan.threads, precisions):
            timed = latency_job(network, runtime, threads, 1, how, budget, device)
            yield from _of_each(measures, replace(timed, data=data))


def _throughputs(network: Network, plan: Plan, data: Path | None) -> Iterator[Job]:
    """Every batch in as many sessions as there are threads; of a runtime that lacks batches too."""
    if "local" not in plan.devices:
        return
    measures = _measures(Per.BATCH, network, plan)
    for runtime in _runtimes(plan, "local") if plan.batches else ():
        RUNTIMES[runtime].require()
        for how, threads, batch in product(_precisions(plan, runtime), plan.threads, plan.batches):
            job = throughput_job(network, runtime, threads, batch, how, _budget(plan))
            yield from _of_each(measures, replace(job, data=data))


def _budget(plan: Plan) -> Budget:
    return Budget(
        sampling_s=plan.sampling_s,
        processes=plan.processes,
        known_to=plan.known_to,
        pin=plan.pin,
    )


def _runtimes(plan: Plan, device: str) -> Sequence[str]:
    if plan.runtimes != "installed":
        return plan.runtimes
    there = DEVICES[device].facts().runtimes
    return [runtime for runtime in installed() if runtime in there]


def _scores(network: Network, plan: Plan, data: Path | None) -> Iterator[Job]:
    found = [name for name in plan.datasets if DATASETS[name].found(data)]
    for name, how in product(found, _precisions(plan, plan.verify_with)):
        yield scoring_job(network, plan.verify_with, Scoring(name), data, how)


def _precisions(plan: Plan, runtime: str, device: str = "local") -> list[Precision]:
    """Return those of the plan that the runtime runs on a device."""
    for name in plan.precisions:
        require_known(name)
    able = RUNTIMES[runtime].precisions_on(DEVICES[device].facts().target)
    return [Precision(name, plan.calibration) for name in plan.precisions if name in able]
