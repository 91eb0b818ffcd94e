"""Pairs each network's accuracy on real faces with its latency: equal weights, one inference.

A latency is that of one inference everywhere. Where a network was scored with an image and its
mirror joined, a face takes two: what stands beside such an accuracy has to say so.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from facebench.harness.records.accuracy import Accuracy
from facebench.harness.records.record import Record
from facebench.reports.digits import Estimate
from facebench.reports.evidence import Evidence, real_faces, representative_score
from facebench.reports.tables import LatencyRow, Setting, settings

THREADS = 1

_MIRRORED = ("sum", "concatenation")


@dataclass(frozen=True)
class TradeOff:
    """It holds accuracy and latency of one network with the same weights.

    Attributes:
        network: its name.
        time: of one inference, in milliseconds.
        score: the record of its accuracy.
        row: the latency record's.
    """

    network: str
    time: Estimate
    score: Record
    row: LatencyRow


def inferences(flip: str) -> int:
    """Return how many inferences a face takes.

    Example:
        >>> inferences("none"), inferences("sum"), inferences("concatenation")
        (1, 2, 2)
    """
    return 2 if flip in _MIRRORED else 1


def inferences_of(record: Record | None) -> int:
    """Return how many inferences a face took where it was scored; 1 where it was not."""
    if record is not None and record.status == "ok" and isinstance(record.result, Accuracy):
        return inferences(record.result.flip)
    return 1


def trade_offs(evidence: Evidence, dataset: str, setting: Setting) -> list[TradeOff]:
    """Return networks that have a time under a setting and a score on a dataset, with equal
    weights.
    """
    candidates = [
        TradeOff(network, row.median, score, row)
        for network in evidence.networks
        for row in evidence.timed(network, setting)
        if row.median is not None and (score := _score(evidence, row, dataset)) is not None
    ]
    # Of several weights the newest.
    return list({one.network: one for one in candidates}.values())


def plotted_settings(evidence: Evidence, dataset: str) -> list[Setting]:
    """Return settings under which any network has both."""
    found = settings(evidence.latencies, threads=THREADS)
    return [one for one in found if one.batch == 1 and trade_offs(evidence, dataset, one)]


def real_dataset(evidence: Evidence) -> str | None:
    """Return the dataset of real faces that most networks have a score on."""
    networks: dict[str, set[str]] = {}
    for record in evidence.scores:
        if real_faces(record):
            networks.setdefault(record.case.dataset, set()).add(record.case.network)
    return max(networks, key=lambda name: len(networks[name])) if networks else None


def mirrored(scores: Iterable[Record]) -> str:
    """Return a sentence on the inferences that a face took where it was scored."""
    counts = {inferences_of(score) for score in scores}
    if counts == {2}:
        return (
            "Accuracy is that of each image and its mirror together: a face takes two inferences "
            "then."
        )
    if counts == {1, 2}:
        return (
            "Some accuracies are those of each image and its mirror together: a face takes two "
            "inferences then."
        )
    return ""


def _score(evidence: Evidence, row: LatencyRow, dataset: str) -> Record | None:
    """Return the score of what was timed: weights and precision equal, the runtime if possible."""
    same = [
        record
        for record in evidence.scores
        if real_faces(record)
        and record.case.dataset == dataset
        and (record.case.network, record.case.weights, record.case.precision)
        == (row.network, row.weights, row.setting.precision)
    ]
    here = [record for record in same if record.case.runtime == row.setting.runtime]
    # Runtimes round single precision alike, but each quantizes in its own way.
    return representative_score(here or (same if row.setting.precision == "fp32" else []))
