"""Accuracy against what it costs: points with intervals on both axes, and their front."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from facebench.harness.records.accuracy import Accuracy
from facebench.reports.cells import percent
from facebench.reports.digits import Estimate
from facebench.reports.embedding_time import plotted_settings, points, real_dataset
from facebench.reports.evidence import Evidence, real_faces


@dataclass(frozen=True)
class Spot:
    """A network in one plane.

    Attributes:
        network: its name.
        x: cost, with its interval; of a count both ends are the count.
        y: accuracy in percent, with its interval.
        kinds: of the cost and of the accuracy.
        front: whether no other network of the plane is as accurate at as little cost.
    """

    network: str
    x: Estimate
    y: Estimate
    kinds: tuple[str, str]
    front: bool = False


@dataclass(frozen=True)
class Plane:
    """Networks against one cost.

    Attributes:
        axis: the cost with its unit.
        spots: by cost, the least first.
    """

    axis: str
    spots: tuple[Spot, ...]

    @property
    def front(self) -> list[Spot]:
        """Those on the front, in order."""
        return [spot for spot in self.spots if spot.front]


# The figure, its chart and its caption ask for the same.
@lru_cache(maxsize=1)
def planes(evidence: Evidence) -> tuple[Plane, ...]:
    """MAdds, size, then the time of an embedding in each setting; none without real faces."""
    dataset = real_dataset(evidence)
    if dataset is None:
        return ()
    counted: dict[str, list[Spot]] = {"MAdds, M": [], "size in fp32, MB": []}
    for network in evidence.networks:
        cost, score = evidence.costs.get(network), evidence.score(network, dataset)
        if cost is None or score is None or not real_faces(score):
            continue
        assert isinstance(score.result, Accuracy)
        accuracy = percent(score.result)
        for axis, count in zip(
            counted, (cost.madds["conv+linear"], cost.size_bytes.get("fp32", 0)), strict=True
        ):
            x = Estimate(count / 1e6, count / 1e6, count / 1e6)
            counted[axis].append(Spot(network, x, accuracy, ("counted", score.kind)))
    made = [_plane(axis, found) for axis, found in counted.items()]
    for setting in plotted_settings(evidence, dataset):
        found = [
            Spot(one.network, one.time, _accuracy(one.score.result), (setting.kind, one.score.kind))
            for one in points(evidence, dataset, setting)
            if not one.row.untuned
        ]
        made.append(_plane(f"ms of an embedding, {setting.label}", found))
    return tuple(plane for plane in made if len(plane.spots) > 1)


def on_front(spots: Sequence[Spot]) -> list[bool]:
    """Whether each spot is on the front, by the figures themselves; intervals are shown beside."""
    return [
        not any(
            other.x.value <= one.x.value
            and other.y.value >= one.y.value
            and (other.x.value, other.y.value) != (one.x.value, one.y.value)
            for other in spots
        )
        for one in spots
    ]


def _plane(axis: str, found: Sequence[Spot]) -> Plane:
    flags = on_front(found)
    marked = [Spot(s.network, s.x, s.y, s.kinds, f) for s, f in zip(found, flags, strict=True)]
    return Plane(axis, tuple(sorted(marked, key=lambda spot: spot.x.value)))


def _accuracy(result: object) -> Estimate:
    assert isinstance(result, Accuracy)
    return percent(result)
