"""Cells that several sections have in common."""

from __future__ import annotations

from scipy.special import stdtrit

from harness.record import Accuracy, Record
from reports.digits import Estimate, earned, interval, significant
from reports.page import Cell, Notes
from reports.tables import LatencyRow

NOTHING = Cell("–")

# With fewer samples no pair of order statistics covers the median with 95 %.
FEWEST_SAMPLES = 6


def absent(status: str, reason: str, notes: Notes) -> Cell:
    """Stands where a figure was refused or failed; the reason becomes a note."""
    return Cell(status, notes=notes.add(reason or "no reason was recorded"))


def estimated(
    estimate: Estimate, kind: str, *, badge: str = "", notes: tuple[int, ...] = ()
) -> Cell:
    """A figure with its interval below it."""
    return Cell(earned(estimate), interval(estimate), kind, badge, notes)


def median(row: LatencyRow, notes: Notes, *, strong: bool = False) -> Cell:
    """A median time with its interval; or the status, and why, where there is none."""
    if row.median is None:
        return absent(row.status, row.reason, notes)
    marks = notes.add(*doubts(row.record), few_samples(row))
    badge = "untuned" if row.untuned else ""
    return Cell(
        earned(row.median), interval(row.median), row.setting.kind, badge, marks, strong=strong
    )


def few_samples(row: LatencyRow) -> str:
    """What to say of an interval from too few samples; empty where there are enough."""
    if row.samples >= FEWEST_SAMPLES:
        return ""
    return f"{row.samples} samples do not reach a 95 % interval: the whole range is shown"


def doubts(record: Record) -> list[str]:
    """Conditions of validity that did not hold, each a sentence."""
    return [f"check '{check.name}' did not hold: {check.detail}" for check in record.failed_checks]


def percent(score: Accuracy) -> Estimate:
    """Accuracy in percent, with a 95 % interval by Student's t on the folds."""
    t = float(stdtrit(len(score.fold_accuracies) - 1, 0.975))
    value, side = 100.0 * score.accuracy, 100.0 * t * score.standard_error
    return Estimate(value, value - side, value + side)


def plus_minus(estimate: Estimate) -> str:
    """The half-width, to the digits of the value.

    Example:
        >>> plus_minus(Estimate(99.43, 99.01, 99.85))
        '± 0.4'
    """
    value = earned(estimate)
    decimals = len(value.partition(".")[2])
    return f"± {estimate.half_width:.{decimals}f}"


def millions(count: int) -> str:
    """An exact count in millions."""
    return significant(count / 1e6)


def quantity(value: float | None, like: Estimate | None) -> str:
    """A further statistic of a sample, to the digits that its median has earned."""
    if value is None or like is None:
        return NOTHING.text
    return earned(Estimate(value, value - like.half_width, value + like.half_width))


def weights(text: str) -> str:
    """Weights by a name that fits a cell: a digest is cut to eight digits."""
    scheme, _, rest = text.partition(":")
    return f"{scheme}:{rest[:8]}…" if scheme == "sha256" and len(rest) > 8 else text
