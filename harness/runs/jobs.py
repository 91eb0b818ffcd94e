"""Jobs of one case each, as plans and commands ask for them."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from facebench.architectures.errors import UnavailableError
from facebench.harness.compiler.targets import TARGETS
from facebench.harness.devices.registry import DEVICES
from facebench.harness.measures.fingerprint import fingerprint
from facebench.harness.measures.job import Job
from facebench.harness.measures.registry import MEASURES, Per
from facebench.harness.models.networks import Network
from facebench.harness.records.case import Case
from facebench.harness.timing.sampler import Budget
from facebench.harness.verification import preparation
from facebench.harness.verification.datasets.registry import DATASETS

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

# What a user who says nothing has measured: of one process alone nobody knows how much
# processes differ.
BUDGET = Budget(processes=3)

Sampled = TypeVar("Sampled", bound="DataclassInstance")


@dataclass(frozen=True)
class Sampling:
    """It says how much of a latency is sampled: fields of a `Budget`, None for the defaults."""

    sampling_s: float | None = None
    processes: int | None = None
    known_to: float | None = None
    pin: bool | None = None

    def over(self, default: Sampled) -> Sampled:
        """Return a budget, or a plan, with what is said here in place of its own."""
        chosen = {name: value for name, value in asdict(self).items() if value is not None}
        return replace(default, **chosen)


DEFAULT_SAMPLING = Sampling()


@dataclass(frozen=True)
class Precision:
    """It says in how many bits a network computes.

    Attributes:
        name: one of `precision.PRECISIONS`.
        calibration: the dataset that int8's ranges come from; of a family, with the path.
    """

    name: str = "fp32"
    calibration: str = "synthetic"

    @property
    def faces(self) -> str:
        """Return the dataset that this precision needs; empty where it needs none."""
        return self.calibration if self.name == "int8" else ""

    def given(self, network: Network) -> Precision:
        """Return this precision; of a network that is given in another than fp32, its own."""
        if self.name in ("fp32", network.precision) and network.precision != "fp32":
            return Precision(network.precision, "")
        return self

    def of(self, case: Case) -> Case:
        """Return the case in this precision."""
        faces = self.faces and DATASETS[self.faces].name
        return replace(case, precision=self.name, calibration=faces)


FP32 = Precision()


def latency_job(
    network: Network,
    runtime: str,
    threads: int,
    batch: int = 1,
    how: Precision = FP32,
    budget: Budget | None = None,
    device: str = "local",
    target: str = "",
) -> Job:
    """Return the job of a network's latency.

    Args:
        budget: how much is sampled; by default in one process.
        device: where; by default this machine.
        target: what TVM compiles for; where empty, what the device says it is.

    Raises:
        UnavailableError: the device cannot be reached, or does not say what it is.
    """
    how = how.given(network)
    case = Case(
        "latency",
        network.name,
        network.weights,
        runtime=runtime,
        target=_target(runtime, device, target),
        device=device,
        threads=threads,
        batch=batch,
    )
    return Job(how.of(case), network, calibration=how.faces, budget=budget or Budget())


def device_jobs(timed: Job) -> list[Job]:
    """Return what a case of latency is on its device.

    An emulator's time says nothing: there, instructions are counted, and cycles modelled.
    """
    if DEVICES[timed.case.device].kind != "emulated":
        return [timed]
    emulated = [measure.name for measure in MEASURES if measure.per is Per.CORE]
    return [replace(timed, case=replace(timed.case, measure=name)) for name in emulated]


def instructions_job(network: Network, runtime: str, device: str, target: str = "") -> Job:
    """Return the job of counting what one inference of one image executes, in one thread."""
    job = latency_job(network, runtime, 1, device=device, target=target)
    return replace(job, case=replace(job.case, measure="instructions"))


def _target(runtime: str, device: str, chosen: str = "") -> str:
    """Return what TVM compiles for; empty for a runtime that picks its kernels itself."""
    if chosen:
        TARGETS[chosen]  # a name that is none is one whatever the runtime
    if runtime != "tvm":
        return ""
    target = chosen or DEVICES[device].facts().target
    if not target:
        raise UnavailableError(
            f"{device} does not say what CPU it has: name it with --target, one of "
            f"{', '.join(TARGETS.names())}"
        )
    return TARGETS[target].name


def throughput_job(
    network: Network, runtime: str, threads: int, batch: int, how: Precision, budget: Budget
) -> Job:
    """Return images a second with so many single-threaded sessions on this machine."""
    job = latency_job(network, runtime, threads, batch, how, budget)
    return replace(job, case=replace(job.case, measure="throughput"))


@dataclass(frozen=True)
class Scoring:
    """It says how networks are scored on a dataset.

    Attributes:
        dataset: its name; of a family, with the path.
        flip: one of `embedding.FLIPS`.
        landmarks: `file`, `aligned`, or a detector, with the path of its weights after a colon.
        absent: one of `preparation.ABSENT`.
    """

    dataset: str
    flip: str = "sum"
    landmarks: str = "file"
    absent: str = "refuse"


def scoring_job(
    network: Network,
    runtime: str,
    scoring: Scoring,
    data: Path | None = None,
    how: Precision = FP32,
    threads: int | None = None,
    batch: int = 1,
    device: str = "local",
) -> Job:
    """Return the job of scoring a network, on all cores of the device by default."""
    dataset = DATASETS[scoring.dataset]
    how = how.given(network)
    case = Case(
        dataset.measure,
        network.name,
        network.weights,
        runtime=runtime,
        target=_target(runtime, device),
        device=device,
        threads=threads or DEVICES[device].facts().cores,
        batch=batch,
        dataset=dataset.name,
        flip=scoring.flip,
        landmarks=preparation.identity(scoring.landmarks),
        absent=scoring.absent,
    )
    return Job(
        how.of(case),
        network,
        data=data,
        dataset=scoring.dataset,
        landmarks=scoring.landmarks,
        calibration=how.faces,
    )


def with_fingerprint(job: Job) -> Job:
    """Return the job with the hash of all that its result depends on."""
    return replace(job, fingerprint=fingerprint(job))
