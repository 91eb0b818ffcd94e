"""Judges claims on parameters, MAdds and size: counts, which decide by themselves."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated

from msgspec import Meta

from facebench.harness.records.cost import Cost
from facebench.reports.claims import (
    REFUTED,
    SUPPORTED,
    UNDECIDED,
    Claim,
    ClaimFinding,
    Words,
    judgement,
)
from facebench.reports.claims.relations import FigureClaim
from facebench.reports.digits import Estimate, significant
from facebench.reports.evidence import Evidence

_NEEDS = "the cost of {networks}"
_COUNTED = ("counted", "published")
# Figures of papers are in millions, and in megabytes of 10^6 bytes.
_MILLION = 1e6

_Counting = Callable[[Cost], Mapping[str, int]]


@dataclass(frozen=True, kw_only=True)
class CountClaim(FigureClaim):
    """It is a claim on a count, or on how many times another network's count it is.

    Attributes:
        networks: whose count, in millions or megabytes; of two, the first's over the second's.
    """

    networks: Annotated[
        tuple[Words, ...],
        Meta(min_length=1, max_length=2, description="a list of one or two networks"),
    ]

    @property
    def named(self) -> tuple[str, ...]:
        """Return the networks."""
        return self.networks


@dataclass(frozen=True, kw_only=True)
class AddedCostClaim(Claim):
    """It is a claim on what one layer adds to a network.

    Attributes:
        networks: with the layer, and without.
        figure: that it adds, in MAdds and as many parameters.
        biases: that folding batch normalization leaves the layer besides, one a channel.
    """

    networks: Annotated[tuple[Words, Words], Meta(description="two networks, [A, B]")]
    figure: Annotated[int, Meta(ge=1, le=10**15, description="a whole number from 1 to 1e15")]
    biases: Annotated[
        int, Meta(ge=0, le=10**9, description="a whole number from 0 to 1,000,000,000")
    ] = 0

    @property
    def named(self) -> tuple[str, ...]:
        """Return both networks."""
        return self.networks


@judgement("parameters", CountClaim, needs=_NEEDS)
def parameters(evidence: Evidence, claim: CountClaim) -> Sequence[ClaimFinding]:
    """Judge the parameters by both ways to count: batch normalization folded, and as trained."""
    return _counted(evidence, claim, _parameters, "M", 4)


@judgement("madds", CountClaim, needs=_NEEDS)
def madds(evidence: Evidence, claim: CountClaim) -> Sequence[ClaimFinding]:
    """Judge the multiply-adds by each counting rule."""
    return _counted(evidence, claim, lambda cost: cost.madds, "M", 4)


@judgement("size", CountClaim, needs=_NEEDS)
def size(evidence: Evidence, claim: CountClaim) -> Sequence[ClaimFinding]:
    """Judge the bytes of the weights in single precision."""
    return _counted(evidence, claim, _bytes, "MB", 3)


@judgement("added cost", AddedCostClaim, needs=_NEEDS)
def added_cost(evidence: Evidence, claim: AddedCostClaim) -> Sequence[ClaimFinding]:
    """Judge what the whole network grows by."""
    costs = _costs(evidence, claim.networks)
    if costs is None:
        return []
    larger, plain = costs
    folded = "parameters, BN folded"
    return [
        _grown("MAdds", larger.madds["conv+linear"], plain.madds["conv+linear"], claim, 0),
        _grown(folded, larger.parameters_bn_folded, plain.parameters_bn_folded, claim,
               claim.biases),
    ]  # fmt: skip


def _parameters(cost: Cost) -> Mapping[str, int]:
    return {"BN folded": cost.parameters_bn_folded, "as trained": cost.parameters}


def _bytes(cost: Cost) -> Mapping[str, int]:
    return {
        f"{precision}, BN folded": size
        for precision, size in cost.size_bytes.items()
        if precision == "fp32"
    }


def _counted(
    evidence: Evidence, claim: CountClaim, count: _Counting, unit: str, digits: int
) -> list[ClaimFinding]:
    """Return a finding for each rule that all the networks are counted by."""
    costs = _costs(evidence, claim.networks)
    if costs is None:
        return []
    counts = [count(cost) for cost in costs]
    if len(counts) == 1:
        return [_absolute(claim, *rule, unit, digits) for rule in counts[0].items()]
    ours, theirs = counts
    return [_relative(claim, rule, ours[rule], theirs[rule]) for rule in ours if theirs.get(rule)]


def _absolute(claim: CountClaim, rule: str, count: int, unit: str, digits: int) -> ClaimFinding:
    value = count / _MILLION
    if claim.relation == "equal to":
        found = SUPPORTED if _rounds(value, claim) else REFUTED
        so = "rounds" if found == SUPPORTED else "does not round"
        why = f"{count:,} {so} to the paper's figure."
    else:
        found = _decided(claim, value)
        so = "is" if found == SUPPORTED else "is not"
        why = f"{count:,} {so} {claim.relation} {claim.published.value:g} {unit}."
    figure = f"{significant(value, digits)} {unit}"
    return ClaimFinding(found, rule, figure, "", _COUNTED, why, claim.notes)


def _relative(claim: CountClaim, rule: str, ours: int, theirs: int) -> ClaimFinding:
    first, second = claim.networks
    why = f"{first} has {ours:,}, {second} {theirs:,}."
    figure = f"{significant(ours / theirs, 3)}×"
    verdict = _decided(claim, ours / theirs)
    return ClaimFinding(verdict, rule, figure, "", _COUNTED, why, claim.notes)


def _grown(what: str, larger: int, plain: int, claim: AddedCostClaim, biases: int) -> ClaimFinding:
    more = larger - plain
    verdict = SUPPORTED if more in (claim.figure, claim.figure + biases) else REFUTED
    why = f"It is {more / plain:.2%} of {plain / _MILLION:.3f} M."
    return ClaimFinding(verdict, what, f"{more:+,}", "", _COUNTED, why, claim.notes)


def _rounds(value: float, claim: CountClaim) -> bool:
    """Say whether a count, cut or rounded, is the published one: papers do either."""
    published = claim.published
    cut = published.value <= value < published.value + claim.rounding
    return cut or published.low <= value <= published.high


def _decided(claim: CountClaim, value: float) -> str:
    """Return a verdict, which a count never leaves open: at a limit it is not beyond it."""
    found = claim.verdict(Estimate(value, value, value))
    return REFUTED if found == UNDECIDED else found


def _costs(evidence: Evidence, networks: Sequence[str]) -> list[Cost] | None:
    found = [evidence.costs[name] for name in networks if name in evidence.costs]
    return found if len(found) == len(networks) else None
