"""Computes what a face costs to verify: inferences of an embedding, and accuracy beside them.

Where a network was scored with an image and its mirror joined, one embedding takes
two inferences. A latency that stands beside such an accuracy has to say so.
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
class EmbeddingPoint:
    """It holds accuracy and time of one network with the same weights.

    Attributes:
        network: its name.
        time: of one face's embedding in milliseconds, mirror image included.
        score: the record of its accuracy.
        row: the latency record's.
        inferences: of one embedding, 1 or 2.
    """

    network: str
    time: Estimate
    score: Record
    row: LatencyRow
    inferences: int


def inferences(flip: str) -> int:
    """Return how many inferences one embedding takes.

    Example:
        >>> inferences("none"), inferences("sum"), inferences("concatenation")
        (1, 2, 2)
    """
    return 2 if flip in _MIRRORED else 1


def inferences_of(*records: Record | None) -> int:
    """Return the same of what was scored; of the first record that holds a score."""
    for record in records:
        if record is not None and record.status == "ok" and isinstance(record.result, Accuracy):
            return inferences(record.result.flip)
    return 1


def embedding_time(inference: Estimate, count: int) -> Estimate:
    """Time of an embedding that takes so many inferences."""
    return Estimate(count * inference.value, count * inference.low, count * inference.high)


def points(evidence: Evidence, dataset: str, setting: Setting) -> list[EmbeddingPoint]:
    """Return networks that have a time under a setting and a score on a dataset, with equal
    weights.
    """
    candidates = [
        _point(network, row, score)
        for network in evidence.networks
        for row in evidence.timed(network, setting)
        if (score := _score(evidence, row, dataset)) is not None
    ]
    # Of several weights the newest.
    return list({one.network: one for one in candidates if one}.values())


def plotted_settings(evidence: Evidence, dataset: str) -> list[Setting]:
    """Return settings under which any network has both."""
    found = settings(evidence.latencies, threads=THREADS)
    return [one for one in found if one.batch == 1 and points(evidence, dataset, one)]


def real_dataset(evidence: Evidence) -> str | None:
    """Return the dataset of real faces that most networks have a score on."""
    networks: dict[str, set[str]] = {}
    for record in evidence.scores:
        if real_faces(record):
            networks.setdefault(record.case.dataset, set()).add(record.case.network)
    return max(networks, key=lambda name: len(networks[name])) if networks else None


def mixed(scores: Iterable[Record]) -> bool:
    """Return whether some were scored with the mirror image and some without."""
    return len({inferences_of(score) for score in scores}) > 1


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


def _point(network: str, row: LatencyRow, score: Record) -> EmbeddingPoint | None:
    if row.median is None:
        return None
    count = inferences_of(score)
    return EmbeddingPoint(network, embedding_time(row.median, count), score, row, count)
