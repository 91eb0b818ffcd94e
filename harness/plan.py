"""What to run: a plan expands to jobs.

A plan is a TOML file. Every key may be left out:

    networks = ["mobilefacenet", "timm:ghostnet_100:gap"]  # or "all"
    runtimes = "installed"       # or a list
    threads = [1]
    targets = "all"              # for TVM; or a list
    datasets = ["synthetic", "lfw"]
    verify_with = "ncnn"         # the runtime that accuracy is scored in, on all cores
    sampling_s = 1.0             # seconds of samples a case, at least 64 samples

    [weights]                    # a file, relative to the plan's folder
    mobilefacenet = "weights.pth"

    [weights_if_found]           # a file, relative to the data folder; else random weights
    mobilefacenet = "mobilefacenet.pth"
"""

from __future__ import annotations

import difflib
import os
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from architectures import registry
from architectures.errors import BadInputError, UnknownNameError
from harness import cache, export
from harness.case import Case
from harness.compiler.targets import TARGETS
from harness.job import Job
from harness.measures.registry import MEASURES
from harness.networks import Network, resolve
from harness.runtimes.registry import RUNTIMES, installed
from harness.timing.sampler import Budget
from harness.verification import preparation
from harness.verification.datasets.registry import data_root, find

BUILT_IN = Path(__file__).parent / "plans"


@dataclass(frozen=True)
class Plan:
    """What to run. Names are checked when the plan expands to jobs."""

    networks: Sequence[str] | str = "all"
    runtimes: Sequence[str] | str = "installed"
    threads: Sequence[int] = (1,)
    targets: Sequence[str] | str = "all"
    datasets: Sequence[str] = ("synthetic",)
    verify_with: str = "ncnn"
    sampling_s: float = 1.0
    weights: Mapping[str, str] = field(default_factory=dict)
    weights_if_found: Mapping[str, str] = field(default_factory=dict)


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
    try:
        data = tomllib.loads(path.read_text())
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise BadInputError(f"{path} is no plan that can be read: {error}") from error
    plan = _checked(data, path)
    files = {network: str(path.parent / file) for network, file in plan.weights.items()}
    return replace(plan, weights=files)


def jobs(plan: Plan, data: Path | None) -> list[Job]:
    """Expand a plan: every case, with what is needed to obtain it.

    A data set that is not found under `data` is left out.

    Raises:
        UnknownNameError: a network, runtime, target or data set is unknown.
        UnavailableError: a runtime that the plan names is not installed.
    """
    data = data_root(data)
    names = registry.names() if plan.networks == "all" else plan.networks
    networks = [_network(name, plan, data) for name in names]
    found = [name for name in plan.datasets if find(name).found(data)]
    budget = Budget(sampling_s=plan.sampling_s)
    expanded: list[Job] = []
    for network in networks:
        expanded += [Job(case, network, data=data, budget=budget) for case in _cases(network, plan)]
        expanded += [scoring_job(network, plan.verify_with, Scoring(name), data) for name in found]
    return [with_fingerprint(job) for job in expanded]


def with_fingerprint(job: Job) -> Job:
    """The job with the hash of all that its result depends on."""
    depends = MEASURES[job.case.measure].depends_on(job)
    return replace(job, fingerprint=cache.digest(job.case.key, export.key(job.network), depends))


def _network(name: str, plan: Plan, data: Path | None) -> Network:
    weights = plan.weights.get(name)
    if weights is None and data is not None and name in plan.weights_if_found:
        found = data / plan.weights_if_found[name]
        weights = str(found) if found.is_file() else None
    return resolve(name, weights)


def _cases(network: Network, plan: Plan) -> Iterator[Case]:
    base = Case("cost", network.name, network.weights)
    yield replace(base, measure="export")
    yield base
    for target in TARGETS.names() if plan.targets == "all" else plan.targets:
        TARGETS[target]
        yield replace(base, measure="compile", runtime="tvm", target=target)
    for runtime in installed() if plan.runtimes == "installed" else plan.runtimes:
        RUNTIMES[runtime].require()
        for threads in plan.threads:
            yield latency_case(network, runtime, threads)


def latency_case(network: Network, runtime: str, threads: int, batch: int = 1) -> Case:
    """The case of a network's latency on this machine."""
    return Case(
        "latency",
        network.name,
        network.weights,
        runtime=runtime,
        target="host" if runtime == "tvm" else "",
        threads=threads,
        batch=batch,
    )


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0))


def throughput_job(
    network: Network, runtime: str, precision: str, threads: int, batch: int, budget: Budget
) -> Job:
    """Images a second with so many single-threaded sessions on this machine."""
    case = replace(
        latency_case(network, runtime, threads, batch), measure="throughput", precision=precision
    )
    return Job(case, network, budget=budget)


@dataclass(frozen=True)
class Scoring:
    """How networks are scored on a dataset.

    Attributes:
        dataset: its name; of a family, with the path.
        flip: one of `embedding.FLIPS`.
        landmarks: `file`, `aligned`, or a detector, with the path of its weights after a colon.
        absent: one of `preparation.ABSENT`.
        calibration: the dataset that int8 is calibrated on.
    """

    dataset: str
    flip: str = "sum"
    landmarks: str = "file"
    absent: str = "refuse"
    calibration: str = "synthetic"


def scoring_job(
    network: Network,
    runtime: str,
    scoring: Scoring,
    data: Path | None = None,
    precision: str = "fp32",
    threads: int | None = None,
    batch: int = 1,
) -> Job:
    """The job of scoring a network on this machine, on all cores by default."""
    dataset = find(scoring.dataset)
    calibration = scoring.calibration if precision == "int8" else ""
    case = Case(
        dataset.measure,
        network.name,
        network.weights,
        precision=precision,
        runtime=runtime,
        target="host" if runtime == "tvm" else "",
        threads=threads or cores(),
        batch=batch,
        dataset=dataset.name,
        flip=scoring.flip,
        landmarks=preparation.identity(scoring.landmarks),
        absent=scoring.absent,
        calibration=calibration and find(calibration).name,
    )
    return Job(
        case,
        network,
        data=data,
        dataset=scoring.dataset,
        landmarks=scoring.landmarks,
        calibration=calibration,
    )


def _checked(data: dict[str, Any], path: Path) -> Plan:
    known = {f.name: f.default for f in fields(Plan)}
    for key, value in data.items():
        if key not in known:
            near = difflib.get_close_matches(key, known, n=1)
            hint = f"did you mean {near[0]}? " if near else ""
            raise BadInputError(f"{path}: unknown key {key!r}: {hint}(known: {', '.join(known)})")
        if not _VALID[key](value):
            raise BadInputError(f"{path}: {key} = {value!r} will not do: {_EXPECTED[key]}")
    return Plan(**data)


def _names(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


def _files(value: Any) -> bool:
    return isinstance(value, dict) and all(isinstance(item, str) for item in value.values())


_VALID = {
    "networks": lambda value: value == "all" or _names(value),
    "runtimes": lambda value: value == "installed" or _names(value),
    "threads": lambda value: (
        isinstance(value, list) and all(type(item) is int and 1 <= item <= 1024 for item in value)
    ),
    "targets": lambda value: value == "all" or _names(value),
    "datasets": _names,
    "verify_with": lambda value: isinstance(value, str),
    "sampling_s": lambda value: type(value) in (int, float) and 0 < value <= 3600,
    "weights": _files,
    "weights_if_found": _files,
}

_EXPECTED = {
    "networks": 'a list of names, or "all"',
    "runtimes": 'a list of names, or "installed"',
    "threads": "a list of whole numbers from 1 to 1024",
    "targets": 'a list of names, or "all"',
    "datasets": "a list of names",
    "verify_with": "the name of a runtime",
    "sampling_s": "seconds, above 0 and at most 3600",
    "weights": "a table of network = file",
    "weights_if_found": "a table of network = file",
}
