"""Uses a threshold that was set on one dataset on another, as a product does."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from facebench.architectures.errors import RefusedError
from facebench.harness.records.accuracy import Accuracy, OperatingPoint
from facebench.harness.records.record import Record
from facebench.harness.verification.intervals import FixedRates, rates_at
from facebench.harness.verification.metrics import tar_at_far


@dataclass(frozen=True)
class Transfer:
    """It is a network's threshold of one dataset, and its errors on another.

    Attributes:
        source: the record that the threshold was set on.
        record: the one that it is used on.
        point: the threshold, and the FAR that it was set for.
        there: FAR and FRR of the other dataset, with intervals; the threshold is no chance.
    """

    source: Record
    record: Record
    point: OperatingPoint
    there: FixedRates


@dataclass(frozen=True)
class Transfers:
    """They are the thresholds that could be set, and why the others could not.

    Attributes:
        found: network by network, in the order of the rates.
        refused: sentences.
    """

    found: tuple[Transfer, ...] = ()
    refused: tuple[str, ...] = ()


def transfers(records: Sequence[tuple[Record, Record]], fars: Sequence[float]) -> Transfers:
    """Set thresholds at FARs on the first of two records, and use them on the second.

    Args:
        records: of the same network in the same runtime, on two datasets.
        fars: that thresholds are set for, 0 to 1.
    """
    refused: dict[str, None] = {}
    found = [one for source, record in records for one in _of_one(source, record, fars, refused)]
    return Transfers(tuple(found), tuple(refused))


def _of_one(
    source: Record, record: Record, fars: Sequence[float], refused: dict[str, None]
) -> Iterator[Transfer]:
    for one in (source, record):
        if not isinstance(one.result, Accuracy) or one.result.scores is None:
            return
    assert isinstance(source.result, Accuracy)
    assert isinstance(record.result, Accuracy)
    first, second = source.result.scores, record.result.scores
    assert first is not None
    assert second is not None
    for far in fars:
        try:
            point = tar_at_far(first.scores, first.same, far)
        except RefusedError as error:
            refused[f"{source.case.dataset}: {error}"] = None
        else:
            yield Transfer(source, record, point, rates_at(second, point.threshold))
