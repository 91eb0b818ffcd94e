"""Says what the records come to, in sentences computed from them."""

from __future__ import annotations

from collections.abc import Sequence

from facebench.harness.records.accuracy import Accuracy
from facebench.reports.cells import in_percent, sure
from facebench.reports.comparison import THREADS, representative
from facebench.reports.digits import earned, interval, percentage, significant
from facebench.reports.embedding_time import inferences
from facebench.reports.environments import another_machine, differences
from facebench.reports.evidence import BASELINE, Evidence, real_faces
from facebench.reports.page import Block, Statement, Statements, section
from facebench.reports.tables import LatencyRow, settings
from facebench.reports.time_ratios import fastest


@section("headlines", "What the records say", order=10)
def headlines(evidence: Evidence) -> Sequence[Block]:
    """Return the fastest runtime, and accuracy."""
    items = [*_fastest(evidence), *_accuracy(evidence)]
    return [Statements(items)] if items else []


def _fastest(evidence: Evidence) -> list[Statement]:
    rows = [
        row
        for one in settings(evidence.latencies, threads=THREADS)
        if (row := representative(evidence, BASELINE, one)) is not None and row.ranked
    ]
    rows = _comparable(rows)
    if len(rows) < 2:
        return []
    unranked = " Untuned code is not ranked." if any(r.untuned for r in evidence.latencies) else ""
    first = fastest(rows)
    if first is None or first.median is None:
        text = (
            f"Which of {', '.join(row.setting.label for row in rows)} runs {BASELINE} fastest "
            f"cannot be said: none is shown to be faster than each other.{unranked}"
        )
        return [Statement("–", text, ("measured",))]
    text = (
        f"Of {len(rows)} ranked runtimes, {first.setting.label} runs {BASELINE} fastest: "
        f"{earned(first.median)} ms ({interval(first.median)}), {first.setting.threads_text}."
        f"{unranked}"
    )
    return [Statement(f"{earned(first.median)} ms", text, ("measured",))]


def _comparable(rows: list[LatencyRow]) -> list[LatencyRow]:
    """Return those of the rows that come from the first one's machine."""
    return [
        row
        for row in rows
        if not another_machine(differences(row.record.environment, rows[0].record.environment))
    ]


def _accuracy(evidence: Evidence) -> list[Statement]:
    paper = evidence.paper_baseline
    found = evidence.score(BASELINE, "lfw")
    if found is not None and real_faces(found) and isinstance(found.result, Accuracy):
        known = sure(found.result)
        value, around = percentage(in_percent(known))
        if known.interval is None:
            value, around = significant(100 * known.value), known.note
        text = (
            f"{BASELINE} scores {value} % ({around}) on LFW by the 10-fold protocol; the paper "
            f"says {paper.lfw_percent} % (trained on CASIA-WebFace).{_mirrored(found.result)}"
        )
        return [Statement(f"{value} %", text, (found.kind, "published"))]
    if not evidence.scores:
        return []
    why = f" On LFW {BASELINE} was {found.status}: {found.reason}." if found else ""
    text = (
        f"Nothing here is known about accuracy on real faces.{why} Scores on drawn faces check the "
        "pipeline only, and stand under Verification."
    )
    return [Statement("–", text, ())]


def _mirrored(score: Accuracy) -> str:
    if inferences(score.flip) == 1:
        return ""
    return (
        " It was scored with each image and its mirror: an embedding so made takes twice the times "
        "given here, which are of one inference."
    )
