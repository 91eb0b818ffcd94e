"""Sets ours beside the paper's: cost, latency ratios and accuracy, row for row."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import pandas as pd

from facebench.harness.records.accuracy import Accuracy
from facebench.harness.records.cost import Cost
from facebench.harness.records.record import Record
from facebench.reports.digits import Estimate
from facebench.reports.environments import another_machine, differences
from facebench.reports.evidence import BASELINE, Evidence, PaperRow, Subject, real_faces
from facebench.reports.tables import CellValue, LatencyRow, Setting, frame, settings
from facebench.reports.time_ratios import time_ratio
from facebench.reports.trade_off import inferences_of

THREADS = 1


@dataclass(frozen=True)
class RelativeLatency:
    """It is a network's time over another's, in one setting.

    Attributes:
        setting: what both were timed under.
        estimate: None where there is no ratio, for `reason`.
        status: `ok`, `failed`, `refused` or `missing`.
        reason: why there is none.
        label: of the code that was timed, such as `untuned`.
        warning: what differs between the two records, where anything does.
        record: of the network's time.
    """

    setting: Setting
    estimate: Estimate | None
    status: str
    reason: str = ""
    label: str = ""
    warning: str = ""
    record: Record | None = None


@dataclass(frozen=True)
class ComparisonRow:
    """It is one line of the comparison table."""

    network: str | None
    paper: PaperRow | None
    cost: Cost | None
    cost_failure: Record | None
    ratios: tuple[RelativeLatency, ...]
    paper_ratio: float | None
    lfw: Record | None

    @property
    def inferences(self) -> int | None:
        """Return the inferences of one embedding as LFW was scored; None without real faces."""
        return inferences_of(self.lfw) if real_faces(self.lfw) else None


@dataclass(frozen=True)
class ComparisonTable:
    """It is the whole table: its settings (columns) and rows."""

    settings: tuple[Setting, ...]
    rows: tuple[ComparisonRow, ...]

    @property
    def inferences(self) -> set[int]:
        """Return how many an embedding takes, over all rows with a score on real faces."""
        return {row.inferences for row in self.rows if row.inferences}

    @property
    def warnings(self) -> list[str]:
        """Return each warning once."""
        return list(dict.fromkeys(r.warning for row in self.rows for r in row.ratios if r.warning))


# Table, figures and files of one report all ask for the same comparison.
@lru_cache(maxsize=1)
def compare(evidence: Evidence) -> ComparisonTable:
    """Return every row of Table 2 and every other network, against what was published."""
    found = settings(evidence.latencies, threads=THREADS)
    # Times with denormal numbers kept and flushed have a section of their own.
    columns = [one for one in found if not one.denormals]
    return ComparisonTable(
        tuple(columns), tuple(_row(evidence, subject, columns) for subject in evidence.subjects)
    )


def latency_ratio(
    evidence: Evidence,
    network: str,
    setting: Setting,
    over: str = BASELINE,
    confidence: float = 0.95,
) -> RelativeLatency:
    """Return the network's median time over another's in the same setting.

    Args:
        evidence: all records.
        network: whose time is related.
        setting: in which both were timed.
        over: the other network.
        confidence: of the interval, 0 to 1.
    """
    ours = representative(evidence, network, setting)
    base = representative(evidence, over, setting)
    if network == over and ours is not None and ours.median is not None:
        return RelativeLatency(
            setting, Estimate(1.0, 1.0, 1.0), "ok", label=ours.label, record=ours.record
        )
    if ours is None:
        return RelativeLatency(
            setting, None, "missing", f"{network} was not timed under {setting.label}"
        )
    if ours.median is None:
        return RelativeLatency(setting, None, ours.status, ours.reason)
    if base is None or base.median is None:
        why = f"there is no time of {over} under {setting.label} to relate it to"
        return RelativeLatency(setting, None, "refused", why, ours.label)
    found = differences(ours.record.environment, base.record.environment)
    if other := another_machine(found):
        why = f"the two times come from different machines: {_sentence(other)}"
        return RelativeLatency(setting, None, "refused", why, ours.label)
    warning = f"records that are compared differ in {_sentence(found)}" if found else ""
    estimate = time_ratio(ours.record, base.record, confidence)
    label = ours.label or base.label
    return RelativeLatency(
        setting, estimate, "ok", label=label, warning=warning, record=ours.record
    )


def representative(evidence: Evidence, network: str, setting: Setting) -> LatencyRow | None:
    """Return the time that speaks for a network: trained weights before untrained, then the newest.

    The weights decide because untrained ones can hold denormals, which some
    kernels take several times longer over.
    """
    found = evidence.timed(network, setting)
    if not found:
        return None
    return max(
        enumerate(found),
        key=lambda item: (
            item[1].status == "ok",
            not item[1].weights.startswith("random:"),
            item[0],
        ),
    )[1]


def comparison_frame(comparison: ComparisonTable) -> pd.DataFrame:
    """Return the comparison in full precision, a kind beside every group of figures."""
    return frame(_flat(row) for row in comparison.rows)


def _row(evidence: Evidence, subject: Subject, columns: Sequence[Setting]) -> ComparisonRow:
    network, paper = subject.network, subject.paper
    base = evidence.paper_baseline.latency_ms
    return ComparisonRow(
        network=network,
        paper=paper,
        cost=evidence.costs.get(network) if network else None,
        cost_failure=evidence.uncounted.get(network) if network else None,
        ratios=tuple(latency_ratio(evidence, network, one) for one in columns) if network else (),
        paper_ratio=paper.latency_ms / base if paper else None,
        lfw=evidence.score(network, "lfw") if network else None,
    )


def _sentence(found: Sequence[object]) -> str:
    return ", ".join(str(difference) for difference in found)


def _flat(row: ComparisonRow) -> dict[str, CellValue]:
    paper, cost = row.paper, row.cost
    line: dict[str, CellValue] = {
        "paper_row": paper.network if paper else None,
        "network": row.network,
        "parameters_bn_folded": cost.parameters_bn_folded if cost else None,
        "parameters": cost.parameters if cost else None,
        "madds[conv+linear]": cost.madds.get("conv+linear") if cost else None,
        "cost_kind": "counted" if cost else None,
        "paper_parameters_millions": float(paper.parameters_millions) if paper else None,
        "paper_latency_ms": paper.latency_ms if paper else None,
        "paper_latency_ratio": row.paper_ratio,
        "paper_lfw_percent": float(paper.lfw_percent) if paper else None,
        "paper_kind": "published" if paper else None,
    }
    for one in row.ratios:
        line |= _flat_ratio(one)
    if real_faces(row.lfw) and row.lfw and isinstance(row.lfw.result, Accuracy):
        line |= {
            "lfw_accuracy": row.lfw.result.accuracy,
            "lfw_standard_error": row.lfw.result.standard_error,
            "lfw_flip": row.lfw.result.flip,
            "lfw_inferences": row.inferences,
            "lfw_kind": row.lfw.kind,
        }
    return line


def _flat_ratio(one: RelativeLatency) -> dict[str, CellValue]:
    name = f"latency_ratio[{one.setting.label}]"
    return {
        name: one.estimate.value if one.estimate else None,
        f"{name}_low": one.estimate.low if one.estimate else None,
        f"{name}_high": one.estimate.high if one.estimate else None,
        f"{name}_kind": one.setting.kind if one.estimate else None,
        f"{name}_label": one.label or None,
        f"{name}_reason": one.reason or None,
    }
