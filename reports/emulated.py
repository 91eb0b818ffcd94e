"""Collects what was counted on emulated cores, and the modelled times beside the paper's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache, lru_cache

from facebench.harness.devices.emulator import calibration, model, published
from facebench.harness.devices.emulator.calibration import Left
from facebench.harness.devices.emulator.fit import Fit, FitRow, fit
from facebench.harness.devices.emulator.ratio_spread import Load
from facebench.harness.devices.emulator.terms import Terms
from facebench.harness.machine.cores import CORES
from facebench.harness.records.case import Case
from facebench.harness.records.instructions import Cycles, Instructions
from facebench.harness.records.record import Record
from facebench.reports.evidence import BASELINE, Evidence, PaperRow

# What the paper's times were taken with.
PAPER_CORE, PAPER_RUNTIME, PAPER_THREADS = "kryo", "ncnn", 4

# The paper does not say which of its expansion factors it doubles.
AMBIGUOUS = "MobileFaceNet (expansion factor x2)"

_DEVICE = "emulated:"


@dataclass(frozen=True)
class EmulatedRow:
    """It is a network at one place.

    Attributes:
        paper: its row in Table 2, where it has one.
        counts: the record of its instructions.
        times: the record of its modelled time, of the same weights.
    """

    network: str
    paper: PaperRow | None
    counts: Record | None
    times: Record | None

    @property
    def counted(self) -> Instructions | None:
        """Return what was counted; None where nothing was."""
        result = self.counts.result if self.counts else None
        return result if isinstance(result, Instructions) else None

    @property
    def modelled(self) -> Cycles | None:
        """Return the modelled time; None where there is none, or one of a model before this one."""
        result = self.times.result if self.times else None
        return result if isinstance(result, Cycles) and result.of_this_model else None

    @property
    def untuned(self) -> bool:
        """Say whether the code that was counted was never tuned."""
        return any(one and "untuned" in one.label for one in (self.counted, self.modelled))

    @property
    def milliseconds(self) -> float | None:
        """Return the modelled time of one thread."""
        return self.modelled.milliseconds["1"] if self.modelled else None


@dataclass(frozen=True)
class ModelledRatio:
    """It is a modelled time over the baseline's, of one thread.

    Attributes:
        interval: of 95 %; None where none is known.
        why_not: why none is known, in a sentence.
    """

    value: float
    interval: tuple[float, float] | None
    why_not: str = ""


@dataclass(frozen=True)
class EmulatedCore:
    """An emulated core, a runtime on it and what else was asked for alike; and its networks.

    Attributes:
        case: what all cases of the place share: measure, network and weights are empty.
        rows: networks in the order of `Evidence.subjects`.
    """

    case: Case
    rows: tuple[EmulatedRow, ...]

    @property
    def core(self) -> str:
        """Return the name of the core, or of the board that has it."""
        return self.case.device.removeprefix(_DEVICE)

    @property
    def label(self) -> str:
        """Return runtime and core, and of the rest what is not the default."""
        case = self.case
        extra = [
            case.target if case.target != self.core else "",
            case.precision if case.precision != "fp32" else "",
            f"batch {case.batch}" if case.batch != 1 else "",
        ]
        return ", ".join([f"{case.runtime} on {self.core}", *filter(None, extra)])

    @property
    def untuned(self) -> bool:
        """Say whether any code there was never tuned."""
        return any(row.untuned for row in self.rows)

    @property
    def fitted(self) -> bool:
        """Say whether it is the paper's place, whose ratios have constants of their own."""
        case = self.case
        single = case.precision == "fp32" and case.batch == 1
        return single and (self.core, case.runtime) == (PAPER_CORE, PAPER_RUNTIME)

    def row(self, network: str) -> EmulatedRow | None:
        """Return the network's row, if it has one."""
        return next((row for row in self.rows if row.network == network), None)

    def ratio(self, row: EmulatedRow) -> ModelledRatio | None:
        """Return the modelled time of one thread over the baseline's."""
        base = self.row(BASELINE)
        if base is None or base.modelled is None or row.modelled is None:
            return None
        value = row.modelled.milliseconds["1"] / base.modelled.milliseconds["1"]
        if row is base:
            return ModelledRatio(value, (value, value))
        if row.modelled.interval_ms is None or base.modelled.interval_ms is None:
            why = f"No published times of {self.case.runtime} were held against the model, so its "
            return ModelledRatio(value, None, f"{why}ratio has no interval and decides nothing.")
        if row.counted is None or base.counted is None:
            why = "The interval of a ratio goes by what both networks execute, and of one of them "
            why += "no instructions are recorded: 'facebench latency' there counts them."
            return ModelledRatio(value, None, why)
        return ModelledRatio(
            value, model.ratio_interval(value, _load(row.counted), _load(base.counted))
        )

    def table_2_ratio(self, row: EmulatedRow) -> float | None:
        """Return the ratio by the constants that were fitted to the paper's Table 2, four threads;
        of the paper's place alone.
        """
        base = self.row(BASELINE)
        terms = [_terms(one) for one in (row, base)]
        if not self.fitted or terms[0] is None or terms[1] is None:
            return None
        ours, theirs = (model.TABLE_2.seconds(one) for one in terms if one is not None)
        return ours / theirs


def _load(counted: Instructions) -> Load:
    return Load(counted.work.instructions, counted.memory_bytes)


# Section, figure and summary of one report all ask for the same places.
@lru_cache(maxsize=1)
def places(evidence: Evidence) -> tuple[EmulatedCore, ...]:
    """Return all places that have a record; the one that the paper's times are of comes first."""
    found: dict[Case, list[Record]] = {}
    for record in evidence.records:
        counted = record.case.measure in ("instructions", "cycles")
        if counted and record.case.device.startswith(_DEVICE):
            shared = replace(record.case, measure="", network="", weights="")
            found.setdefault(shared, []).append(record)
    made = [EmulatedCore(case, _rows(evidence, records)) for case, records in found.items()]
    return tuple(sorted(made, key=lambda place: not place.fitted))


@cache
def left_out() -> tuple[Left, ...]:
    """Return the published times with their errors by constants of other families of cores."""
    return tuple(calibration.left_out(published.rows(), calibration.family))


def paper_ratio(evidence: Evidence, row: EmulatedRow) -> float | None:
    """Return the published time over the published one of the baseline."""
    return row.paper.latency_ms / evidence.paper_baseline.latency_ms if row.paper else None


def refit(evidence: Evidence, place: EmulatedCore) -> Fit | None:
    """Return two terms fitted to Table 2 by the place's own records.

    Returns:
        None unless it is the paper's place and all unambiguous rows of Table 2 were
        counted there.
    """
    if not place.fitted:
        return None
    rows: dict[str, FitRow] = {}
    for one in place.rows:
        terms = _terms(one)
        if one.paper and terms and one.paper.network not in (AMBIGUOUS, *rows):
            rows[one.paper.network] = FitRow(
                one.network,
                terms.pipeline,
                terms.memory,
                one.paper.latency_ms / 1e3,
                PAPER_THREADS,
            )
    if rows.keys() != {row.network for row in evidence.paper} - {AMBIGUOUS}:
        return None
    return fit(list(rows.values()), rows[evidence.paper_baseline.network].network)


def _terms(row: EmulatedRow | None) -> Terms | None:
    """Return the model's terms on the paper's core; None where it was counted before they were."""
    figures = CORES[PAPER_CORE].figures
    if row is None or row.counted is None or row.counted.work.cycles is None or figures is None:
        return None
    return model.terms(row.counted.work, figures)


def _rows(evidence: Evidence, records: Sequence[Record]) -> tuple[EmulatedRow, ...]:
    papers = {subject.network: subject.paper for subject in evidence.subjects}
    found = {record.case.network for record in records}
    return tuple(
        _row(network, papers[network], [r for r in records if r.case.network == network])
        for network in evidence.networks
        if network in found
    )


def _row(network: str, paper: PaperRow | None, records: Sequence[Record]) -> EmulatedRow:
    """Counts and time of the same weights: with figures before without, trained, then newest."""
    by_weights: dict[str, dict[str, Record]] = {}
    for record in records:
        by_weights.setdefault(record.case.weights, {})[record.case.measure] = record
    _, (_, best) = max(
        enumerate(by_weights.items()),
        key=lambda item: (
            sum(record.status == "ok" for record in item[1][1].values()),
            not item[1][0].startswith("random:"),
            item[0],
        ),
    )
    return EmulatedRow(network, paper, best.get("instructions"), best.get("cycles"))
