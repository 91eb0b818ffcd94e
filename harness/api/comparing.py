"""Says what became slower, larger or less accurate, of records or of what names them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from facebench.architectures.errors import BadInputError
from facebench.harness.api.record_set import html_table
from facebench.harness.comparison import extract
from facebench.harness.comparison.baselines import Baselines, default_root
from facebench.harness.comparison.compare import Side
from facebench.harness.comparison.entry import Entry
from facebench.harness.comparison.request import compare_sides, require_something
from facebench.harness.comparison.sources import load
from facebench.harness.comparison.verdict import Comparison, Policy
from facebench.harness.comparison.wording import case_text, in_short
from facebench.harness.measures.registry import MEASURES
from facebench.harness.models.networks import Network
from facebench.harness.records.record import Record

if TYPE_CHECKING:
    import pandas as pd


def compare(
    before: Iterable[Record] | str | Path,
    after: Iterable[Record] | str | Path,
    *,
    margin: float = Policy.margin,
    across: Collection[str] = (),
    measures: Sequence[str] = (),
    networks: tuple[str | Network, str | Network] | None = None,
) -> Changes:
    """Say what became slower, larger or less accurate from one side to the other.

    Args:
        before: what `read`, `latency` and the others return; or a file of records, a run's
            folder, `baseline:NAME`, or JSON of another benchmark tool.
        after: likewise.
        margin: of times, relative: smaller changes are no alarm, and `same` is within it.
        across: differences of environments in spite of which both are compared, such as
            `versions`.
        measures: only these; all where there are none.
        networks: the one of `before` that the one of `after` is held against, figure by figure,
            where they are two; None compares each network with itself.

    Raises:
        UnknownNameError: there is no such measure.
        BadInputError: a side is not there or empty, or they have no case in common.
        RefusedError: nothing that both have can be compared; the message says why.

    Example:
        >>> import facebench
        >>> from torch import nn
        >>> block = nn.Sequential(nn.Conv2d(3, 8, 3, 2), nn.Flatten())
        >>> counted = facebench.cost(block, size=8)
        >>> facebench.compare(counted, counted).counts
        {'same': 6}
    """
    policy = Policy(margin, across=frozenset(across))
    base, new = _side(before, "before", measures), _side(after, "after", measures)
    if networks is not None:
        base, new = _against(base, new, *map(_name, networks))
    found = compare_sides(base, new, policy)
    require_something(found)
    return Changes(**vars(found))


class Changes(Comparison):
    """It is a comparison: `regressions`, `gains` and all `lines`; a notebook shows a table.

    Example:
        >>> import facebench
        >>> from torch import nn
        >>> block = nn.Sequential(nn.Conv2d(3, 8, 3, 2), nn.Flatten())
        >>> counted = facebench.cost(block, size=8)
        >>> len(facebench.compare(counted, counted).regressions)
        0
    """

    def frame(self) -> pd.DataFrame:
        """Return a row for each figure: both values, the change with its interval, the verdict.

        A change is relative; that of an accuracy is a difference.
        """
        import pandas as pd

        return pd.DataFrame(
            [
                {
                    "case": case_text(line.case),
                    "figure": line.figure,
                    "before": line.base,
                    "after": line.new,
                    "unit": line.unit,
                    "change": line.change,
                    "lower": line.interval[0] if line.interval else None,
                    "upper": line.interval[1] if line.interval else None,
                    "verdict": str(line.verdict),
                    "kind": line.kind,
                    "reason": line.reason,
                }
                for line in self.lines
            ]
        )

    def __repr__(self) -> str:
        return in_short(self)

    def _repr_html_(self) -> str:
        return html_table(self.frame())


def _against(base: Side, new: Side, first: str, second: str) -> tuple[Side, Side]:
    """Return what the sides hold of two networks, as if both were the second."""
    ours, theirs = _of(base, first), _of(new, second)
    alike = [
        replace(one, case=replace(one.case, network=second, weights=theirs[0].case.weights))
        for one in ours
    ]
    return Side(first, tuple(alike)), Side(second, tuple(theirs))


def _of(side: Side, network: str) -> list[Entry]:
    found = [one for one in side.entries if one.case.network == network]
    weights = {one.case.weights for one in found}
    if not found:
        names = ", ".join(sorted({one.case.network for one in side.entries}))
        raise BadInputError(f"{side.name} holds nothing of {network}, but of {names}")
    if len(weights) > 1:
        raise BadInputError(
            f"{side.name} holds {len(weights)} weights of {network}: filter(weights=...) chooses"
        )
    return found


def _name(network: str | Network) -> str:
    return network if isinstance(network, str) else network.name


def _side(given: Iterable[Record] | str | Path, name: str, measures: Sequence[str]) -> Side:
    if isinstance(given, str | Path):
        return load(str(given), Baselines(default_root()), measures)
    for measure in measures:
        MEASURES[measure]
    entries = extract.entries(list(given))
    kept = [one for one in entries if not measures or one.case.measure in measures]
    return Side(name, tuple(kept))
