"""Judges a ratio of two times by the model of ARM cores, where its interval decides."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from facebench.reports.claims import UNDECIDED, ClaimFinding
from facebench.reports.digits import Estimate, earned, interval
from facebench.reports.emulated import places
from facebench.reports.evidence import Evidence


def modelled(
    evidence: Evidence, network: str, judge: Callable[[Estimate], str]
) -> Iterator[ClaimFinding]:
    """Yield a finding for each emulated place that has a network and the baseline.

    Args:
        evidence: with records of modelled times.
        network: whose time over the baseline's is judged.
        judge: the verdict on such a ratio with its interval.
    """
    kinds = ("modelled", "published")
    for place in places(evidence):
        row = place.row(network)
        found = place.ratio(row) if row else None
        if found is None:
            continue
        name = f"{place.label}, 1 thread"
        if found.interval is None:
            figure = f"{found.value:.2f}×"
            yield ClaimFinding(UNDECIDED, name, figure, "", kinds, found.why_not)
            continue
        estimate = Estimate(found.value, *found.interval)
        verdict = judge(estimate)
        if verdict == UNDECIDED:
            why = "Modelled, and the interval of a modelled ratio is too wide to decide."
        else:
            why = "Modelled: nothing was timed there, but the interval of a modelled ratio decides."
        yield ClaimFinding(verdict, name, f"{earned(estimate)}×", interval(estimate), kinds, why)
