"""Scores networks on faces, and compares the scores pair by pair."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path

from facebench.harness.comparison.pair_agreement import PairAgreement, agreements
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


@dataclass(frozen=True)
class VerificationOutcome:
    """It holds the scores of networks.

    Attributes:
        records: of all cases, failed ones too.
        summaries: of records that hold the scores of pairs, by the case's key.
        agreements: of every two records, where they were to be compared.
    """

    records: Sequence[Record]
    summaries: Mapping[str, Summary] = field(default_factory=dict)
    agreements: Sequence[PairAgreement] = ()

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
    _require(request)
    wanted = list(_jobs(request, listener))
    records = run(wanted, Store(request.store) if request.store else None)
    scored = VerificationOutcome(records).scored
    return VerificationOutcome(
        records,
        {
            record.case.key: summarise(record.result.scores, request.fars)
            for record in scored
            if isinstance(record.result, Accuracy) and record.result.scores is not None
        },
        agreements(scored) if request.compare and len(scored) > 1 else (),
    )


def _require(request: VerificationRequest) -> None:
    opened = DATASETS[request.dataset].open(data_root(request.data))
    if request.landmarks == "file":
        if request.absent == "refuse":
            require_whole(opened)
        require_order(opened)
    for device, name, how in product(request.devices, request.runtimes, request.precisions):
        if name != FASTEST:
            require_precision(name, how.name, device, timed=False)


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
