"""Says what the records come to, in sentences computed from them."""

from __future__ import annotations

from collections.abc import Sequence

from facebench.harness.records.accuracy import Accuracy
from facebench.reports.cells import percent
from facebench.reports.comparison import THREADS, representative
from facebench.reports.digits import earned, interval
from facebench.reports.embedding_time import inferences
from facebench.reports.environments import another_machine, differences
from facebench.reports.evidence import BASELINE, Evidence, real_faces
from facebench.reports.page import Block, Statement, Statements, section
from facebench.reports.tables import LatencyRow, fastest, settings


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
            f"cannot be said: the intervals of the first overlap.{unranked}"
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
        score = percent(found.result)
        text = (
            f"{BASELINE} scores {earned(score)} % ({interval(score)}) on LFW by the 10-fold "
            f"protocol; the paper says {paper.lfw_percent} % (trained on CASIA-WebFace)."
            f"{_mirrored(found.result)}"
        )
        return [Statement(f"{earned(score)} %", text, (found.kind, "published"))]
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
