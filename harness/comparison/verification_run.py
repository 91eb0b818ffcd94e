"""Scores networks on faces, and compares the scores pair by pair."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import product
from pathlib import Path

from facebench.architectures.errors import BadInputError
from facebench.harness.comparison.embedded_pairs import (
    NormalizedScores,
    QualityCurve,
    normalizations,
    quality_curve,
)
from facebench.harness.comparison.pair_agreement import PairAgreement, agreements
from facebench.harness.comparison.threshold_transfer import Transfers, transfers
from facebench.harness.devices.registry import require_precision
from facebench.harness.machine.environment import cores
from facebench.harness.measures.job import Job
from facebench.harness.models.networks import Network
from facebench.harness.records.accuracy import Accuracy
from facebench.harness.records.record import Record
from facebench.harness.records.store import Store
from facebench.harness.runs import jobs, runner
from facebench.harness.runs.fastest import FASTEST, find_fastest
from facebench.harness.runs.jobs import FP32, Precision, Scoring
from facebench.harness.runs.rounds import NOBODY, RunListener
from facebench.harness.runs.runner import JobRunner
from facebench.harness.verification.datasets.registry import DATASETS, data_root
from facebench.harness.verification.inspection import require_order, require_whole
from facebench.harness.verification.summary import FARS, Summary, summarise


@dataclass(frozen=True)
class VerificationRequest:
    """It names networks that are to be scored.

    Attributes:
        networks: with their weights.
        dataset: that they are scored on; of a family, with the path.
        runtimes: by name; `fastest` is the one with the highest throughput here.
        precisions: each in which a network is scored.
        devices: where.
        flip: how the embeddings of an image and its mirror are joined, one of `embedding.FLIPS`.
        landmarks: `file`, `aligned`, or a detector, with the path of its weights after a colon.
        absent: what becomes of images without a face, one of `preparation.ABSENT`.
        threads: of a session; by default all cores of the device.
        batch: images in one inference; the fastest runtime has a batch of its own.
        data: folder of data sets.
        store: file of records; what is in it already is not run again.
        fars: false acceptance rates, 0 to 1, at which true ones are given.
        compare: whether every two of the scores are compared.
        threshold_from: a dataset that thresholds are set on, at each of `fars`, and then used
            on the other one; empty where none are.
        cohort: a dataset of strangers that scores are normalized by; empty where they are not.
        quality: of images, that error against reject is given by: `norm`, or a CSV file; empty
            where it is not.
    """

    networks: Sequence[Network]
    dataset: str
    runtimes: Sequence[str] = ("ncnn",)
    precisions: Sequence[Precision] = (FP32,)
    devices: Sequence[str] = ("local",)
    flip: str = "sum"
    landmarks: str = "file"
    absent: str = "refuse"
    threads: int | None = None
    batch: int = 1
    data: Path | None = None
    store: Path | None = None
    fars: Sequence[float] = FARS
    compare: bool = False
    threshold_from: str = ""
    cohort: str = ""
    quality: str = ""


@dataclass(frozen=True)
class VerificationOutcome:
    """It holds the scores of networks.

    Attributes:
        records: of all cases, failed ones too.
        summaries: of records that hold the scores of pairs, by the case's key.
        agreements: of every two records, where they were to be compared.
        transfers: thresholds of another dataset, where one was named.
        sources: the records that these were set on, and those of the cohort, failed ones too.
        normalized: scores by each method of normalization, where a cohort was named.
        curves: error against reject, where a quality was named.
    """

    records: Sequence[Record]
    summaries: Mapping[str, Summary] = field(default_factory=dict)
    agreements: Sequence[PairAgreement] = ()
    transfers: Transfers = field(default_factory=Transfers)
    sources: Sequence[Record] = ()
    normalized: Sequence[NormalizedScores] = ()
    curves: Sequence[QualityCurve] = ()

    @property
    def scored(self) -> list[Record]:
        """Return the records of cases that did not fail."""
        return [record for record in self.records if record.status == "ok"]


def verify(
    request: VerificationRequest,
    run: JobRunner = runner.run,
    listener: RunListener = NOBODY,
) -> VerificationOutcome:
    """Score networks: verification of pairs, or identification of probes.

    Args:
        request: what is to be scored.
        run: obtains the records.
        listener: told what is tried where the fastest runtime is looked for, and which it is.

    Raises:
        UnknownNameError: a data set, runtime or device is unknown.
        BadInputError: the data set is not found or not whole.
        UnavailableError: a runtime is not installed, or a device cannot be reached.
        RefusedError: a runtime does not run a precision; or the scores are to be compared and
            are not of the same pairs.
    """
    require(request)
    wanted = list(_jobs(request, listener))
    others = [name for name in (request.threshold_from, request.cohort) if name]
    every = [*wanted, *(_on(job, name) for name in others for job in wanted)]
    found = list(run(every, Store(request.store) if request.store else None))
    records, *beside = (found[i : i + len(wanted)] for i in range(0, len(found), len(wanted)))
    by_name = dict(zip(others, beside, strict=True))
    scored = VerificationOutcome(records).scored
    return VerificationOutcome(
        records,
        {
            record.case.key: summarise(record.result.scores, request.fars)
            for record in scored
            if isinstance(record.result, Accuracy) and record.result.scores is not None
        },
        agreements(scored) if request.compare and len(scored) > 1 else (),
        transfers(_two(by_name, request.threshold_from, records), request.fars),
        [record for one in beside for record in one],
        _normalized(request, wanted, _two(by_name, request.cohort, records)),
        _curves(request, wanted, records),
    )


def _two(
    by_name: Mapping[str, Sequence[Record]], name: str, records: Sequence[Record]
) -> list[tuple[Record, Record]]:
    """Return each record with that of the same network on another dataset, that one first."""
    return list(zip(by_name[name], records, strict=True)) if name else []


def _normalized(
    request: VerificationRequest, jobs_of: Sequence[Job], records: Sequence[tuple[Record, Record]]
) -> list[NormalizedScores]:
    if not request.cohort:
        return []
    strangers = DATASETS[request.cohort].open(data_root(request.data))
    return [
        one
        for job, (cohort, record) in zip(jobs_of, records, strict=True)
        if cohort.status == record.status == "ok"
        for one in normalizations(record, job, cohort, strangers, request.fars)
    ]


def _curves(
    request: VerificationRequest, jobs_of: Sequence[Job], records: Sequence[Record]
) -> list[QualityCurve]:
    """Return error against reject at the smallest FAR that the pairs support."""
    if not request.quality:
        return []
    return [
        quality_curve(record, job, request.quality, request.fars)
        for job, record in zip(jobs_of, records, strict=True)
        if record.status == "ok"
    ]


def require(request: VerificationRequest) -> None:
    """Refuse what can't be scored, before anything is; see `verify` for what is raised."""
    _require_whole(request, request.dataset)
    for name, what in (
        (request.threshold_from, "a threshold"),
        (request.cohort, "a cohort"),
    ):
        if name:
            _require_pairs(request.dataset, name, what)
            _require_whole(request, name)
    if request.quality and DATASETS[request.dataset].measure != "accuracy":
        raise BadInputError(
            f"error against reject is of pairs, and {request.dataset} has none to decide: name a "
            "dataset that is scored by accuracy"
        )
    for device, name, how in product(request.devices, request.runtimes, request.precisions):
        if name != FASTEST:
            require_precision(name, how.name, device, timed=False)


def _require_whole(request: VerificationRequest, dataset: str) -> None:
    opened = DATASETS[dataset].open(data_root(request.data))
    if request.landmarks == "file":
        if request.absent == "refuse":
            require_whole(opened)
        require_order(opened)


def _require_pairs(dataset: str, other: str, what: str) -> None:
    """See that there are two datasets, each of pairs."""
    for name in (dataset, other):
        if DATASETS[name].measure != "accuracy":
            raise BadInputError(
                f"{what} is used on pairs, and {name} has none to decide: name datasets that are "
                "scored by accuracy"
            )
    if dataset == other:
        raise BadInputError(
            f"{what} of {dataset} says nothing new of {dataset}: name another dataset for it"
        )


def _on(job: Job, dataset: str) -> Job:
    """Return the job of the same network in the same runtime on another dataset."""
    case = replace(job.case, dataset=DATASETS[dataset].name)
    return jobs.with_fingerprint(replace(job, case=case, dataset=dataset, fingerprint=""))


def _jobs(request: VerificationRequest, listener: RunListener) -> Iterator[Job]:
    data = data_root(request.data)
    scoring = Scoring(request.dataset, request.flip, request.landmarks, request.absent)
    for device, network, how, asked in product(
        request.devices, request.networks, request.precisions, request.runtimes
    ):
        name, batch = asked, request.batch
        if asked == FASTEST:
            best = find_fastest(network, how, request.threads or cores(), listener)
            name, batch = best.case.runtime, best.case.batch
            # One that no runtime runs fails in its own case, and leaves the others theirs.
            found = f"fastest in {name} with a batch of {batch}"
            listener.say(
                f"{network.name}: {found if best.status == 'ok' else 'no runtime runs it'}"
            )
        yield jobs.with_fingerprint(
            jobs.scoring_job(network, name, scoring, data, how, request.threads, batch, device)
        )
