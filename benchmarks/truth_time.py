"""Simulated truth for procedures on times: the entries of `truth.py` for them.

Times are drawn from their definition: a job is worth a factor of its own, log-normal, which
all of its processes share and, in the worse half of cells, all of its cases; each process is
worth a further one of half a percent; a sample varies by 2 % about its process.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from truth_rows import Plan, Row, held

from facebench.harness.comparison.compare import Side, compare
from facebench.harness.comparison.entry import Entry
from facebench.harness.comparison.verdict import Comparison, Verdict
from facebench.harness.records.accuracy import Bounded
from facebench.harness.records.case import Case
from facebench.harness.records.comparable import Timed
from facebench.harness.runs.cluster.alike import MARGIN, compared
from facebench.harness.runs.machine_history import LongRun, Run, long_run
from facebench.harness.stats.change_points import LEVEL as STEP_LEVEL
from facebench.harness.stats.change_points import steps
from facebench.harness.stats.intervals import median_interval, two_level_interval
from facebench.reports.digits import Estimate
from facebench.reports.pareto import Spot, placed

# Chance of any false alarm in a comparison, as `compare` has it by default.
ALARM = 0.01
TRUE_MS, SAMPLE_SPREAD, PROCESS_SPREAD = 5.0, 0.02, 0.005

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

    def __str__(self) -> str:
        """Jobs, processes, cases and what is true of them, in words."""
        if self.turns:
            evidence = f"{self.processes} processes in turns"
        else:
            jobs = f"{self.jobs} job{'s' * (self.jobs > 1)}"
            known = f", {self.hours} hours of history" if self.hours else ""
            evidence = f"{jobs} x {self.processes}{known}, jobs differ by {self.between:.1%}"
        alike = " alike" * (self.cases > 1 and self.shared)
        return evidence + (f", {self.cases} cases{alike}" if self.cases > 1 else "")


def _all_cells() -> Iterator[Cell]:
    """The audit's: few processes, jobs that differ by 1 to 3 %; then what decides."""
    for between in (0.01, 0.03):
        for processes in (3, 5):
            yield Cell(1, processes, between)
        yield Cell(1, 3, between, cases=100)
        yield Cell(1, 3, between, cases=100, shared=False)
        yield Cell(1, 3, between, hours=8)
        yield Cell(1, 3, between, cases=100, hours=8)
        yield Cell(1, 3, between, hours=8, slower=0.3)
    yield Cell(1, 1, 0.03, slower=2.0)
    for between in (0.005, 0.01, 0.02, 0.03):
        for slower in (0.0, 0.02, 0.05):
            yield Cell(3, 3, between, slower=slower)
    yield Cell(3, 3, 0.01, cases=100)
    yield Cell(3, 3, 0.01, cases=100, shared=False)
    for cases in (1, 100):
        for slower in (0.0, 0.02, 0.05):
            yield Cell(1, 6, 0.03, cases=cases, slower=slower, turns=True)


def of_comparison(plan: Plan) -> Iterator[Row]:
    """Two sides of times: alarms where nothing changed, and what is found where something did."""
    short = len(plan.graphs) < 3  # as `--short` asks
    for cell in _all_cells():
        if short and cell.cases > 1:
            continue
        draws = plan.draws() if cell.cases == 1 else list(plan.draws())[: plan.trials // 10 + 1]
        yield from _rows(cell, [_comparison(cell, draw) for draw in draws])


def _rows(cell: Cell, found: list[Comparison]) -> Iterator[Row]:
    name = "comparison of times"
    place = f"{cell}, {cell.slower:.0%} slower" if cell.slower else f"{cell}, unchanged"
    lines = [line for one in found for line in one.lines]
    given = [line.interval for line in lines if line.interval is not None]
    low, high = np.array(given).reshape(-1, 2).T
    above, below = low > cell.slower, high < cell.slower
    # Cases that share a job's factor are held or missed together.
    independent = len(found) if cell.shared else len(given)
    yield Row(
        name, place, "change", independent, 1 - len(given) / len(lines),
        float(np.mean(~above & ~below)), float(np.mean(above)), float(np.mean(below)),
        100 * float(np.mean(high - low)),
    )  # fmt: skip
    if cell.slower:
        right = [line.verdict is Verdict.SLOWER for line in lines]
        yield Row(name, place, "power", len(lines), 0.0, float(np.mean(right)))
    else:
        alarms = [bool(one.regressions) for one in found]
        yield Row(name, place, "level", len(found), 0.0, float(np.mean(alarms)), promised=ALARM)


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
    medians = tuple((TRUE_MS * factor * np.exp(logs)).ravel().tolist())
    return Timed("latency", "ms", medians, (64,) * len(medians), jobs=(cell.processes,) * cell.jobs)


def _in_turns(factor: float, shared: Reals, token: str, draw: np.random.Generator) -> Timed:
    """What slows a turn slows the one beside it; a tenth of it is its own."""
    processes, turns = shared.shape
    process = PROCESS_SPREAD * draw.normal(size=(processes, 1))
    own = 0.1 * shared.std() * draw.normal(size=(processes, turns))
    times = TRUE_MS * factor * np.exp(shared + process + own)
    medians = tuple(np.median(times, axis=1).tolist())
    return Timed("latency", "ms", medians, (64,) * processes, token, tuple(times.ravel().tolist()))


def _history(cell: Cell, draw: np.random.Generator) -> LongRun | None:
    """As a history of so many independent hours would have it."""
    if not cell.hours:
        return None
    degrees = cell.hours - 1
    true = math.hypot(cell.between, PROCESS_SPREAD / math.sqrt(cell.processes))
    return LongRun(true * math.sqrt(draw.chisquare(degrees) / degrees), cell.hours)


def of_median(plan: Plan) -> Iterator[Row]:
    """Independent samples of one process, whose noise is all on one side."""
    for count in (16, 64, 400):
        found = []
        for draw in plan.draws():
            samples = TRUE_MS * (1 + SAMPLE_SPREAD * draw.gamma(2.0, size=count))
            found.append(_bounded(float(np.median(samples)), median_interval(samples.tolist())))
        # The median of a gamma distribution of shape 2.
        truth = TRUE_MS * (1 + SAMPLE_SPREAD * 1.678347)
        yield from held("median", f"{count} samples", (("median", one, truth) for one in found))


def of_processes(plan: Plan) -> Iterator[Row]:
    """Samples of several processes, each with a factor of its own."""
    for processes, spread in ((2, 0.0), (3, PROCESS_SPREAD), (6, PROCESS_SPREAD), (6, 0.02)):
        found = []
        for draw in plan.draws():
            own = spread * draw.normal(size=(processes, 1))
            noise = SAMPLE_SPREAD * draw.normal(size=(processes, 64))
            samples = TRUE_MS * np.exp(own + noise)
            found.append(_bounded(float(np.median(samples)), two_level_interval(samples.tolist())))
        cell = f"{processes} processes, {spread:.1%} apart"
        rows = held("median over processes", cell, (("median", one, TRUE_MS) for one in found))
        yield from rows


def of_long_run(plan: Plan) -> Iterator[Row]:
    """The median of one hour, with those of earlier hours to say how far hours differ."""
    for hours in (3, 8, 24):
        found = []
        for draw in plan.draws():
            medians = TRUE_MS * np.exp(0.03 * draw.normal(size=hours + 1))
            past = [Run("case", 3600.0 * i, ms) for i, ms in enumerate(medians[:-1].tolist())]
            now = float(medians[-1])
            known = long_run(past)
            found.append(
                Bounded(now, None) if known is None
                else _bounded(now, known.interval_ms(now, (now, now)))
            )  # fmt: skip
        rows = held("long run", f"{hours} hours", (("median", one, TRUE_MS) for one in found))
        yield from rows


def of_steps(plan: Plan) -> Iterator[Row]:
    """A figure over 40 revisions, with a step of 5 % in the middle or with none."""
    for figure, size in (("level", 0.0), ("power", 0.05)):
        hits = []
        for draw in plan.draws():
            values = TRUE_MS * np.exp(0.02 * draw.normal(size=40))
            values[20:] *= 1 + size
            found = [step.index for step in steps(values.tolist())]
            right = any(abs(index - 20) <= 3 for index in found)
            hits.append(right if size else bool(found))
        share = float(np.mean(hits))
        cell = "40 revisions, 2 % apart"
        yield Row("steps", cell, figure, len(hits), 0.0, share, promised=STEP_LEVEL)


def of_front(plan: Plan) -> Iterator[Row]:
    """Two networks of one cost and accuracy, and a third that is better than both."""
    for figure, better in (("level", 0.0), ("power", 1.0)):
        hits = []
        for draw in plan.draws():
            accuracies = np.array([95.0, 95.0 + better]) + 0.25 * draw.normal(size=2)
            first, second = (
                Spot(name, Estimate(1.0, 1.0, 1.0), _about(value), ("counted", "measured"))
                for name, value in zip("ab", accuracies.tolist(), strict=True)
            )
            front = [spot.front for spot in placed([first, second])]
            hits.append(front == [False, True] if better else front != [True, True])
        cell = f"{better:g} points better, 95 % intervals of 1 point"
        yield Row("Pareto front", cell, figure, len(hits), 0.0, float(np.mean(hits)))


def of_likeness(plan: Plan) -> Iterator[Row]:
    """Six processes on each of two machines, one slower by just the margin, or not at all."""
    for figure, slower in (("level", MARGIN), ("power", 0.0)):
        hits = []
        for draw in plan.draws():
            logs = PROCESS_SPREAD * draw.normal(size=(2, 6))
            ours, theirs = (TRUE_MS * np.exp(logs)).tolist()
            times = [(1 + slower) * one for one in ours]
            hits.append(compared("a", times, "b", theirs).alike)
        cell = f"6 processes each, {slower:.0%} apart"
        yield Row("machines alike", cell, figure, len(hits), 0.0, float(np.mean(hits)))


def _about(value: float) -> Estimate:
    reach = 1.96 * 0.25
    return Estimate(value, value - reach, value + reach)


def _bounded(value: float, interval: tuple[float, float]) -> Bounded:
    return Bounded(value, interval)


ENTRIES: dict[str, Callable[[Plan], Iterator[Row]]] = {
    "median": of_median,
    "median over processes": of_processes,
    "long run": of_long_run,
    "comparison of times": of_comparison,
    "steps": of_steps,
    "Pareto front": of_front,
    "machines alike": of_likeness,
}
