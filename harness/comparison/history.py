"""Follows figures over revisions: of a baseline in git, or of several results files in order."""

from __future__ import annotations

import subprocess
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from facebench.architectures.errors import BadInputError, UnavailableError
from facebench.harness.comparison.baselines import Baselines, default_root, from_text
from facebench.harness.comparison.compare import Side
from facebench.harness.comparison.entry import Entry
from facebench.harness.comparison.environments import differences, matters
from facebench.harness.comparison.sources import load
from facebench.harness.comparison.wording import case_text
from facebench.harness.records.case import Case
from facebench.harness.records.comparable import Counted, Figure
from facebench.harness.stats.change_points import Step, exact_steps, steps

# Revisions beyond this are older than anyone asks for.
MOST_REVISIONS = 1000


class HistoryRevision(NamedTuple):
    """It is a commit, or a results file.

    Attributes:
        name: short hash, or the name of the file.
        when: ISO 8601; empty where it is not known.
        subject: the first line of the commit's message; empty of a file.
    """

    name: str
    when: str
    subject: str = ""


@dataclass(frozen=True)
class HistoryPoint:
    """It is a figure at one revision.

    Attributes:
        place: of the revision among all, from 0.
        at: the revision.
        entry: what was recorded there.
        figure: of it.
    """

    place: int
    at: HistoryRevision
    entry: Entry
    figure: Figure

    @property
    def revision(self) -> str:
        """Return its short hash, or the name of the file."""
        return self.at.name


@dataclass(frozen=True)
class Series:
    """A series is one figure of one case over revisions, oldest first."""

    case: Case
    figure: str
    points: tuple[HistoryPoint, ...]
    steps: tuple[Step, ...]

    def came_with(self, step: Step) -> tuple[str, ...]:
        """Return what else changed at a step: machine, versions, whatever the figure depends on."""
        before, after = self.points[step.index - 1], self.points[step.index]
        found = differences(before.entry, after.entry)
        return tuple(
            str(one) for one in found if matters(one, after.figure, after.entry.case.measure)
        )


@dataclass(frozen=True)
class HistoryRequest:
    """It says which figures' history is wanted, of a baseline or of results files.

    Attributes:
        baseline: its name; over the commits that changed it.
        results: files, oldest first, as `sources.load` takes them.
        margin: relative; smaller steps of figures with spread are none.
        words: that a case's text must hold, all of them.
        store: folder of the baselines; by default this checkout's.
    """

    baseline: str | None = None
    results: Sequence[str] = ()
    margin: float = 0.01
    words: Sequence[str] = ()
    store: Path | None = None


def find_series(request: HistoryRequest) -> list[Series]:
    """Look up figures over revisions, with their steps.

    Raises:
        BadInputError: both a baseline and results are named, or neither; they are not there; or
            no case holds the words.
        UnavailableError: a baseline's folder is in no git checkout, or there is no git.
    """
    if bool(request.baseline) == bool(request.results):
        raise BadInputError("name what the history is of: --baseline NAME, or --results for each")
    baselines = Baselines(request.store or default_root())
    sides = (
        of_git(baselines.folder(request.baseline))
        if request.baseline
        else of_files([load(text, baselines) for text in request.results])
    )
    found = series(sides, request.margin, request.words)
    if not found:
        raise BadInputError("no case with figures: check the words that a case must hold")
    return found


def series(
    sides: Iterable[tuple[HistoryRevision, Sequence[Entry]]],
    margin: float,
    words: Sequence[str] = (),
) -> list[Series]:
    """Sort figures by case, and find their steps.

    Args:
        sides: revisions with their entries, oldest first; a case need not be in each.
        margin: relative; smaller steps of figures with spread are none.
        words: only cases whose text holds all of these.
    """
    found: dict[tuple[Case, str], list[HistoryPoint]] = {}
    for place, (revision, entries) in enumerate(sides):
        for entry in entries:
            if all(word in case_text(entry.case) for word in words):
                for figure in entry.figures:
                    point = HistoryPoint(place, revision, entry, figure)
                    found.setdefault((entry.case, figure.name), []).append(point)
    return [
        Series(case, name, tuple(points), tuple(_steps(points, margin)))
        for (case, name), points in found.items()
    ]


def of_files(sides: Sequence[Side]) -> Iterator[tuple[HistoryRevision, Sequence[Entry]]]:
    """Yield results files in the order given."""
    for side in sides:
        created = max((entry.created for entry in side.entries), default="")
        yield HistoryRevision(Path(side.name).name, created), side.entries


def of_git(folder: Path) -> Iterator[tuple[HistoryRevision, Sequence[Entry]]]:
    """Yield a baseline's folder as the commits of the current branch changed it, oldest first.

    Each comes with the cases that it changed. Files that can't be read as a baseline's
    are left out: history is not to be mended.

    Raises:
        UnavailableError: there is no git, or the folder is in no checkout.
        BadInputError: no commit holds the folder.
    """
    if not folder.is_dir():
        raise BadInputError(f"no baseline {folder}; 'facebench baseline list' says what there is")
    commits = list(_commits(folder))
    if not commits:
        raise BadInputError(f"no commit holds {folder}: commit the baseline to begin its history")
    wanted = [(commit.name, path) for commit, paths in commits for path in paths]
    texts = _contents(folder, wanted)
    for commit, paths in commits:
        found = [_entry(text) for text in (next(texts) for _ in paths) if text is not None]
        yield commit._replace(name=commit.name[:10]), [entry for entry in found if entry]


def _steps(points: Sequence[HistoryPoint], margin: float) -> list[Step]:
    values = [point.figure.value for point in points]
    if all(isinstance(point.figure, Counted) and point.figure.exact for point in points):
        return exact_steps(values)
    # A share of zero has no relative change.
    return steps(values, margin) if min(values) > 0 else []


def _entry(text: str) -> Entry | None:
    try:
        return from_text(text, "a commit")
    except BadInputError:
        return None


def _commits(folder: Path) -> Iterator[tuple[HistoryRevision, list[str]]]:
    """Yield each commit, by its whole hash, and its changed files, oldest first."""
    text = _git(
        folder, "-c", "core.quotepath=off", "log", "--first-parent", "-m", "--name-only",
        "--relative", f"-{MOST_REVISIONS}", "--format=%x01%H %cI %s", "--", ".",
    )  # fmt: skip
    for block in reversed(text.decode(errors="replace").split("\x01")[1:]):
        head, *names = block.split("\n")
        own = [name for name in names if name.endswith(".json") and "/" not in name]
        yield HistoryRevision(*head.split(" ", 2)), own


def _contents(folder: Path, wanted: Sequence[tuple[str, str]]) -> Iterator[str | None]:
    """Yield the files' texts at these commits; None for those that a commit removed."""
    asked = "".join(f"{commit}:./{path}\n" for commit, path in wanted)
    data = _git(folder, "cat-file", "--batch", stdin=asked.encode())
    while data:
        head, _, data = data.partition(b"\n")
        if head.endswith(b" missing"):
            yield None
            continue
        size = int(head.split(b" ")[-1])
        yield data[:size].decode(errors="replace")
        data = data[size + 1 :]


def _git(folder: Path, *arguments: str, stdin: bytes = b"") -> bytes:
    command = ["git", "-C", str(folder), *arguments]
    try:
        done = subprocess.run(command, input=stdin, capture_output=True, check=True)
    except FileNotFoundError as error:
        raise UnavailableError("git is not installed, and the history is in it") from error
    except subprocess.CalledProcessError as error:
        why = " ".join(error.stderr.decode(errors="replace").split())
        raise UnavailableError(f"git can't tell the history of {folder}: {why}") from error
    return done.stdout
