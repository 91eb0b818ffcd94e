"""What the records come to, in sentences computed from them."""

from __future__ import annotations

from collections.abc import Sequence

from harness.result import Accuracy
from reports.cells import doubts, millions, percent, plus_minus
from reports.comparison import THREADS, Ratio, latency_ratio, representative
from reports.digits import agrees, earned, interval
from reports.embedding_time import inferences
from reports.environments import another_machine, differences
from reports.evidence import (
    BASELINE,
    PAPER_CONDITIONS,
    PAPER_MADDS_MILLIONS,
    Evidence,
    real_faces,
)
from reports.page import Block, Paragraph, Statement, Statements, section
from reports.tables import LatencyRow, Setting, fastest, settings

# The paper's claim: more than 2 times the speed of this network.
RIVAL, RIVAL_ROW = "mobilenet_v2", "MobileNetV2"


@section("headlines", "What the records say", order=10)
def headlines(evidence: Evidence) -> Sequence[Block]:
    """Parameters, MAdds, the paper's speed-up under each runtime, and accuracy."""
    speed = [_speed(evidence, one) for one in settings(evidence.latencies, threads=THREADS)]
    items = [*_size(evidence), *filter(None, speed), *_fastest(evidence), *_accuracy(evidence)]
    blocks: list[Block] = [Statements(items)] if items else []
    if (count := evidence.left_out_from_elsewhere) > 0:
        text = (
            f"{count} older records of the same cases come from another machine and are not "
            "shown: render each machine's records by themselves to see them."
        )
        blocks.append(Paragraph(text, warning=True))
    return blocks


def _size(evidence: Evidence) -> list[Statement]:
    cost = evidence.costs.get(BASELINE)
    if cost is None:
        return []
    folded, trained = millions(cost.parameters_bn_folded), millions(cost.parameters)
    parameters = (
        f"{BASELINE} has {folded} M parameters with BN folded and {trained} M as trained: "
        f"the paper’s “less than a million” "
        f"{_below_million(cost.parameters_bn_folded, cost.parameters)}."
    )
    madds = cost.madds.get("conv+linear")
    found = [Statement(f"{folded} M", parameters, ("counted", "published"))]
    if madds is None:
        return found
    verdict = "is the same figure" if agrees(madds / 1e6, PAPER_MADDS_MILLIONS) else "differs"
    text = (
        f"{BASELINE} takes {madds:,} MAdds (convolutions and linear layers) for one image: "
        f"the paper’s {PAPER_MADDS_MILLIONS} M {verdict}."
    )
    return [*found, Statement(f"{millions(madds)} M", text, ("counted", "published"))]


def _below_million(folded: int, trained: int) -> str:
    if trained < 1_000_000:
        return "holds by either count"
    return "holds with BN folded only" if folded < 1_000_000 else "does not hold by either count"


def _speed(evidence: Evidence, setting: Setting) -> Statement | None:
    one = latency_ratio(evidence, RIVAL, setting)
    if one.status == "missing":
        return None
    if one.estimate is None:
        text = f"No ratio of {RIVAL} to {BASELINE} under {setting.label}: {one.reason}."
        return Statement(one.status, text, (setting.kind,))
    text = (
        f"Under {setting.label}, {setting.threads_text}, {RIVAL} takes {earned(one.estimate)} "
        f"times ({interval(one.estimate)}) the time of {BASELINE}; "
        f"{_order(one)}the paper says {_published(evidence):.2f} ({PAPER_CONDITIONS})."
    )
    badge = "untuned" if "untuned" in one.label else _reversed(one)
    return Statement(
        f"{earned(one.estimate)}×",
        f"{text}{_caution(evidence, one)}",
        (setting.kind, "published"),
        badge,
    )


def _order(one: Ratio) -> str:
    assert one.estimate is not None
    if one.estimate.low <= 1.0 <= one.estimate.high:
        return "the two cannot be told apart here; "
    return f"{RIVAL} is the faster of the two here; " if one.estimate.high < 1.0 else ""


def _reversed(one: Ratio) -> str:
    assert one.estimate is not None
    return "order reversed" if one.estimate.high < 1.0 else ""


def _caution(evidence: Evidence, one: Ratio) -> str:
    rows = [representative(evidence, name, one.setting) for name in (RIVAL, BASELINE)]
    found = [doubt for row in rows if row for doubt in doubts(row.record)]
    if "untuned" in one.label:
        found.insert(0, "this code is untuned, so the ratio says nothing of what tuned code does")
    if one.warning:
        found.append(one.warning)
    return f" Caution: {'; '.join(dict.fromkeys(found))}." if found else ""


def _published(evidence: Evidence) -> float:
    rival = next(row for row in evidence.paper if row.network == RIVAL_ROW)
    return rival.latency_ms / evidence.paper_baseline.latency_ms


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
    """Those of the rows that come from the first one's machine."""
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
            f"{BASELINE} scores {earned(score)} % ({plus_minus(score)}) on LFW by the 10-fold "
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
