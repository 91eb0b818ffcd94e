"""Records as entries. A result of another measure is one line in `_FIGURES`."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from facebench.harness.comparison.entry import PEAK_MEMORY, Counted, Decided, Entry, Figure, Timed
from facebench.harness.records.denormals import Denormals
from facebench.harness.records.instructions import Cycles, Instructions
from facebench.harness.records.receptive_fields import Fields
from facebench.harness.records.record import Record
from facebench.harness.records.results import (
    Accuracy,
    Compilation,
    Cost,
    Export,
    Identification,
    Latency,
    LayerTimes,
    Throughput,
)
from facebench.harness.verification.paired import decisions


def entries(records: Sequence[Record]) -> list[Entry]:
    """The newest record of each case; its exact repetitions are further processes.

    Two records repeat each other where case and fingerprint are the same: files of
    several runs of the same code may be put together, and each run's process counts.
    """
    newest = {record.case.key: record for record in records}
    return [_pooled(newest[key], records) for key in newest]


def entry(record: Record) -> Entry:
    """What comparing needs of one record."""
    result = record.result
    figures = _FIGURES[type(result)](result) if result is not None else ()
    return Entry(
        case=record.case,
        kind=record.kind,
        status=record.status,
        reason=record.reason,
        label=getattr(result, "label", ""),
        environment=record.environment,
        figures=tuple(figures),
        doubts=tuple(f"{check.name}: no, {check.detail}" for check in record.failed_checks),
        created=record.created,
        revision=str(record.provenance.get("git_revision") or ""),
    )


def _pooled(newest: Record, records: Sequence[Record]) -> Entry:
    repeated = [
        entry(record)
        for record in records
        if record.case == newest.case
        and record.status == newest.status == "ok"
        and record.fingerprint == newest.fingerprint != ""
    ]
    return join(repeated) if repeated else entry(newest)


def join(same: Sequence[Entry]) -> Entry:
    """Entries of one case as one, the last one's facts with the processes of all."""
    last = same[-1]
    doubts = dict.fromkeys(doubt for one in same for doubt in one.doubts)
    figures = tuple(
        _join(figure, [f for one in same for f in one.figures if f.name == figure.name])
        for figure in last.figures
    )
    return replace(last, figures=figures, doubts=tuple(doubts))


def _join(last: Figure, all_of_it: Sequence[Figure]) -> Figure:
    if isinstance(last, Counted) and not last.exact:
        return replace(last, value=statistics.median(figure.value for figure in all_of_it))
    if not isinstance(last, Timed):
        return last
    timed = [figure for figure in all_of_it if isinstance(figure, Timed)]
    if len(timed) == 1:
        return last
    # Of several runs no one turn lies beside another's.
    return replace(
        last,
        beside="",
        turns=(),
        medians=tuple(median for one in timed for median in one.medians),
        samples=tuple(count for one in timed for count in one.samples),
    )


def _latency(result: Latency) -> list[Figure]:
    groups = result.by_process
    medians = tuple(statistics.median(group) for group in groups)
    turns = tuple(ms for process in result.turn_medians_ms for ms in process)
    counts = tuple(map(len, groups))
    times = Timed("latency", "ms", medians, counts, result.beside, turns)
    added = result.added_bytes
    return [times] if added is None else [times, Counted(PEAK_MEMORY, "bytes", added)]


def _throughput(result: Throughput) -> list[Figure]:
    per_image = (1e3 / result.images_per_second,)
    return [Timed("time an image", "ms", per_image, (len(result.rates),))]


def _instructions(result: Instructions) -> list[Figure]:
    return [Counted("instructions", "", result.work.instructions)]


def _cycles(result: Cycles) -> list[Figure]:
    return [
        Counted(f"modelled time, {threads} thread{'s' * (threads != '1')}", "ms", ms)
        for threads, ms in result.milliseconds.items()
    ]


def _cost(result: Cost) -> list[Figure]:
    madds = [Counted(f"MAdds ({name})", "", count) for name, count in result.madds.items()]
    return [
        Counted("parameters", "", result.parameters),
        *madds,
        Counted("activations", "", result.activations),
        Counted("peak activations", "bytes", result.peak_activation_bytes),
    ]


def _size(result: Export | Compilation) -> list[Figure]:
    return [Counted("size", "bytes", result.size_bytes)]


def _accuracy(result: Accuracy) -> list[Figure]:
    scores = result.scores
    if scores is None:
        return [Decided("accuracy", result.accuracy, result.pairs)]
    right = decisions(scores.scores, scores.folds, result.fold_thresholds) == scores.same
    return [Decided.pack("accuracy", right, scores.digest, scores.identities)]


def _identification(result: Identification) -> list[Figure]:
    return [Decided("rank 1", result.rank1, result.mated_searches)]


def _denormals(result: Denormals) -> list[Figure]:
    return [
        Counted("denormal weights", "", sum(one.denormals for one in result.weights)),
        Counted("denormal activations", "", sum(one.denormals for one in result.activations)),
    ]


_FIGURES: dict[type, Callable[[Any], list[Figure]]] = {
    Latency: _latency,
    Throughput: _throughput,
    Instructions: _instructions,
    Cycles: _cycles,
    Cost: _cost,
    Export: _size,
    Compilation: _size,
    Accuracy: _accuracy,
    Identification: _identification,
    Denormals: _denormals,
    Fields: lambda result: [],  # maps, of which no one figure is the better
    LayerTimes: lambda result: [],  # of one process, and the profiler's own time is in them
}
