"""Says how a figure of ours has to stand to a published one, and what its interval decides."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from msgspec import Meta

from facebench.architectures.errors import BadInputError
from facebench.reports.claims import REFUTED, SUPPORTED, UNDECIDED, Claim
from facebench.reports.digits import Estimate

Relation = Literal["more than", "less than", "at least", "at most", "equal to"]
Figure = Annotated[float, Meta(gt=0, le=1e15, description="a number above 0, at most 1e15")]


@dataclass(frozen=True, kw_only=True)
class FigureClaim(Claim):
    """It is a claim that a figure stands so to a published one.

    Attributes:
        relation: of our figure to the published one.
        figure: as published.
        of: what it is divided by, where the paper says a share or a ratio by two figures.
        rounding: the unit that the published figures are rounded to; 0 where they are exact, as
            a bound is.
    """

    relation: Relation
    figure: Figure
    of: Figure | None = None
    rounding: Annotated[float, Meta(ge=0, le=1e15, description="a number from 0 to 1e15")] = 0.0

    def __post_init__(self) -> None:
        """Refuse a rounding that leaves nothing of a figure."""
        if self.rounding >= min(self.figure, self.of or self.figure):
            raise BadInputError(
                f"rounding = {self.rounding:g} is no unit that its figures can be rounded to: "
                "give one below them"
            )

    @property
    def published(self) -> Estimate:
        """Return the published figure, and all that may have been rounded to it."""
        half = self.rounding / 2
        if self.of is None:
            return Estimate(self.figure, self.figure - half, self.figure + half)
        low, high = (self.figure - half) / (self.of + half), (self.figure + half) / (self.of - half)
        return Estimate(self.figure / self.of, low, high)

    def verdict(self, found: Estimate) -> str:
        """Return the verdict on a figure of ours, by all of its interval."""
        return verdict(found, self.relation, self.published)


def verdict(found: Estimate, relation: Relation, published: Estimate) -> str:
    """Return whether a figure stands so to a published one: what its interval leaves open is.

    Args:
        found: our figure.
        relation: that the paper claims.
        published: the paper's figure; what its rounding allows is granted to the paper.
    """
    if relation == "equal to":
        if found.high < published.low or found.low > published.high:
            return REFUTED
        inside = published.low <= found.low and found.high <= published.high
        return SUPPORTED if inside else UNDECIDED
    upwards = relation in ("more than", "at least")
    side = 1 if upwards else -1
    limit = side * (published.low if upwards else published.high)
    near, far = sorted((side * found.low, side * found.high))
    reached = near >= limit if relation.startswith("at") else near > limit
    return SUPPORTED if reached else REFUTED if far < limit else UNDECIDED
