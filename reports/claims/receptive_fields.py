"""Judges the claim that units see less of the face the nearer to a corner they are."""

from __future__ import annotations

from collections.abc import Sequence

from facebench.harness.records.receptive_fields import Fields
from facebench.harness.records.record import Record
from facebench.reports.claims import (
    REFUTED,
    SUPPORTED,
    UNDECIDED,
    Claim,
    ClaimFinding,
    judgement,
)
from facebench.reports.claims.places import sentence
from facebench.reports.evidence import Evidence
from facebench.reports.tables import of_measure


@judgement(
    "receptive fields",
    Claim,
    needs="receptive fields of a trained network, which 'facebench run' adds for trained weights",
)
def receptive_fields(evidence: Evidence, claim: Claim) -> Sequence[ClaimFinding]:
    """Show what the corner unit sees of what the central one does, and the weights learned."""
    return [
        _corner(record, record.result, claim)
        for record in of_measure(evidence.records, "fields")
        if isinstance(record.result, Fields)
    ]


def _corner(record: Record, found: Fields, claim: Claim) -> ClaimFinding:
    emphasis = found.centre_emphasis
    why = f"the corner unit sees {found.corner_share:.2f} of what the central one does, in all"
    verdict = SUPPORTED if found.corner_share < 1 else REFUTED
    if emphasis is None:
        why += "; it has no GDConv, so that it shows half of the claim"
        verdict = UNDECIDED if verdict == SUPPORTED else verdict
    else:
        why += f"; GDConv's inner places weigh {emphasis:.2f} times as much as its outermost ring"
        verdict = verdict if emphasis > 1 else REFUTED
    figure = f"{found.corner_share:.2f}"
    place = f"{record.case.network}, {record.case.weights[:15]}"
    kinds = (record.kind,)
    return ClaimFinding(verdict, place, figure, "", kinds, sentence(why), claim.notes)
