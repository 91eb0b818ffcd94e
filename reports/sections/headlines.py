"""Says what the records come to, in sentences computed from them."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain

from facebench.harness.records.accuracy import Accuracy
from facebench.reports.cells import in_percent, sure
from facebench.reports.claims import ClaimFinding, Judged
from facebench.reports.claims.papers import load
from facebench.reports.comparison import compare, representative
from facebench.reports.digits import earned, interval, percentage, significant
from facebench.reports.environments import another_machine, differences
from facebench.reports.evidence import BASELINE, Evidence, real_faces
from facebench.reports.page import Block, Statement, Statements, section
from facebench.reports.pareto import planes
from facebench.reports.recorded import said_of
from facebench.reports.sections.figures import leading
from facebench.reports.tables import LatencyRow
from facebench.reports.time_ratios import fastest
from facebench.reports.trade_off import mirrored

# Claims that the paper's abstract turns on, and the places that a sentence names.
_ABSTRACT = ("accuracy-v2", "speed-up")
_MOST_PLACES = 6


@section("headlines", "What the records say", order=5)
def headlines(evidence: Evidence) -> Sequence[Block]:
    """Return whether another network is better, accuracy, and the fastest runtime; and the figure
    that shows it.
    """
    said = [_beaten(evidence), _abstract(evidence), _accuracy(evidence), _fastest(evidence)]
    items = list(chain.from_iterable(said))
    return [*([Statements(items)] if items else []), *leading(evidence)]


def _beaten(evidence: Evidence) -> list[Statement]:
    """Say in which runtimes another network is shown to be better than the baseline."""
    ours = [
        (plane.setting.label, spot)
        for plane in planes(evidence)
        for spot in plane.spots
        if plane.setting is not None and spot.network == BASELINE
    ]
    if not ours:
        return []
    unbeaten, beaten = ([name for name, spot in ours if spot.front == one] for one in (True, False))
    said = [
        f"Is {BASELINE} the better network?",
        f"In {len(unbeaten)} of {len(ours)} runtimes no other one here is shown to beat it"
        f"{f': {listed}' if (listed := ', '.join(unbeaten)) else ''}.",
        f"In {', '.join(beaten)} another one does." if beaten else "",
        "To beat it is to be as accurate on real faces and as fast, and better at one of both, by "
        "95 % intervals.",
    ]
    kinds = tuple(dict.fromkeys(kind for _, spot in ours for kind in spot.kinds))
    text = " ".join(filter(None, said))
    return [Statement(f"{len(unbeaten)} of {len(ours)}", text, kinds)]


def _abstract(evidence: Evidence) -> list[Statement]:
    """Return the verdicts on what the paper's abstract says, as far as records speak to it."""
    claims = [load()[name] for name in _ABSTRACT]
    judged = [Judged(one, one.judge(evidence)) for one in claims]
    return [_verdict(one) for one in judged if any(found.figure for found in one.findings)]


def _verdict(one: Judged) -> Statement:
    parts = [f"{group[0].verdict} by {_places(group)}" for group in one.deciding]
    figured = [found for group in one.deciding for found in group if found.figure]
    kinds = tuple(dict.fromkeys(kind for found in figured for kind in found.kinds))
    text = f"The paper says: {one.claim.text} Here that is {'; '.join(parts)}."
    return Statement(figured[0].figure if figured else "–", text, kinds, one.verdict)


def _places(group: Sequence[ClaimFinding]) -> str:
    named = [f"{one.figure} ({one.place})" for one in group if one.figure][:_MOST_PLACES]
    more = len(group) - len(named)
    return ", ".join(named) + (f" and in {more} more places" if more else "")


def _fastest(evidence: Evidence) -> list[Statement]:
    rows = [
        row
        for one in compare(evidence).settings
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
        said = [
            f"{BASELINE} scores {value} % ({around}) on LFW by the 10-fold protocol; the paper "
            f"says {paper.lfw_percent} % (trained on CASIA-WebFace).",
            said_of([found]),
            mirrored([found]),
        ]
        kinds = (found.kind, "published")
        return [Statement(f"{value} %", " ".join(filter(None, said)), kinds)]
    if not evidence.scores:
        return []
    why = f" On LFW {BASELINE} was {found.status}: {found.reason}." if found else ""
    text = (
        f"Nothing here is known about accuracy on real faces.{why} Scores on drawn faces check the "
        "pipeline only, and stand under Verification."
    )
    return [Statement("–", text, ())]
