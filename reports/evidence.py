"""Holds what the report knows: the newest record of each case, scores that came with facebench,
and the paper's table.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

from facebench.harness.comparison.extract import entry
from facebench.harness.comparison.history import HistoryRevision, Series, series
from facebench.harness.records.accuracy import Accuracy
from facebench.harness.records.cost import Cost
from facebench.harness.records.record import Record
from facebench.harness.records.store import latest, paper_table
from facebench.reports import recorded
from facebench.reports.environments import apart
from facebench.reports.tables import LatencyRow, Setting, latency_rows, of_measure

# The network that all ratios are relative to, as in the paper's argument.
BASELINE = "mobilefacenet"

# Relative; smaller steps of a time are none.
HISTORY_MARGIN = 0.02

PAPER = "MobileFaceNet, arXiv 1804.07573, Table 2"
PAPER_CONDITIONS = "Snapdragon 820, 4 threads, ncnn"
PAPER_MADDS_MILLIONS = "221"


@dataclass(frozen=True)
class PaperRow:
    """It is a row of Table 2 of arXiv 1804.07573. All its figures are published ones."""

    network: str
    parameters_millions: str
    latency_ms: float
    lfw_percent: str


@dataclass(frozen=True)
class Subject:
    """It is a line of the comparison: one of our networks, a row of the paper, or both."""

    network: str | None
    paper: PaperRow | None


class Evidence:
    """It is the records behind a report, looked at from the sides that its sections need.

    Attributes:
        own: the newest record of each case that was given.
        records: the same, and recorded scores of their weights that they do not hold.

    Example:
        >>> from facebench.harness.records.case import Case
        >>> Evidence([Record(Case("cost", "mobilefacenet"), "counted", "failed")]).networks
        ['mobilefacenet']
    """

    def __init__(self, records: Iterable[Record]) -> None:
        self._all = apart(list(records))
        self.own: Sequence[Record] = latest(self._all)
        self.records: Sequence[Record] = [*self.own, *recorded.of_same_weights(self.own)]

    @cached_property
    def paper(self) -> list[PaperRow]:
        """Return Table 2 of the paper, MobileFaceNet and its variants first."""
        rows = [
            PaperRow(
                row["network"],
                row["params_millions"],
                float(row["latency_ms"]),
                row["lfw_percent"],
            )
            for row in paper_table(2)
        ]
        return sorted(rows, key=lambda row: not row.network.startswith("MobileFaceNet"))

    @cached_property
    def paper_baseline(self) -> PaperRow:
        """Return the paper's row of the network that ratios are relative to."""
        return next(row for row in self.paper if row.network == "MobileFaceNet")

    @cached_property
    def subjects(self) -> list[Subject]:
        """Return the eleven rows of Table 2 in order, ours beside them; then our other networks."""
        found = []
        for row in self.paper:
            ours = [n for n, name in self._paper_rows.items() if name == row.network]
            found += [Subject(network, row) for network in ours] or [Subject(None, row)]
        published = {row.network for row in self.paper}
        others = [n for n, name in self._paper_rows.items() if name not in published]
        return found + [Subject(network, None) for network in others]

    @cached_property
    def networks(self) -> list[str]:
        """Return all networks that have a record, in the order of `subjects`."""
        return [subject.network for subject in self.subjects if subject.network is not None]

    @cached_property
    def costs(self) -> dict[str, Cost]:
        """Return the counted cost of each network that has one."""
        return {
            record.case.network: record.result
            for record in of_measure(self.records, "cost")
            if isinstance(record.result, Cost) and record.status == "ok"
        }

    @cached_property
    def latencies(self) -> list[LatencyRow]:
        """Return all latencies, networks in the order of `subjects`."""
        order = {network: index for index, network in enumerate(self.networks)}
        return sorted(latency_rows(self.records), key=lambda row: order[row.network])

    def timed(self, network: str, setting: Setting) -> list[LatencyRow]:
        """Return the times of a network in one setting, one for each of its weights."""
        return self._timed.get((network, setting), [])

    @cached_property
    def _timed(self) -> dict[tuple[str, Setting], list[LatencyRow]]:
        found: dict[tuple[str, Setting], list[LatencyRow]] = {}
        for row in self.latencies:
            found.setdefault((row.network, row.setting), []).append(row)
        return found

    @cached_property
    def scores(self) -> list[Record]:
        """Return all verification records, networks in the order of `subjects`."""
        order = {network: index for index, network in enumerate(self.networks)}
        return sorted(of_measure(self.records, "accuracy"), key=lambda r: order[r.case.network])

    @cached_property
    def seeds(self) -> list[Record]:
        """Return all scores, and recorded ones of the same networks from other seeds."""
        return [*self.scores, *recorded.of_other_seeds(self.records)]

    @cached_property
    def searches(self) -> list[Record]:
        """Return all identification records, networks in the order of `subjects`."""
        order = {network: index for index, network in enumerate(self.networks)}
        found = of_measure(self.records, "identification")
        return sorted(found, key=lambda r: order[r.case.network])

    def score(self, network: str, dataset: str) -> Record | None:
        """Return the record that speaks for a network on a data set.

        A score goes before a refusal, trained weights before untrained ones,
        single precision before what is made from it, then the newest; never the highest.
        """
        return representative_score(self._scored.get((network, dataset), []))

    @cached_property
    def _scored(self) -> dict[tuple[str, str], list[Record]]:
        found: dict[tuple[str, str], list[Record]] = {}
        for record in self.scores:
            found.setdefault((record.case.network, record.case.dataset), []).append(record)
        return found

    @cached_property
    def uncounted(self) -> dict[str, Record]:
        """Return the record that says why a network has no cost, by network."""
        return {
            record.case.network: record
            for record in of_measure(self.records, "cost")
            if record.status != "ok"
        }

    @cached_property
    def _paper_rows(self) -> dict[str, str]:
        """Return each network's row in Table 2, empty where it has none."""
        found: dict[str, str] = {}
        for record in self.records:
            row = record.provenance.get("paper_row") or found.get(record.case.network, "")
            found[record.case.network] = str(row)
        return found

    @cached_property
    def history(self) -> list[Series]:
        """Return the figures of cases that several of the records are of, oldest first."""
        by_case: dict[str, list[Record]] = {}
        for record in self._all:
            if record.status == "ok":
                by_case.setdefault(record.case.key, []).append(record)
        repeated = [record for found in by_case.values() if len(found) > 1 for record in found]
        ordered = sorted(repeated, key=lambda record: record.created)
        sides = [
            (HistoryRevision(_revision(record), record.created), [entry(record)])
            for record in ordered
        ]
        return series(sides, HISTORY_MARGIN)


def _revision(record: Record) -> str:
    """Return what a record was made with: the revision of the code, else the day."""
    return str(record.provenance.get("git_revision") or record.created[:10])


def real_faces(record: Record | None) -> bool:
    """Return whether the record is a score on real faces; drawn ones carry a label."""
    return (
        record is not None
        and record.status == "ok"
        and isinstance(record.result, Accuracy)
        and not record.result.label
    )


def representative_score(records: Sequence[Record]) -> Record | None:
    """Return the one of a network's records that speaks for it, as `Evidence.score` says."""
    return max(enumerate(records), key=lambda item: _weight(*item))[1] if records else None


def _weight(index: int, record: Record) -> tuple[bool, bool, bool, int]:
    trained = not record.case.weights.startswith("random:")
    return record.status == "ok", trained, record.case.precision == "fp32", index
