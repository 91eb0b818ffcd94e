"""Compares what two names stand for: files, runs, baselines, or git revisions measured here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from facebench.architectures.errors import BadInputError, RefusedError
from facebench.harness.comparison.baselines import Baselines, default_root
from facebench.harness.comparison.compare import Side, compare
from facebench.harness.comparison.environments import KINDS
from facebench.harness.comparison.revisions.checkout import is_one as is_revision
from facebench.harness.comparison.revisions.measure import (
    CHANGES,
    ROUNDS,
    Measured,
    Wanted,
    measure,
)
from facebench.harness.comparison.sources import load
from facebench.harness.comparison.verdict import Comparison, Policy
from facebench.harness.comparison.wording import case_text
from facebench.harness.storage.progress import SILENT, Progress


@dataclass(frozen=True)
class ComparisonRequest:
    """It names two sides that are to be compared.

    Attributes:
        base: a results file, a run's folder, `baseline:NAME`, `git:REVISION`, or JSON of
            another tool.
        new: likewise.
        policy: by which rules.
        measures: only these; all where there are none.
        store: folder of the baselines; by default this checkout's.
        plan: what is measured of git revisions.
        rounds: times that each revision is timed; by default `ROUNDS`.
        keep: folder for the records of each revision.
    """

    base: str
    new: str
    policy: Policy = field(default_factory=Policy)
    measures: Sequence[str] = ()
    store: Path | None = None
    plan: str | None = None
    rounds: int | None = None
    keep: Path | None = None

    @property
    def revisions(self) -> list[str]:
        """Return the sides that are git revisions."""
        return [name for name in (self.base, self.new) if is_revision(name)]


@dataclass(frozen=True)
class ComparisonOutcome:
    """It holds a comparison, and what was compared.

    Attributes:
        comparison: figure by figure.
        base: one side.
        new: the other.
    """

    comparison: Comparison
    base: Side
    new: Side


def compare_named(request: ComparisonRequest, progress: Progress = SILENT) -> ComparisonOutcome:
    """Load both sides, or check them out and measure them in turns, and compare them.

    Args:
        request: what is to be compared.
        progress: told how far the measuring of revisions is.

    Raises:
        UnknownNameError: there is no such measure.
        BadInputError: a side is not there, is empty or is damaged; the two have no case in
            common; the request contradicts itself; or a revision is unknown or cannot be installed.
        UnavailableError: there is no git, or no checkout here.
    """
    _require(request)
    revisions = request.revisions
    measured = Measured((), "")
    if revisions:
        assert request.plan is not None
        rounds = request.rounds or ROUNDS
        wanted = Wanted(request.plan, rounds, tuple(request.measures), request.keep)
        measured = measure(revisions, wanted, progress)
    policy = request.policy
    if len(revisions) > 1:
        policy = replace(policy, across=policy.across | CHANGES)
    baselines = Baselines(request.store or default_root())
    ours = iter(measured.sides)
    base, new = (
        next(ours) if is_revision(name) else load(name, baselines, request.measures)
        for name in (request.base, request.new)
    )
    found = replace(compare_sides(base, new, policy), measured=measured.how)
    return ComparisonOutcome(found, base, new)


def compare_sides(base: Side, new: Side, policy: Policy) -> Comparison:
    """Compare two sides.

    Raises:
        BadInputError: they have no case in common, or the policy names no kind of difference.
    """
    _require_kinds(policy)
    found = compare(base, new, policy)
    if not found.lines:
        raise BadInputError(_nothing_in_common(found))
    return found


def require_something(found: Comparison) -> None:
    """Raise `RefusedError` where nothing that both sides have could be compared."""
    if found.empty:
        first = found.lines[0]
        raise RefusedError(f"nothing could be compared: {case_text(first.case)}: {first.reason}")


def _nothing_in_common(found: Comparison) -> str:
    """Return the error for two sides without a figure that both have."""
    told = [
        f"{name} has {case_text(cases[0])}" + f" and {len(cases) - 1} more" * (len(cases) > 1)
        for name, cases in (("BASE", found.only_base), ("NEW", found.only_new))
        if cases
    ] or ["both are empty"]
    return (
        f"{found.base} and {found.new} have no case in common, so nothing was compared "
        f"({', '.join(told)}): compare two runs of one plan"
    )


def _require_kinds(policy: Policy) -> None:
    if unknown := sorted(policy.across - KINDS.keys()):
        raise BadInputError(f"--across {unknown[0]!r} is not one of {', '.join(KINDS)}")


def _require(request: ComparisonRequest) -> None:
    _require_kinds(request.policy)
    if not request.revisions:
        if request.plan or request.rounds or request.keep:
            raise BadInputError(
                "--plan, --rounds and --keep are of git revisions: name one, such as git:main"
            )
    elif not request.plan:
        raise BadInputError(
            f"{request.revisions[0]} is to be measured: say with --plan what of it, a TOML file "
            "or quick"
        )
