"""Turns records into entries: what of their results is compared, their measures say."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import replace

from facebench.architectures.errors import BadInputError
from facebench.harness.comparison.entry import Entry
from facebench.harness.measures.registry import MEASURES
from facebench.harness.records.comparable import Counted, Figure, Timed
from facebench.harness.records.record import Record
from facebench.harness.runs import long_run


def entries(records: Sequence[Record]) -> list[Entry]:
    """Return the newest record of each case; its exact repetitions are further jobs.

    Two records repeat each other where case and fingerprint are the same: files of
    several runs of the same code may be put together, and each run counts as a job.
    """
    of_case: dict[str, list[Record]] = {}
    for record in records:
        of_case.setdefault(record.case.key, []).append(record)
    return [_pooled(of_one) for of_one in of_case.values()]


def entry(record: Record) -> Entry:
    """Return what comparing needs of one record.

    Raises:
        BadInputError: a figure of it can be none, such as a count below zero.
    """
    result = record.result
    measure = MEASURES[record.case.measure]
    try:
        figures = tuple(measure.comparable(result)) if result is not None else ()
    except (ValueError, ArithmeticError) as error:  # of a file that facebench did not write
        raise BadInputError(
            f"the record of {record.case} holds no figures to compare ({error}): remove it"
        ) from error
    return Entry(
        case=record.case,
        kind=record.kind,
        status=record.status,
        reason=record.reason,
        label=record.label,
        environment=record.environment,
        figures=figures,
        doubts=tuple(f"{check.name}: no, {check.detail}" for check in record.failed_checks),
        created=record.created,
        revision=str(record.provenance.get("git_revision") or ""),
        long_run=long_run.of(record),
        run=long_run.run_of(record),
    )


def _pooled(records: Sequence[Record]) -> Entry:
    """Return one case's records, in order, as one entry."""
    newest = records[-1]
    repeated = [
        entry(record)
        for record in records
        if record.status == newest.status == "ok" and record.fingerprint == newest.fingerprint != ""
    ]
    return join(repeated) if repeated else entry(newest)


def join(same: Sequence[Entry]) -> Entry:
    """Return entries of one case as one, the last one's facts with the processes of all.

    Where the machine was disturbed in some of the jobs, only the others count.
    """
    calm = [one for one in same if not one.disturbances]
    left_out = [one for one in same if one.disturbances] if calm else []
    same = calm or same
    last = same[-1]
    doubts = dict.fromkeys(doubt for one in same for doubt in one.doubts)
    if left_out:
        first = left_out[0].disturbances[0]
        doubts[f"{len(left_out)} of {len(calm) + len(left_out)} jobs are left out: {first}"] = None
    figures = tuple(
        _join(figure, [f for one in same for f in one.figures if f.name == figure.name])
        for figure in last.figures
    )
    run = last.run if len(same) == 1 else ""
    return replace(last, figures=figures, doubts=tuple(doubts), run=run)


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
        jobs=tuple(count for one in timed for count in one.jobs or (len(one.medians),)),
    )
