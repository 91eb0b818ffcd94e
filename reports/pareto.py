"""Sets accuracy against what it costs: points with intervals on both axes, and their front.

Times come first: what a phone's user waits for is the cost that counts.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache

from facebench.harness.records.accuracy import Accuracy
from facebench.harness.records.record import Record
from facebench.harness.stats.procedures import procedure
from facebench.reports.cells import percent
from facebench.reports.digits import Estimate, ratio
from facebench.reports.evidence import Evidence, real_faces
from facebench.reports.tables import Setting
from facebench.reports.time_ratios import beyond, undisturbed
from facebench.reports.trade_off import plotted_settings, real_dataset, trade_offs


@dataclass(frozen=True)
class Spot:
    """A spot is a network in one plane.

    Attributes:
        network: its name.
        x: cost, with its interval; of a count both ends are the count.
        y: accuracy in percent, with its interval.
        kinds: of the cost and of the accuracy.
        time: the record of the cost, where that is a time.
        front: whether no other network of the plane is shown to be as accurate at as little
            cost, and better at one of both.
        shown: whether it is on the front, and shown to be more accurate than each cheaper one.
    """

    network: str
    x: Estimate
    y: Estimate
    kinds: tuple[str, str]
    time: Record | None = field(default=None, repr=False)
    front: bool = False
    shown: bool = False


@dataclass(frozen=True)
class Plane:
    """A plane shows networks against one cost.

    Attributes:
        axis: the cost with its unit.
        spots: by cost, the least first.
        setting: of the times; None for a count.
        scores: the records of the accuracies.
    """

    axis: str
    spots: tuple[Spot, ...]
    setting: Setting | None = None
    scores: tuple[Record, ...] = field(default=(), repr=False)

    @property
    def line(self) -> list[Spot]:
        """Return the spots whose place on the front is shown, each more accurate than the last."""
        return [spot for spot in self.spots if spot.shown]


# The figure, its chart and its caption ask for the same.
@lru_cache(maxsize=1)
def planes(evidence: Evidence) -> tuple[Plane, ...]:
    """Return a plane by the time of one inference in each setting, by MAdds and by size.

    There are none without real faces, and none of a single network.
    """
    dataset = real_dataset(evidence)
    if dataset is None:
        return ()
    timed = [_timed(evidence, dataset, one) for one in plotted_settings(evidence, dataset)]
    made = [*timed, *_counted(evidence, dataset)]
    return tuple(plane for plane in made if len(plane.spots) > 1)


def _timed(evidence: Evidence, dataset: str, setting: Setting) -> Plane:
    found = [one for one in trade_offs(evidence, dataset, setting) if not one.row.untuned]
    spots = [
        Spot(
            one.network,
            one.time,
            _accuracy(one.score.result),
            (setting.kind, one.score.kind),
            one.row.record,
        )
        for one in found
    ]
    plane = _plane(f"latency in {setting.label}, ms", spots)
    return replace(plane, setting=setting, scores=tuple(one.score for one in found))


def _counted(evidence: Evidence, dataset: str) -> list[Plane]:
    counted: dict[str, list[Spot]] = {"MAdds, M": [], "size in fp32, MB": []}
    scores = []
    for network in evidence.networks:
        cost, score = evidence.costs.get(network), evidence.score(network, dataset)
        if cost is None or score is None or not real_faces(score):
            continue
        scores.append(score)
        for axis, count in zip(
            counted, (cost.madds["conv+linear"], cost.size_bytes.get("fp32", 0)), strict=True
        ):
            x = Estimate(count / 1e6, count / 1e6, count / 1e6)
            spot = Spot(network, x, _accuracy(score.result), ("counted", score.kind))
            counted[axis].append(spot)
    made = [_plane(axis, found) for axis, found in counted.items()]
    return [replace(plane, scores=tuple(scores)) for plane in made]


@procedure("Pareto front")
def placed(spots: Sequence[Spot]) -> list[Spot]:
    """Say what is shown of each spot, by the intervals of its differences to the others."""
    return [_placed(one, [other for other in spots if other is not one]) for one in spots]


def _placed(one: Spot, others: Sequence[Spot]) -> Spot:
    front = not any(_beats(other, one) for other in others)
    # Of equal cost the more accurate one stands before.
    place = one.x.value, -one.y.value
    cheaper = [other for other in others if (other.x.value, -other.y.value) < place]
    shown = front and all(_lead(one, other) > 0 for other in cheaper)
    return replace(one, front=front, shown=shown)


def _beats(one: Spot, other: Spot) -> bool:
    """Return whether one is shown to be as good on both axes, and better on one."""
    lead, share = _lead(one, other), _share(one, other)
    return lead >= 0 and share <= 1 and (lead > 0 or share < 1)


def _lead(one: Spot, other: Spot) -> float:
    """Return the least, in points, by which one is the more accurate, with 95 % confidence.

    The interval is made from those of both (G. Y. Zou, A. Donner, "Construction of confidence
    limits about effect measures", Statistics in Medicine 27, 2008). Networks err on the same
    pairs, so that it is rather too wide.
    """
    side = math.hypot(one.y.value - one.y.low, other.y.high - other.y.value)
    return one.y.value - other.y.value - side


def _share(one: Spot, other: Spot) -> float:
    """Return the most that one costs of the other's cost, with 95 % confidence."""
    if one.time is None or other.time is None:
        return one.x.value / other.x.value
    share = beyond(ratio(one.x, other.x), one.time, other.time)
    found = undisturbed(share, one.time, other.time)
    return found.high if found else math.inf


def _plane(axis: str, found: Sequence[Spot]) -> Plane:
    return Plane(axis, tuple(sorted(placed(found), key=lambda spot: spot.x.value)))


def _accuracy(result: object) -> Estimate:
    assert isinstance(result, Accuracy)
    return percent(result)
