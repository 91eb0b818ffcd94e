"""Shows verification and search in trials."""

from __future__ import annotations

from collections.abc import Sequence

from facebench.harness.records.record import Record
from facebench.harness.records.trials import TrialScores, over_trials
from facebench.reports.by_dataset import ByDataset, Figure, counted
from facebench.reports.evidence import Evidence
from facebench.reports.page import Block, Cell, Column, Notes, Paragraph, section
from facebench.reports.tables import of_measure

INTRODUCTION = (
    "Each trial takes some of the images. TAR is the share of genuine pairs accepted where the "
    "given share of impostor pairs (FAR) is; found is the share of probes with their person in the "
    "gallery that are found first, where the given share of the other probes raises a false alarm. "
    "Given is the mean over the trials less their standard deviation, as BLUFR reports it; below "
    "it the two. Trials share images and people, so that their deviation is no interval."
)


@section("trials", "Trials", order=77)
def trials(evidence: Evidence) -> Sequence[Block]:
    """Return a table for each data set."""
    found = ByDataset(TrialScores, _figures).tables(
        of_measure(evidence.records, "trials"), "trials"
    )
    return [Paragraph(INTRODUCTION), *found] if found else []


def _figures(results: Sequence[TrialScores]) -> list[Figure[TrialScores]]:
    return [
        *((Column(f"TAR, %, at a FAR of {far:g}"), _tar) for far in {one.far for one in results}),
        *(
            (Column(f"Found, %, at {rate:g} false alarms"), _found)
            for rate in {one.alarm_rate for one in results}
        ),
        counted("Trials", lambda one: len(one.tar)),
        counted("Images", lambda one: one.images),
        counted("People", lambda one: one.people),
    ]


def _shown(record: Record, shares: tuple[float, ...]) -> Cell:
    found = over_trials(shares)
    detail = f"{100 * found.mean:.2f} ± {100 * found.deviation:.2f}"
    return Cell(f"{100 * found.reported:.2f}", detail=detail, kind=record.kind)


def _tar(record: Record, one: TrialScores, notes: Notes) -> Cell:
    return _shown(record, one.tar)


def _found(record: Record, one: TrialScores, notes: Notes) -> Cell:
    return _shown(record, one.found)
