"""Scores of faces as a notebook has them: the records, and what their pairs say beyond accuracy."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape
from typing import TYPE_CHECKING, Any

from facebench.harness.api.record_set import Records, html_table
from facebench.harness.comparison.verification_run import VerificationOutcome
from facebench.harness.records.accuracy import Bounded, OperatingPoint
from facebench.harness.records.record import Record

if TYPE_CHECKING:
    import pandas as pd


class Scores(Records):
    """They are scored records, with data frames of what else was asked of their pairs.

    In each frame a row is a figure: `value` with the ends of its 95 % interval `lower` and
    `upper`, which are empty where it is refused.

    Attributes:
        outcome: what the frames are made of.

    Example:
        >>> import facebench
        >>> from torch import nn
        >>> pooled = nn.Sequential(nn.AdaptiveAvgPool2d(4), nn.Flatten())
        >>> scored = facebench.verify(pooled, runtime="onnxruntime", quality="norm", far=0.1)
        >>> print(*scored.rates().loc[0, ["figure", "far"]])
        TAR 0.1
        >>> scored.reject_curves().share.to_list()
        [0.0, 0.05, 0.1, 0.2, 0.3]
    """

    def __init__(self, outcome: VerificationOutcome) -> None:
        super().__init__(outcome.records)
        self.outcome = outcome

    def rates(self) -> pd.DataFrame:
        """Return TAR at each FAR that was asked for and that the impostor pairs support."""
        summaries = self.outcome.summaries
        return _frame(
            {**_who(record), **_point(rate.point), **_figure("TAR", rate.tar)}
            for record in self.outcome.scored
            if record.case.key in summaries
            for rate in summaries[record.case.key].tar
        )

    def thresholds(self) -> pd.DataFrame:
        """Return FAR and FRR at thresholds of `threshold_from`, each with the FAR it was set for.

        Those that its pairs do not support are in `outcome.transfers.refused`.
        """
        return _frame(
            {
                **_who(one.record),
                "set_on": one.source.case.dataset,
                **_point(one.point),
                **_figure(name, rate),
            }
            for one in self.outcome.transfers.found
            for name, rate in (("FAR", one.there.far), ("FRR", one.there.frr))
        )

    def normalized(self) -> pd.DataFrame:
        """Return figures of scores normalized by `cohort`, by each `method`: z, t and s.

        `gain` is of accuracy, over the scores as they were on the same pairs.
        """
        rows: list[dict[str, Any]] = []
        for one in self.outcome.normalized:
            gain = Bounded(one.gain.difference, None if one.gain.refused else one.gain.interval)
            of = {**_who(one.record), "method": one.method}
            rows += [
                {**of, **_figure("accuracy", Bounded(one.score.accuracy, None))},
                {**of, **_figure("gain", gain)},
                {**of, **_figure("EER", one.summary.eer)},
                *(
                    {**of, **_point(rate.point), **_figure("TAR", rate.tar)}
                    for rate in one.summary.tar
                ),
            ]
        return _frame(rows)

    def reject_curves(self) -> pd.DataFrame:
        """Return FRR where a `share` of the pairs is left out, those of the lowest `quality`.

        The threshold is set on all pairs.
        """
        return _frame(
            {**_who(one.record), **_point(one.curve.point), "share": share, **_figure("FRR", frr)}
            for one in self.outcome.curves
            for share, frr in zip(one.curve.shares, one.curve.frr, strict=True)
        )

    def comparisons(self) -> pd.DataFrame:
        """Return the difference of accuracy of every two on the same pairs, second minus first.

        With the pairs that they decide differently (`changed`), Holm's `p` and a verdict.
        """
        return _frame(
            {
                **{f"first_{name}": value for name, value in _who(one.first).items()},
                **{f"second_{name}": value for name, value in _who(one.second).items()},
                **_figure(
                    "difference",
                    Bounded(
                        one.paired.difference, None if one.paired.refused else one.paired.interval
                    ),
                ),
                "p": one.adjusted_p,
                "changed": one.changed,
                "pairs": one.paired.pairs,
                "verdict": one.verdict,
            }
            for one in self.outcome.agreements
        )

    def _repr_html_(self) -> str:
        frames = (self.thresholds(), self.normalized(), self.reject_curves(), self.comparisons())
        notes = [f"<div>{escape(text)}</div>" for text in self.outcome.transfers.refused]
        return "".join(
            [super()._repr_html_(), *(html_table(one) for one in frames if len(one)), *notes]
        )


def _frame(rows: Iterable[dict[str, Any]]) -> pd.DataFrame:
    import pandas as pd

    return pd.DataFrame(list(rows))


def _who(record: Record) -> dict[str, Any]:
    case = record.case
    return {name: getattr(case, name) for name in ("network", "runtime", "precision", "dataset")}


def _point(point: OperatingPoint) -> dict[str, Any]:
    return {"far": point.rate, "threshold": point.threshold}


def _figure(name: str, found: Bounded) -> dict[str, Any]:
    lower, upper = found.interval or (None, None)
    return {"figure": name, "value": found.value, "lower": lower, "upper": upper}
