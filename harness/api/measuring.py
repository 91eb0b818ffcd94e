"""Obtains records of networks: what they cost, how fast they are, how well they verify."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path

from facebench.architectures.errors import BadInputError, FacebenchError, RefusedError
from facebench.harness.api.naming import (
    Names,
    NetworkLike,
    Size,
    all_of,
    listed,
    precisions_of,
)
from facebench.harness.api.quiet import quietly
from facebench.harness.api.record_set import Records
from facebench.harness.api.scores import Scores
from facebench.harness.api.shown_progress import shown_progress
from facebench.harness.comparison.verification_run import VerificationRequest
from facebench.harness.comparison.verification_run import verify as verify_networks
from facebench.harness.measures.job import Job
from facebench.harness.records.case import Case
from facebench.harness.records.record import Record
from facebench.harness.records.store import RECORDS, Store
from facebench.harness.runs import runner, worker_pool
from facebench.harness.runs.execute import perform
from facebench.harness.runs.jobs import Sampling, with_fingerprint
from facebench.harness.runs.requests import LatencyRequest
from facebench.harness.runs.runner import Obtain
from facebench.harness.verification.embedding import FLIPS
from facebench.harness.verification.preparation import ABSENT
from facebench.harness.verification.summary import FARS


class CaseWarning(UserWarning):
    """A case failed or was refused, while others gave figures."""


def cost(
    networks: NetworkLike | Sequence[NetworkLike],
    *,
    size: Size | None = None,
    weights: str | Path | None = None,
    out: str | Path | None = None,
) -> Records:
    """Count parameters, multiply-adds, activations and bytes; the counts are exact.

    Args:
        networks: one or several: names, files, modules of torch, or what `network` returned.
        size: of a module's images, as in `network`.
        weights: of all of them, as in `network`; `shipped` is for those that have some.
        out: folder of records, as `facebench run -o` has it, or a file of them; what is in it
            already is not obtained again.

    Raises:
        FacebenchError: no case gave a figure.
        UnknownNameError: there is no such network.
        BadInputError: a file or a module is not what it should be.

    Example:
        >>> import facebench
        >>> counted = facebench.cost("mobilefacenet").frame()
        >>> int(counted.set_index("figure").value["MAdds (conv+linear)"])
        220965376
    """
    found = all_of(networks, size, weights)
    jobs = [Job(Case("cost", one.name, one.weights), one) for one in found]
    if out is None:
        with quietly():
            records = [perform(job) for job in jobs]
        return _checked(records)
    return _checked(_run(jobs, _store(out)))


def latency(
    networks: NetworkLike | Sequence[NetworkLike],
    *,
    runtime: Names = "all",
    device: Names = "local",
    target: str = "",
    precision: Names = "fp32",
    calibration: str = "synthetic",
    threads: int = 1,
    batch: int = 1,
    seconds: float | None = None,
    processes: int | None = None,
    known_to: float | None = None,
    pin: bool | None = None,
    data: str | Path | None = None,
    size: Size | None = None,
    weights: str | Path | None = None,
    out: str | Path | None = None,
) -> Records:
    """Measure latency, each case in several processes of its own.

    On an emulated core, where time says nothing, instructions are counted and cycles modelled.
    Interrupted, it leaves nothing running; with `out`, the same call goes on where it was.

    Args:
        networks: one or several: names, files, modules of torch, or what `network` returned.
        runtime: `ncnn`, `tvm`, `onnxruntime` and others; `all` that are installed by default.
        device: `local`, `emulated:<core>`, `ssh://<user>@<host>` and others.
        target: what TVM compiles for; where empty, what the device says it is.
        precision: of `fp32`, `fp16` and `int8`.
        calibration: the dataset that int8's ranges come from.
        threads: that a runtime may use.
        batch: images in one inference.
        seconds: of samples for each case, of its first processes together; 1 by default.
        processes: that time each case; 3 by default.
        known_to: share of the median, such as 0.02: more processes are started, up to twice as
            many, until its 95 % interval is this narrow.
        pin: whether a process is kept on as many cores as it has threads; by default it is.
        data: folder of datasets; by default `$FACEBENCH_DATA`.
        size: of a module's images, as in `network`.
        weights: of all of them, as in `network`; `shipped` is for those that have some.
        out: folder of records, as `facebench run -o` has it, or a file of them; what is in it
            already is not measured again.

    Raises:
        FacebenchError: no case gave a time.
        UnknownNameError: a network, runtime, device or target is unknown.
        UnavailableError: a runtime is not installed, or a device cannot be reached.
        RefusedError: a runtime does not run a precision.
        BadInputError: a file or a module is not what it should be.

    Example:
        >>> import facebench
        >>> from torch import nn
        >>> block = nn.Sequential(nn.Conv2d(3, 8, 3, 2), nn.PReLU(8), nn.Flatten())
        >>> timed = facebench.latency(
        ...     block, size=8, runtime="onnxruntime", processes=1, seconds=0.01
        ... )
        >>> timed.frame().loc[0, ["figure", "unit", "kind"]].to_list()
        ['median', 'ms', 'measured']
    """
    _require_within("threads", threads, 1, 1024)
    _require_within("batch", batch, 1, 1024)
    request = LatencyRequest(
        all_of(networks, size, weights),
        [] if runtime == "all" else listed(runtime),
        listed(device),
        target,
        precisions_of(precision, calibration),
        threads,
        batch,
        None if data is None else Path(data),
        _sampling(seconds, processes, known_to, pin),
    )
    return _checked(_run(request.jobs(), None if out is None else _store(out)))


def verify(
    networks: NetworkLike | Sequence[NetworkLike],
    dataset: str = "synthetic",
    *,
    runtime: Names = "ncnn",
    device: Names = "local",
    precision: Names = "fp32",
    calibration: str = "synthetic",
    flip: str = "sum",
    landmarks: str = "file",
    absent: str = "refuse",
    far: float | Sequence[float] = FARS,
    compare: bool = False,
    threshold_from: str = "",
    cohort: str = "",
    quality: str | Path = "",
    threads: int | None = None,
    batch: int = 1,
    data: str | Path | None = None,
    size: Size | None = None,
    weights: str | Path | None = None,
    out: str | Path | None = None,
) -> Scores:
    """Score networks on faces: verification of pairs, or identification of probes.

    Args:
        networks: one or several: names, files, modules of torch, or what `network` returned.
        dataset: such as `lfw`; `folder:<path>` and `list:<path>` are your own.
        runtime: that embeds; `fastest` finds the fastest one and its batch.
        device: as in `latency`.
        precision: as in `latency`.
        calibration: as in `latency`.
        flip: how the embeddings of an image and its mirror are joined: `none`, `sum` or
            `concatenation`.
        landmarks: `file` (beside the dataset), `aligned`, or a detector.
        absent: what becomes of images without a face: `refuse`, `exclude`, `reject` or `centre`.
        far: false acceptance rates to give TAR at, as far as the pairs support them.
        compare: whether every two of the scores are compared pair by pair: `comparisons()`.
        threshold_from: a dataset that a threshold is set on at each `far`; FAR and FRR of the
            other one there, as of a product, are `thresholds()`.
        cohort: a dataset of strangers, by whom scores are normalized: `normalized()`.
        quality: `norm`, the length of the embedding, or a CSV file `image,quality`: error against
            reject, where pairs of the worst images are left out, is `reject_curves()`.
        threads: by default all cores.
        batch: images in one inference.
        data: folder of datasets; by default `$FACEBENCH_DATA`.
        size: of a module's images, as in `network`.
        weights: of all of them, as in `network`; `shipped` is for those that have some.
        out: folder of records, as `facebench run -o` has it, or a file of them; what is in it
            already is not scored again.

    Raises:
        FacebenchError: no case gave a score.
        UnknownNameError: a network, dataset, runtime or device is unknown.
        UnavailableError: a runtime is not installed, or a device cannot be reached.
        RefusedError: a runtime does not run a precision, or the weights are untrained and the
            faces real; or a cohort shares people with the pairs.
        BadInputError: a dataset is not found, not whole or not of pairs where these are needed; or
            a module or a rate is not what it should be.

    Example:
        >>> import facebench
        >>> facebench.verify("mobilefacenet", "lfw", weights="random:0", data="/nowhere")
        Traceback (most recent call last):
        ...
        facebench.architectures.errors.BadInputError: ...
    """
    _require_one("flip", flip, FLIPS)
    _require_one("absent", absent, ABSENT)
    _require_within("threads", threads, 1, 1024)
    _require_within("batch", batch, 1, 1024)
    request = VerificationRequest(
        all_of(networks, size, weights),
        dataset,
        listed(runtime),
        precisions_of(precision, calibration),
        listed(device),
        flip,
        landmarks,
        absent,
        threads,
        batch,
        None if data is None else Path(data),
        None if out is None else _store(out).path,
        _rates(far),
        compare,
        threshold_from,
        cohort,
        str(quality),
    )
    outcome = verify_networks(request, _run)
    _checked(outcome.records)
    for one in outcome.sources:
        if one.result is None:
            warnings.warn(_told(one), CaseWarning, stacklevel=2)
    return Scores(outcome)


def _run(
    jobs: Sequence[Job], store: Store | None = None, *, obtain: Obtain | None = None
) -> list[Record]:
    """Run jobs with a bar, and leave nothing running where it is given up: a `runner.JobRunner`."""
    if store is not None:
        jobs = [job if job.fingerprint else with_fingerprint(job) for job in jobs]
    try:
        with quietly(), shown_progress(len(jobs)) as progress:
            return runner.run(jobs, store, progress, obtain)
    except KeyboardInterrupt:
        worker_pool.stop()
        raise


def _checked(records: Sequence[Record]) -> Records:
    """Return what was obtained; what was not is a warning beside it, or the error if it is all.

    Raises:
        RefusedError: all of them were refused.
        FacebenchError: none holds a figure.
    """
    told = {_told(one): one for one in records if one.result is None}
    if records and len(told) == len(records):
        refused = all(one.status == "refused" for one in told.values())
        raise (RefusedError if refused else FacebenchError)("\n".join(told))
    for text in told:
        warnings.warn(text, CaseWarning, stacklevel=3)
    return Records(records)


def _told(record: Record) -> str:
    return f"{record.case}: {record.status}: {record.reason}"


def _rates(far: float | Sequence[float]) -> list[float]:
    rates = [far] if isinstance(far, int | float) else list(far)
    for one in rates:
        if not 0 < one < 1:
            raise BadInputError(f"far={one!r} is not valid: give rates above 0 and below 1")
    return rates


def _sampling(
    seconds: float | None, processes: int | None, known_to: float | None, pin: bool | None
) -> Sampling:
    _require_within("seconds", seconds, 0.001, 3600)
    _require_within("processes", processes, 1, 100)
    _require_within("known_to", known_to, 0.0001, 1)
    return Sampling(seconds, processes, known_to, pin)


def _require_within(name: str, value: float | None, least: float, most: float) -> None:
    if value is not None and not least <= value <= most:
        raise BadInputError(f"{name}={value!r} is not valid: give {least:g} to {most:g}")


def _require_one(name: str, value: str, known: Sequence[str]) -> None:
    if value not in known:
        raise BadInputError(f"{name}={value!r} is not valid: give one of {', '.join(known)}")


def _store(out: str | Path) -> Store:
    path = Path(out)
    store = Store(path if path.suffix == ".jsonl" else path / RECORDS)
    if (aside := store.mend()) is not None:
        text = f"a record that was cut off is set aside in {aside}; its case runs again"
        warnings.warn(text, CaseWarning, stacklevel=3)
    return store
