"""Puts a line's figures in words, the same wherever they are shown."""

from __future__ import annotations

from facebench.harness.comparison.baselines import PREFIX
from facebench.harness.comparison.environments import brief
from facebench.harness.comparison.escape import visible
from facebench.harness.comparison.verdict import Comparison, Line, Verdict
from facebench.harness.records.case import Case
from facebench.harness.records.comparable import PEAK_MEMORY, Decided, Figure

HEAD = ("case", "figure", "BASE", "NEW", "change", "95 % interval", "kind", "verdict")


def case_text(case: Case) -> str:
    """Return what tells a case from the others.

    Example:
        >>> case_text(Case("latency", "mobilefacenet", runtime="ncnn", threads=2))
        'latency mobilefacenet ncnn, 2 threads'
    """
    told = [
        f"{case.threads} threads" if case.threads != 1 else "",
        f"batch {case.batch}" if case.batch != 1 else "",
        f"on {case.device}" if case.device != "local" else "",
        brief(case.weights) if not case.weights.startswith("random:") else "",
    ]
    return ", ".join((str(case), *filter(None, told)))


def figure_text(figure: Figure, value: float | None = None) -> str:
    """Return a figure's value, or another value of its, with its unit.

    Example:
        >>> from facebench.harness.records.comparable import Counted
        >>> figure_text(Counted("size", "bytes", 4_012_544))
        '4,012,544 bytes'
    """
    value = figure.value if value is None else value
    if isinstance(figure, Decided):
        return _value(value, "", share=True)
    return _value(value, figure.unit)


def value_text(line: Line, value: float | None) -> str:
    """Return the same of a line; an empty text where there is no value."""
    return "" if value is None else _value(value, line.unit, line.share)


def change_text(line: Line) -> str:
    """Return the change, relative, or in points for shares."""
    return "" if line.change is None else _signed(line, line.change)


def interval_text(line: Line) -> str:
    """Return its 95 % interval; `exact` where a figure has no spread."""
    if line.interval is None:
        known = line.change is not None and line.figure != PEAK_MEMORY
        return "exact" if known and line.verdict is not Verdict.NOT_DECIDABLE else ""
    low, high = line.interval
    return f"{_signed(line, low)} to {_signed(line, high)}"


def cells(line: Line) -> tuple[str, ...]:
    """Return a row of a comparison's table, under `HEAD`."""
    return (
        case_text(line.case),
        line.figure,
        value_text(line, line.base),
        value_text(line, line.new),
        change_text(line),
        interval_text(line),
        line.kind,
        str(line.verdict),
    )


def why(line: Line) -> str:
    """Return the reason and the notes, as sentences."""
    return "; ".join(filter(None, (line.reason, *line.notes)))


def in_short(comparison: Comparison) -> str:
    """Return how many of each verdict, and by which rules.

    Example:
        >>> from facebench.harness.comparison.verdict import Policy
        >>> print(in_short(Comparison("a", "b", Policy(), (), (), ())))
        nothing was compared
    """
    counts = ", ".join(f"{count} {verdict}" for verdict, count in comparison.counts.items())
    if not counts:
        return "nothing was compared"
    policy = comparison.policy
    how = comparison.measured
    sides = f"; {visible(comparison.base)} and {visible(comparison.new)}, {how}" if how else ""
    return (
        f"{counts}; margins: {100 * policy.margin:.3g} % of times, {100 * policy.count_margin:.3g} "
        f"% of counts, {100 * policy.accuracy_margin:.3g} points of accuracy; chance of any false "
        f"alarm {100 * policy.level:.3g} %{sides}"
    )


def renewal(comparison: Comparison) -> str:
    """Return how a baseline is brought up to date that cannot be compared with; else an empty
    text.
    """
    name = comparison.base.removeprefix(PREFIX)
    stale = [line for line in comparison.lines if line.verdict is Verdict.NOT_COMPARABLE]
    if name == comparison.base or not stale:
        return ""
    return (
        f"{len(stale)} figures of the baseline are not comparable and were not judged; where the "
        f"difference is meant, 'facebench baseline save {name} {comparison.new}' renews it "
        "(--measure as in this comparison)"
    )


def percents(change: float) -> str:
    """Return a relative change; small ones with more digits, so that none reads as no change.

    Example:
        >>> percents(0.0512), percents(0.000128), percents(-2e-9)
        ('+5.1 %', '+0.013 %', '-2e-07 %')
    """
    return f"{100 * change:+.1f} %" if abs(change) >= 0.001 else f"{100 * change:+.2g} %"


def _value(value: float, unit: str, share: bool = False) -> str:
    if share:
        return f"{value:.2%}"
    if unit in ("", "bytes"):
        return f"{value:,.0f} {unit}".strip()
    return f"{value:.4g} {unit}"


def _signed(line: Line, change: float) -> str:
    if line.share:
        return f"{100 * change:+.2f} points"
    return percents(change)
