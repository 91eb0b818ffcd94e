"""How often a comparison of times errs, where the truth is known.

    python benchmarks/truth_time.py [--trials 1000] [--write docs/regressions.md]
    python benchmarks/truth_time.py --short

Times are drawn from their definition: a job is worth a factor of its own, log-normal, which
all of its processes share and, in the worse half of cells, all of its cases; each process is
worth a further one of half a percent. The comparison sees what it would see of records. The
exit code is 1 where alarms are more, or intervals hold less, than promised and chance explains.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
from scipy.stats import beta

from facebench.harness.comparison.compare import Side, compare
from facebench.harness.comparison.entry import Entry
from facebench.harness.comparison.verdict import Comparison, Verdict
from facebench.harness.records.case import Case
from facebench.harness.records.comparable import Timed
from facebench.harness.runs.machine_history import LongRun

SEED = 22
LEVEL, COVERAGE = 0.01, 0.93
PROCESS_SPREAD = 0.005
# Chance with which a row is called a failure whose truth is what is promised.
DOUBT = 0.001
BEGIN, END = "<!-- simulated -->", "<!-- end of simulated -->"

Reals = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Cell:
    """What is compared.

    Attributes:
        jobs: a side.
        processes: of each job.
        between: standard deviation between jobs, relative.
        cases: of each job.
        shared: whether cases of a job share its factor.
        slower: how much, relative.
        hours: of history, whose spread is drawn; 0 where there is none.
        turns: whether both sides are of one job, in turns.
    """

    jobs: int
    processes: int
    between: float
    cases: int = 1
    shared: bool = True
    slower: float = 0.0
    hours: int = 0
    turns: bool = False

    @property
    def evidence(self) -> str:
        """Jobs and processes in words."""
        if self.turns:
            return f"{self.processes} processes in turns"
        known = f", {self.hours} hours of history" if self.hours else ""
        jobs = f"{self.jobs} job{'s' * (self.jobs > 1)}"
        return f"{jobs} of {self.processes} process{'es' * (self.processes > 1)}{known}"


@dataclass(frozen=True)
class Row:
    """What came of a cell.

    Attributes:
        cell: of what.
        trials: comparisons.
        alarmed: of these, such with any alarm.
        lines: cases of all comparisons.
        slower: of these, such that were called slower.
        faster: likewise.
        same: likewise.
        held: of these, such whose interval holds the truth.
    """

    cell: Cell
    trials: int
    alarmed: int
    lines: int
    slower: int
    faster: int
    same: int
    held: int

    @property
    def failed(self) -> bool:
        """Whether it is worse than promised by more than chance explains."""
        alarms = not self.cell.slower and _at_least(self.alarmed, self.trials) > LEVEL
        # Cases that share a job's factor are held or missed together.
        independent = self.trials if self.cell.shared else self.lines
        held = round(self.held / self.lines * independent)
        missed = _at_least(independent - held, independent) > 1 - COVERAGE
        return alarms or missed

    def cells(self) -> tuple[str, ...]:
        """A row of the table."""
        cell = self.cell
        return (
            cell.evidence,
            f"{100 * cell.between:g} %" if not cell.turns else "(none)",
            str(cell.cases) + (" alike" if cell.cases > 1 and cell.shared else ""),
            f"{cell.slower:.0%} slower" if cell.slower else "nothing changed",
            f"{self.alarmed / self.trials:.1%}",
            f"{self.slower / self.lines:.1%}",
            f"{self.same / self.lines:.1%}",
            f"{self.held / self.lines:.1%}",
        )


HEAD = (
    "a side", "jobs differ by", "cases", "truth", "comparisons with an alarm",
    "cases called `slower`", "`same`", "interval holds the truth",
)  # fmt: skip


def all_cells() -> Iterator[Cell]:
    """The audit's: few processes, jobs that differ by 1 to 3 %; then what decides."""
    for between in (0.01, 0.03):
        for processes in (3, 5):
            yield Cell(1, processes, between)
        yield Cell(1, 3, between, cases=100)
        yield Cell(1, 3, between, cases=100, shared=False)
    yield Cell(1, 1, 0.03, slower=2.0)
    yield Cell(1, 1, 0.03, cases=100, slower=2.0)
    for between in (0.01, 0.03):
        yield Cell(1, 3, between, hours=8)
        yield Cell(1, 3, between, cases=100, hours=8)
        yield Cell(1, 3, between, hours=8, slower=0.3)
    for between in (0.005, 0.01, 0.02, 0.03):
        for slower in (0.0, 0.02, 0.05):
            yield Cell(3, 3, between, slower=slower)
    for slower in (0.0, 0.02, 0.05):
        yield Cell(3, 3, 0.01, slower=slower, hours=24)
    for shared in (True, False):
        yield Cell(3, 3, 0.01, cases=100, shared=shared)
    for slower in (0.02, 0.05):
        yield Cell(3, 3, 0.01, cases=100, slower=slower)
        yield Cell(3, 3, 0.01, cases=100, slower=slower, hours=24)
    for slower in (0.0, 0.02, 0.05):
        yield Cell(1, 6, 0.03, slower=slower, turns=True)
    for slower in (0.0, 0.02, 0.05):
        yield Cell(1, 6, 0.03, cases=100, slower=slower, turns=True)


def row(cell: Cell, trials: int, draw: np.random.Generator) -> Row:
    """So many comparisons of a cell."""
    found = [_comparison(cell, draw) for _ in range(trials)]
    lines = [line for one in found for line in one.lines]
    held = [
        line.interval is not None and line.interval[0] <= cell.slower <= line.interval[1]
        for line in lines
    ]
    verdicts = [line.verdict for line in lines]
    return Row(
        cell,
        trials,
        sum(bool(one.regressions) for one in found),
        len(lines),
        verdicts.count(Verdict.SLOWER),
        verdicts.count(Verdict.FASTER),
        verdicts.count(Verdict.SAME),
        sum(held),
    )


def _comparison(cell: Cell, draw: np.random.Generator) -> Comparison:
    history = _history(cell, draw)
    token = "turns" if cell.turns else ""
    shared = draw.normal(size=(cell.cases, cell.processes, 16)) * cell.between
    sides = []
    for factor in (1.0, 1.0 + cell.slower):
        figures = (
            (_in_turns(factor, noise, token, draw) for noise in shared)
            if cell.turns
            else (_in_jobs(factor, medians, cell) for medians in _medians(cell, draw))
        )
        sides.append([
            Entry(Case("latency", f"n{number}", runtime="ncnn"), "measured", figures=(figure,),
                  long_run=history)
            for number, figure in enumerate(figures)
        ])  # fmt: skip
    return compare(*(Side(name, tuple(side)) for name, side in zip("ab", sides, strict=True)))


def _medians(cell: Cell, draw: np.random.Generator) -> Reals:
    """`(cases, jobs, processes)`; logarithms."""
    drawn = draw.normal(size=(1 if cell.shared else cell.cases, cell.jobs, 1))
    process = draw.normal(size=(cell.cases, cell.jobs, cell.processes))
    return cell.between * drawn + PROCESS_SPREAD * process


def _in_jobs(factor: float, logs: Reals, cell: Cell) -> Timed:
    medians = tuple((5.0 * factor * np.exp(logs)).ravel().tolist())
    return Timed("latency", "ms", medians, (64,) * len(medians), jobs=(cell.processes,) * cell.jobs)


def _in_turns(factor: float, shared: Reals, token: str, draw: np.random.Generator) -> Timed:
    """What slows a turn slows the one beside it; a tenth of it is its own."""
    processes, turns = shared.shape
    process = PROCESS_SPREAD * draw.normal(size=(processes, 1))
    own = 0.1 * shared.std() * draw.normal(size=(processes, turns))
    times = 5.0 * factor * np.exp(shared + process + own)
    medians = tuple(np.median(times, axis=1).tolist())
    return Timed("latency", "ms", medians, (64,) * processes, token, tuple(times.ravel().tolist()))


def _history(cell: Cell, draw: np.random.Generator) -> LongRun | None:
    """As a history of so many independent hours would have it."""
    if not cell.hours:
        return None
    degrees = cell.hours - 1
    true = math.hypot(cell.between, PROCESS_SPREAD / math.sqrt(cell.processes))
    return LongRun(true * math.sqrt(draw.chisquare(degrees) / degrees), cell.hours)


def _at_least(count: int, of: int) -> float:
    """Lower bound of a share (Clopper and Pearson), passed by chance in `DOUBT`."""
    return float(beta.ppf(DOUBT, count, of - count + 1)) if count else 0.0


def table(rows: Sequence[Row]) -> str:
    """Markdown."""
    lines = [HEAD, ("---",) * len(HEAD), *(one.cells() for one in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def write(path: Path, text: str) -> None:
    """Put the table between its marks in a document."""
    before, _, rest = path.read_text().partition(BEGIN)
    _, _, after = rest.partition(END)
    path.write_text(f"{before}{BEGIN}\n{text}\n{END}{after}")


def main() -> int:
    """Print the table, or write it; 1 where a row fails."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--trials", type=int, default=1000, help="of a cell of one case")
    parser.add_argument("--short", action="store_true", help="a tenth of the trials and cases")
    parser.add_argument("--write", type=Path, metavar="FILE", help="document with the table")
    asked = parser.parse_args()
    draw = np.random.default_rng(SEED)
    rows = []
    for cell in all_cells():
        trials = asked.trials if cell.cases == 1 else max(asked.trials // 5, 20)
        if asked.short:
            cell, trials = replace(cell, cases=min(cell.cases, 10)), max(trials // 10, 20)
        rows.append(row(cell, trials, draw))
        print(" | ".join(rows[-1].cells()), "FAILED" * rows[-1].failed, flush=True)
    if asked.write:
        write(asked.write, table(rows))
    return int(any(one.failed for one in rows))


if __name__ == "__main__":
    sys.exit(main())
