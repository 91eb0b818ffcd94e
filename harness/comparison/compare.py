"""Compares two sets of entries, case by case: what became slower, larger or less accurate?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from facebench.architectures.errors import RefusedError
from facebench.harness.comparison.entry import Entry
from facebench.harness.comparison.environments import Difference, differences, matters
from facebench.harness.comparison.job_spread import known_spread
from facebench.harness.comparison.question import Lead, Question
from facebench.harness.comparison.time_ratio import Ratio, took_turns
from facebench.harness.comparison.verdict import Comparison, Line, Policy, Verdict
from facebench.harness.records.case import Case
from facebench.harness.records.comparable import Counted, Decided, Figure, Timed
from facebench.harness.stats.procedures import procedure
from facebench.harness.verification.paired import holm


@dataclass(frozen=True)
class Side:
    """A side is what is compared: a name to show, and its entries."""

    name: str
    entries: tuple[Entry, ...]


@procedure("comparison of times")
def compare(base: Side, new: Side, policy: Policy | None = None) -> Comparison:
    """Match cases and say of each figure what became of it.

    All figures that need a test are corrected together by Holm's procedure, worse and
    better each on its own.
    """
    policy = policy or Policy()
    matched, only_base, only_new = match(base.entries, new.entries)
    drafts = [draft for pair in matched for draft in _drafts(*pair, policy)]
    lines = _judged(drafts, policy)
    order = list(Verdict)
    return Comparison(
        base.name,
        new.name,
        policy,
        tuple(sorted(lines, key=lambda line: order.index(line.verdict))),
        only_base,
        only_new,
    )


def match(
    base: Sequence[Entry], new: Sequence[Entry]
) -> tuple[list[tuple[Entry, Entry]], tuple[Case, ...], tuple[Case, ...]]:
    """Return entries of the same case; then those that differ only in weights, or in threads.

    The latter are matched where there is one such on each side: they are what a user
    means who trained a network anew, and are told apart later, by name.

    Returns:
        The pairs, and the cases of either side that are left over.
    """
    ours, theirs = ({entry.case: entry for entry in side} for side in (base, new))
    found = [(ours[case], theirs[case]) for case in ours if case in theirs]
    rest = [
        {case: entry for case, entry in side.items() if case not in other}
        for side, other in ((ours, theirs), (theirs, ours))
    ]
    for name in ("weights", "threads"):
        blank = {"weights": "", "threads": 0}[name]
        groups = [_by(side, {name: blank}) for side in rest]
        for key in groups[0]:
            one, other = groups[0][key], groups[1].get(key, [])
            if len(one) == len(other) == 1:
                found.append((one[0], other[0]))
                del rest[0][one[0].case], rest[1][other[0].case]
    return found, tuple(rest[0]), tuple(rest[1])


def _by(entries: dict[Case, Entry], blank: dict[str, object]) -> dict[Case, list[Entry]]:
    groups: dict[Case, list[Entry]] = {}
    for case, entry in entries.items():
        groups.setdefault(replace(case, **blank), []).append(entry)  # type: ignore[arg-type]
    return groups


@dataclass(frozen=True)
class _Draft:
    """It is a line that may still wait for its test."""

    line: Line
    question: Question | None = None


def _drafts(base: Entry, new: Entry, policy: Policy) -> Iterator[_Draft]:
    if base.status != "ok" or new.status != "ok":
        yield _Draft(_without_figures(base, new))
        return
    differing = differences(base, new)
    theirs = {figure.name: figure for figure in new.figures}
    for figure in base.figures:
        if figure.name in theirs:
            yield _draft(base, new, figure, theirs[figure.name], differing, policy)


def _without_figures(base: Entry, new: Entry) -> Line:
    """Return the line of a case that did not give its figures on both sides."""
    broken = base.status == "ok" and new.status == "failed"
    reasons = [
        f"{side}: {entry.status}: {entry.reason}"
        for side, entry in (("BASE", base), ("NEW", new))
        if entry.status != "ok"
    ]
    verdict = Verdict.BROKEN if broken else Verdict.NOT_COMPARABLE
    return Line(new.case, new.case.measure, "", new.kind, verdict, "; ".join(reasons))


def _draft(
    base: Entry,
    new: Entry,
    before: Figure,
    now: Figure,
    differing: Sequence[Difference],
    policy: Policy,
) -> _Draft:
    hindering = [
        one
        for one in differing
        if matters(one, now, new.case.measure) and one.kind not in policy.across
    ]
    line = Line(
        case=new.case,
        figure=now.name,
        unit="" if isinstance(now, Decided) else now.unit,
        share=isinstance(now, Decided),
        kind=new.kind,
        verdict=Verdict.NOT_COMPARABLE,
        reason="",
        base=before.value,
        new=now.value,
        notes=_notes(base, new, [one for one in differing if one not in hindering], now),
    )
    if base.kind != new.kind:
        return _Draft(replace(line, reason=f"one is {base.kind}, the other {new.kind}"))
    if hindering:
        kinds = ",".join(dict.fromkeys(one.kind for one in hindering))
        named = ", ".join(map(str, hindering))
        return _Draft(replace(line, reason=f"they differ in {named}; --across {kinds} allows it"))
    if isinstance(before, Counted) and isinstance(now, Counted):
        return _Draft(_counted(line, before, now, policy))
    disturbed = () if _in_turns(before, now) else _disturbances(base, new)
    if isinstance(now, Timed) and disturbed:
        return _Draft(_not_judged(line, disturbed))
    try:
        return _Draft(line, _question(base, new, before, now, policy))
    except RefusedError as error:
        return _Draft(replace(line, verdict=Verdict.NOT_DECIDABLE, reason=str(error)))


def _notes(
    base: Entry, new: Entry, allowed: Sequence[Difference], figure: Figure
) -> tuple[str, ...]:
    across = [f"across {one}" for one in allowed if matters(one, figure, new.case.measure)]
    doubts = [
        f"{side}: {doubt}"
        for side, entry in (("BASE", base), ("NEW", new))
        for doubt in entry.doubts
    ]
    return (*across, *doubts)


def _in_turns(before: Figure, now: Figure) -> bool:
    return isinstance(before, Timed) and isinstance(now, Timed) and took_turns(before, now)


def _disturbances(base: Entry, new: Entry) -> tuple[str, ...]:
    return tuple(
        f"{side}: {doubt}"
        for side, entry in (("BASE", base), ("NEW", new))
        for doubt in entry.disturbances
    )


def _not_judged(line: Line, disturbed: Sequence[str]) -> Line:
    """Return the line of times that something else slowed: how much is its doing is not known."""
    assert line.base is not None
    assert line.new is not None
    reason = (
        f"the machine was disturbed ({'; '.join(disturbed)}), and what that does to a time has "
        "no bound: measure again when it is quiet, or both in turns (git:BASE git:NEW)"
    )
    return replace(
        line,
        verdict=Verdict.NOT_DECIDABLE,
        change=line.new / line.base - 1,
        reason=reason,
        notes=tuple(note for note in line.notes if note not in disturbed),
    )


def _question(base: Entry, new: Entry, before: Figure, now: Figure, policy: Policy) -> Question:
    if isinstance(before, Timed) and isinstance(now, Timed) and before.unit == now.unit:
        known = known_spread((base.long_run, new.long_run), policy.between_jobs)
        return Ratio(before, now, policy, known, one_run=base.run == new.run != "")
    if isinstance(before, Decided) and isinstance(now, Decided):
        return Lead(before, now, policy)
    raise RefusedError("the two sides hold figures of different sorts or units")


def _counted(line: Line, before: Counted, now: Counted, policy: Policy) -> Line:
    """No chance is in a count: what differs, differs. Only peak memory has some."""
    margin = policy.margin_of(now)
    worse, better = Verdict.WORSE, Verdict.BETTER
    if now.is_time:
        worse, better = Verdict.SLOWER, Verdict.FASTER
    if before.value == now.value:
        return replace(line, verdict=Verdict.SAME, change=0.0, reason="equal")
    if not before.value:
        return replace(line, verdict=worse, reason="it was zero")
    change = now.value / before.value - 1
    # Not by the ratio: a change of just the margin would fall to either side by rounding.
    more, allowed = now.value - before.value, margin * before.value
    if not now.exact and allowed < abs(more) <= policy.memory_step_bytes:
        reason = (
            "one process a side tells it, and those of the same code differ by up to "
            f"{policy.memory_step_bytes / 1e6:.0f} MB"
        )
        return replace(line, verdict=Verdict.NOT_DECIDABLE, change=change, reason=reason)
    verdict = worse if more > allowed else better if more < -allowed else Verdict.SAME
    where = "within" if verdict is Verdict.SAME else "beyond"
    why = f"{where} the margin" if margin else "a count has no spread: what differs, differs"
    return replace(line, verdict=verdict, change=change, reason=why)


def _judged(drafts: Sequence[_Draft], policy: Policy) -> list[Line]:
    asked = [draft.question for draft in drafts if draft.question]
    worse = iter(holm([question.p_worse for question in asked]))
    better = iter(holm([question.p_better for question in asked]))
    return [
        _judge(draft.line, draft.question, next(worse), next(better), len(asked), policy)
        if draft.question
        else draft.line
        for draft in drafts
    ]


def _judge(
    line: Line, question: Question, worse: float, better: float, tests: int, policy: Policy
) -> Line:
    level = policy.level / tests
    line = replace(
        line,
        change=question.change,
        interval=question.interval,
        smallest=question.smallest(level),
    )
    corrected = f", corrected for {tests} tests" if tests > 1 else ""
    for p, verdict in ((worse, question.worse), (better, question.better)):
        if p < policy.level and question.large:
            reason = f"above the margin and {question.beyond} (p = {p:.2g}{corrected})"
            return replace(line, verdict=verdict, reason=_with(reason, question.assumed))
    if question.p_apart < policy.same_level:
        reason = _with("the interval is within the margin", question.assumed)
        return replace(line, verdict=Verdict.SAME, reason=reason)
    return replace(line, verdict=Verdict.NOT_DECIDABLE, reason=question.wanting(level))


def _with(reason: str, assumed: str) -> str:
    return f"{reason}; {assumed}" if assumed else reason
