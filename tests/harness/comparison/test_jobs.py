"""Times of different jobs: what few of them may say, and what none of them may."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from facebench.harness.comparison.compare import compare
from facebench.harness.comparison.entry import Entry
from facebench.harness.comparison.extract import entries, join
from facebench.harness.comparison.verdict import Line, Policy, Verdict
from facebench.harness.measures.validity import DISTURBANCES
from facebench.harness.records.comparable import Timed
from facebench.harness.records.latency import Latency
from facebench.harness.records.record import Check, Record
from facebench.harness.runs.machine_history import LongRun
from tests.harness.comparison.sides import LATENCY, entry, latency, processes, side, timed

DECIDED = (Verdict.SLOWER, Verdict.FASTER, Verdict.SAME)


def of(base: Entry, new: Entry, policy: Policy | None = None) -> Line:
    (line,) = compare(side(base), side(new), policy).lines
    return line


def job(ms: float, count: int = 5, seed: int = 0, **fields: object) -> Entry:
    """One run of so many processes that differ by half a percent."""
    return entry(LATENCY, timed(processes(ms, 0.005, count, seed), (count,)), **fields)


def test_two_jobs_one_after_the_other_decide_nothing_small_however_many_processes_agree() -> None:
    line = of(job(5.0, 50), job(5.4, 50, 1))
    assert line.verdict is Verdict.NOT_DECIDABLE
    assert line.interval is not None
    assert line.interval[0] < 0 < line.change < line.interval[1]  # type: ignore[operator]
    assert line.smallest is not None
    assert 0.3 < line.smallest < 0.7
    for part in ("10.0%", "a cautious default", "would have been found", "turns", "3 jobs a side"):
        assert part in line.reason


def test_times_of_one_run_took_turns_and_are_told_apart_by_their_processes() -> None:
    base, new = job(5.0, 6, run="a"), job(5.4, 6, 1, run="a")
    line = of(base, new)
    assert line.verdict is Verdict.SLOWER
    assert line.interval is not None
    (before,), (now,) = ([one.medians for one in each.figures if isinstance(one, Timed)]
                         for each in (base, new))  # fmt: skip
    found = stats.ttest_ind(np.log(now), np.log(before), equal_var=False).confidence_interval(0.95)
    assert np.allclose(np.log1p(line.interval), found)
    for other in (replace(new, run="b"), replace(new, run="")):
        assert of(base, other).verdict is Verdict.NOT_DECIDABLE
    assert of(replace(base, run=""), replace(new, run="")).verdict is Verdict.NOT_DECIDABLE


def test_one_process_of_one_run_knows_no_spread() -> None:
    line = of(job(5.0, 1, run="a"), job(5.4, 1, 1, run="a"))
    assert line.verdict is Verdict.NOT_DECIDABLE
    assert "jobs are taken to differ" in line.reason


def test_several_runs_of_a_case_are_no_one_run() -> None:
    assert join([job(5.0, run="a"), job(5.0, run="b")]).run == ""
    assert join([job(5.0, run="a")]).run == "a"


@pytest.mark.parametrize("cases", [1, 100])
@pytest.mark.parametrize("spread", [0.0, 0.03])
@pytest.mark.parametrize("jobs", [1, 2, 3, 5])
def test_three_times_slower_is_found_in_one_job_of_one_process_and_in_more(
    cases: int, spread: float, jobs: int
) -> None:
    named = [replace(LATENCY, network=f"n{number}") for number in range(cases)]

    def made(ms: float, seed: int) -> list[Entry]:
        return [
            entry(case, timed(processes(ms, spread, jobs, seed + number)))
            for number, case in enumerate(named)
        ]

    found = compare(side(*made(5.0, 0)), side(*made(15.0, cases)))
    assert [line.verdict for line in found.lines] == cases * [Verdict.SLOWER]
    assert ("taken to differ by 10.0%" in found.lines[0].reason) == (jobs < 3)


def test_a_third_slower_is_found_where_the_history_says_that_jobs_hardly_differ() -> None:
    known = LongRun(0.03, 8)
    one, slow = (entry(LATENCY, timed([ms], (1,)), long_run=known) for ms in (5.0, 6.5))
    line = of(one, slow)
    assert line.verdict is Verdict.SLOWER
    assert "8 hours of this machine's history" in line.reason
    assert of(replace(one, long_run=None), replace(slow, long_run=None)).verdict not in DECIDED
    # Too short a history to say less than the default, and long enough to say more.
    few = [replace(each, long_run=LongRun(0.01, 3)) for each in (one, slow)]
    assert "3 hours of history are too few" in of(*few).reason
    restless = [replace(each, long_run=LongRun(0.5, 3)) for each in (one, replace(slow))]
    assert "differ by 50.0%" in of(*restless).reason


def test_what_is_told_of_jobs_goes_before_what_is_known() -> None:
    one, slow = job(5.0, long_run=LongRun(0.2, 50)), job(5.5, seed=1, long_run=LongRun(0.2, 50))
    assert of(one, slow, Policy(between_jobs=0.01)).verdict is Verdict.SLOWER
    assert "as told" in of(one, slow, Policy(between_jobs=0.01)).reason
    assert of(one, slow).verdict is Verdict.NOT_DECIDABLE


def test_two_jobs_that_differ_by_more_than_is_told_are_believed() -> None:
    base, new = (entry(LATENCY, timed((ms, 1.4 * ms), (1, 1))) for ms in (5.0, 6.5))
    assert of(base, new, Policy(between_jobs=0.01)).verdict is Verdict.NOT_DECIDABLE


def test_three_jobs_a_side_are_compared_by_their_means_alone() -> None:
    draw = np.random.default_rng(1)
    sides = [
        np.exp(np.log(ms) + 0.02 * draw.normal(size=(3, 1)) + 0.005 * draw.normal(size=(3, 4)))
        for ms in (5.0, 6.0)
    ]
    base, new = (entry(LATENCY, timed(one.ravel().tolist(), (4, 4, 4))) for one in sides)
    line = of(base, new)
    known = stats.ttest_ind(*(np.log(one).mean(axis=1) for one in sides[::-1]), equal_var=False)
    low, high = known.confidence_interval()
    # The cautious spread between jobs bounds it where these have not shown more.
    bound = 1.96 * math.sqrt(2 / 3 * (0.1**2 + 0.005**2 / 4))
    found = math.log1p(line.change or 0)
    assert line.interval is not None
    assert line.interval[0] == pytest.approx(math.expm1(max(low, found - bound)), abs=1e-3)
    assert line.interval[1] == pytest.approx(math.expm1(min(high, found + bound)), abs=1e-3)
    assert (line.verdict is Verdict.SLOWER) == (known.pvalue / 2 < 0.01)
    assert "taken to differ" not in line.reason


def test_processes_in_turns_saw_one_machine_and_need_no_other_job() -> None:
    draw = np.random.default_rng(2)
    shared = 0.3 * draw.normal(size=(6, 16))

    def made(factor: float) -> Entry:
        turns = factor * np.exp(shared + 0.002 * draw.normal(size=(6, 16)))
        medians = tuple(float(one) for one in np.median(turns, axis=1))
        figure = Timed("latency", "ms", medians, 6 * (64,), "token", tuple(turns.ravel().tolist()))
        return entry(LATENCY, figure, doubts=("not throttled: no, 3 events",))

    line = of(made(5.0), made(5.1))
    assert line.verdict is Verdict.SLOWER
    assert "not by chance" not in line.reason


@pytest.mark.parametrize("name", DISTURBANCES)
@pytest.mark.parametrize("ms", [5.0, 6.0, 30.4])
def test_no_verdict_stands_beside_a_condition_that_failed(name: str, ms: float) -> None:
    doubt = f"{name}: no, 2.1 times its fastest"
    for base, new in (
        (latency(5.0, doubts=(doubt,)), latency(ms, seed=1)),
        (latency(5.0), latency(ms, seed=1, doubts=(doubt,))),
    ):
        line = of(base, new)
        assert line.verdict is Verdict.NOT_DECIDABLE
        assert doubt in line.reason
        assert "chance" not in line.reason
        assert line.interval is None
        assert line.change == pytest.approx(ms / 5 - 1, abs=0.02)


def test_a_disturbed_job_does_not_count_where_others_do() -> None:
    def run(ms: float, disturbed: bool = False) -> Record:
        result = Latency((ms,), (), 1.0, 0.0)
        checks = (Check("CPUs enough for all", not disturbed, "others kept 2 busy"),)
        return Record(LATENCY, "measured", "ok", result, checks=checks, fingerprint="f")

    (one,) = entries([run(5.0), run(15.0, disturbed=True), run(5.1)])
    figure = one.figures[0]
    assert isinstance(figure, Timed)
    assert figure.by_job == ((5.0,), (5.1,))
    assert one.disturbances == ()
    assert one.doubts[0].startswith("1 of 3 jobs are left out: CPUs enough for all: no")
    (all_of_them,) = entries([run(5.0, disturbed=True), run(15.0, disturbed=True)])
    assert all_of_them.disturbances


def test_jobs_of_jobs_stay_apart() -> None:
    joined = join([job(5.0, 2), job(5.1, 3), entry(LATENCY, timed((4.0, 6.0), (1, 1)))])
    figure = joined.figures[0]
    assert isinstance(figure, Timed)
    assert figure.jobs == (2, 3, 1, 1)


def weaker(of_side: Entry, jobs: Sequence[int]) -> Entry:
    """The same medians, as of fewer jobs."""
    (figure,) = of_side.figures
    assert isinstance(figure, Timed)
    return replace(of_side, figures=(replace(figure, jobs=tuple(jobs)),))


@given(st.floats(0.3, 3.0), st.sampled_from([0.002, 0.01, 0.03]), st.integers(0, 10**6))
def test_weaker_evidence_moves_a_verdict_only_towards_not_decidable(
    factor: float, spread: float, seed: int
) -> None:
    base, new = (
        entry(LATENCY, timed(processes(ms, spread, 6, seed + which)))
        for which, ms in enumerate((5.0, 5.0 * factor))
    )
    strong = of(base, new, Policy(margin=0.05))
    doubted = replace(new, doubts=("machine kept its speed: no, 1.3 times",))
    for one, other in (
        (weaker(base, (6,)), weaker(new, (6,))),
        (weaker(base, (3, 3)), weaker(new, (3, 3))),
        (base, doubted),
    ):
        weak = of(one, other, Policy(margin=0.05)).verdict
        assert weak in (strong.verdict, Verdict.NOT_DECIDABLE)
