"""Puts networks on trial beside a known one: cost, speed, and what a short training makes of both.

It is here and not beside `comparison.trial`, whose question it asks, because it may train.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path

from facebench.architectures.errors import FacebenchError
from facebench.harness.comparison import trial
from facebench.harness.comparison.interleaved.turns import Turns
from facebench.harness.comparison.trial import TrialQuestion
from facebench.harness.comparison.verdict import Comparison
from facebench.harness.devices.emulator import setup
from facebench.harness.machine.cores import CORES
from facebench.harness.measures.job import Job
from facebench.harness.measures.layers import LAYERS_IN
from facebench.harness.models.network_files import registered_in
from facebench.harness.models.networks import Network, resolve
from facebench.harness.records.record import Record
from facebench.harness.records.store import RECORDS, Store
from facebench.harness.runs import jobs, runner
from facebench.harness.runs.runner import JobRunner
from facebench.harness.runtimes.registry import RUNTIMES, installed
from facebench.harness.storage.progress import SILENT, Progress
from facebench.harness.training.log import NOBODY, TrainingListener
from facebench.harness.training.ranks import joined
from facebench.harness.training.teachers import TeacherRequest
from facebench.harness.training.train import WEIGHTS, folder_of
from facebench.harness.training.training_run import (
    TrainingOutcome,
    TrainingRequest,
    train_networks,
)
from facebench.harness.verification.datasets.registry import data_root


@dataclass(frozen=True)
class TrialRequest:
    """A file's networks that are to be put on trial.

    Attributes:
        file: Python that registers networks; it is run.
        out: folder for the records.
        against: the network that they are held against.
        runtimes: in which all are timed; None for all that are installed, torch aside.
        cores: emulated ones, for which instructions are counted and cycles modelled.
        rounds: processes of each network and runtime, which take turns.
        threads: of a session.
        faces: training faces; None where nothing is trained.
        teacher: as in `TeacherRequest`; by default the shipped `mobilefacenet`.
        epochs: of the training.
        dataset: that all are scored on after it.
        data: folder of data sets.
    """

    file: Path
    out: Path
    against: str = "mobilefacenet"
    runtimes: Sequence[str] | None = None
    cores: Sequence[str] = ("cortex-a72",)
    rounds: int = Turns().processes
    threads: int = 1
    faces: Path | None = None
    teacher: str | None = None
    epochs: float = 4
    dataset: str = "lfw"
    data: Path | None = None


@dataclass(frozen=True)
class TrialOutcome:
    """It is what a trial found.

    Attributes:
        question: what was on trial, and where.
        records: all of them, failed ones too.
        comparisons: each network held against the known one.
        training: what became of the training; None where there was none.
    """

    question: TrialQuestion
    records: Sequence[Record]
    comparisons: Sequence[Comparison]
    training: TrainingOutcome | None


@dataclass(frozen=True)
class TrialWatch:
    """Who is told how far a trial is.

    Attributes:
        run: obtains the records of what needs no turns.
        turns: entered while networks take turns.
        training: entered while they are trained; false in processes that show nothing.
        say: told what cannot be had.
    """

    run: JobRunner = field(default=runner.run)
    turns: Callable[[], AbstractContextManager[Progress]] = field(
        default=lambda: nullcontext(SILENT)
    )
    training: Callable[[bool], AbstractContextManager[TrainingListener]] = field(
        default=lambda shown: nullcontext(NOBODY)
    )
    say: Callable[[str], None] = field(default=lambda sentence: None)


def put_on_trial(request: TrialRequest, watch: TrialWatch | None = None) -> TrialOutcome:
    """Count, time and, with faces, train and score a file's networks and a known one.

    Raises:
        BadInputError: the file cannot be read or run, or registers no network; or the training
            set is not as it should be.
        UnknownNameError: a network, runtime, core or data set is unknown.
        UnavailableError: a runtime is not installed.
        FacebenchError: a network could not be trained.
    """
    watch = watch or TrialWatch()
    names = registered_in(request.file)
    known = resolve(request.against)
    networks = [resolve(name) for name in names]
    question = TrialQuestion(
        known, networks, _runtimes(request), _cores(request, watch), request.threads
    )
    store = Store(request.out / RECORDS)
    records = watch.run(question.exact(), store)
    records += _timed(question, request, watch, store)
    training = None
    if request.faces is not None:
        training = _train(request, request.faces, [request.against, *names], watch)
        records += watch.run(_scorings(question, request), store)
    comparisons = [trial.against(known, network, records) for network in networks]
    return TrialOutcome(question, records, comparisons, training)


def _runtimes(request: TrialRequest) -> Sequence[str]:
    if request.runtimes is None:
        return [name for name in installed() if name != "torch"]
    for name in request.runtimes:
        RUNTIMES[name].require()
    return request.runtimes


def _cores(request: TrialRequest, watch: TrialWatch) -> Sequence[str]:
    for name in request.cores:
        CORES[name]
    if request.cores and (missing := setup.ready()):
        watch.say(f"no emulated ARM figures: {missing}")
        return []
    return request.cores


def _timed(
    question: TrialQuestion, request: TrialRequest, watch: TrialWatch, store: Store
) -> list[Record]:
    with watch.turns() as progress:
        records = question.timed(replace(Turns(), processes=request.rounds), progress)
    for record in records:
        store.append(record)
    return records


def _train(
    request: TrialRequest, faces: Path, names: Sequence[str], watch: TrialWatch
) -> TrainingOutcome:
    """Train all networks alike; what was trained before is not trained again."""
    training = TrainingRequest(
        tuple(names),
        faces,
        _trained(request),
        recipe="distill",
        teachers=(TeacherRequest(request.teacher or _shipped()),),
        epochs=request.epochs,
    )
    with joined() as ranks, watch.training(ranks.first) as told:
        outcome = train_networks(training, ranks, told)
    if outcome.failures:
        raise FacebenchError("\nfacebench: ".join(outcome.failures))
    return outcome


def _shipped() -> str:
    return f"mobilefacenet={resolve('mobilefacenet', 'shipped').path}"


def _scorings(question: TrialQuestion, request: TrialRequest) -> list[Job]:
    def filled(network: Network) -> Network:
        return resolve(network.name, folder_of(_trained(request), network.name, 0) / WEIGHTS)

    scoring, data = jobs.Scoring(request.dataset), data_root(request.data)
    return [
        jobs.with_fingerprint(jobs.scoring_job(filled(network), LAYERS_IN, scoring, data))
        for network in question.all
    ]


def _trained(request: TrialRequest) -> Path:
    return request.out / "weights"
