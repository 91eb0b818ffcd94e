from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from facebench.harness.comparison.compare import compare, match
from facebench.harness.comparison.entry import Entry
from facebench.harness.comparison.verdict import Comparison, Line, Policy, Verdict
from facebench.harness.records.case import Case
from facebench.harness.records.comparable import PEAK_MEMORY, Counted, Decided, Decisions
from tests.harness.comparison.sides import (
    ACCURACY,
    ENVIRONMENT,
    LATENCY,
    accuracy,
    cost,
    entry,
    latency,
    processes,
    side,
    timed,
)


def of(base: Entry, new: Entry, policy: Policy | None = None) -> Line:
    (line,) = compare(side(base), side(new), policy).lines
    return line


def many(slower: float, spread: float, cases: int, seed: int) -> Comparison:
    """So many cases at once, each of ten processes a side."""
    names = [replace(LATENCY, network=f"n{i}") for i in range(cases)]

    def made(factor: float, first: int) -> list[Entry]:
        return [
            entry(case, timed(processes(5 * factor, spread, seed=first + i)))
            for i, case in enumerate(names)
        ]

    return compare(side(*made(1, seed)), side(*made(1 + slower, seed + cases)))


def test_a_slower_case_is_an_alarm_with_its_ratio_and_interval() -> None:
    line = of(latency(5.0), latency(5.25, seed=1))
    assert line.verdict is Verdict.SLOWER
    assert line.verdict.alarms
    assert line.change == pytest.approx(0.05, abs=0.01)
    assert line.interval is not None
    assert line.interval[0] < 0.05 < line.interval[1]
    assert line.kind == "measured"


def test_a_faster_case_is_none() -> None:
    line = of(latency(5.25), latency(5.0, seed=1))
    assert line.verdict is Verdict.FASTER
    assert not line.verdict.alarms


def test_same_is_said_only_where_it_is_shown() -> None:
    assert of(latency(5.0), latency(5.0, seed=1)).verdict is Verdict.SAME
    one, other = (entry(LATENCY, timed(processes(5.0, 0.05, 5, seed))) for seed in (0, 3))
    line = of(one, other)
    assert line.verdict is Verdict.NOT_DECIDABLE
    assert "jobs a side would decide" in line.reason
    assert line.smallest is not None
    assert f"slow-downs of {100 * line.smallest:+.1f} % and more would have been found" in (
        line.reason
    )


def test_a_change_below_the_margin_is_no_alarm_however_certain() -> None:
    base = entry(LATENCY, timed(processes(5.0, 0.001, 50)))
    new = entry(LATENCY, timed(processes(5.03, 0.001, 50, seed=1)))
    assert of(base, new).verdict is Verdict.SAME
    assert of(base, new, Policy(margin=0.002)).verdict is Verdict.SLOWER


@pytest.mark.parametrize("cases", [1, 20, pytest.param(100, marks=pytest.mark.slow)])
def test_the_more_cases_the_fewer_alarms_each_may_raise(cases: int) -> None:
    # Chance of any false alarm in a comparison: 1 % by the rules, 100 comparisons here.
    runs = [many(0.0, 0.01, cases, 1000 * run) for run in range(100)]
    assert sum(bool(run.regressions) for run in runs) <= 4
    if cases > 1:
        found = many(0.05, 0.005, cases, 7)
        assert len(found.regressions) >= 0.95 * cases
        assert f"corrected for {cases} tests" in found.lines[0].reason


@pytest.mark.parametrize(
    ("before", "now", "verdict"),
    [
        (1000, 1000, Verdict.SAME),
        (1000, 1001, Verdict.WORSE),
        (1000, 999, Verdict.BETTER),
        (0, 0, Verdict.SAME),
        (0, 5, Verdict.WORSE),
    ],
)
def test_counts_are_exact(before: int, now: int, verdict: Verdict) -> None:
    line = of(cost(before), cost(now))
    assert line.verdict is verdict
    assert line.interval is None


def test_a_count_within_its_margin_is_the_same() -> None:
    policy = Policy(count_margin=0.01)
    assert of(cost(1000), cost(1010), policy).verdict is Verdict.SAME
    assert of(cost(1000), cost(1011), policy).verdict is Verdict.WORSE


@pytest.mark.parametrize(
    ("before", "now", "verdict"),
    [
        # What twelve processes of one network held in ONNX Runtime, the least and the most.
        (29.48e6, 33.14e6, Verdict.NOT_DECIDABLE),
        (33.14e6, 29.48e6, Verdict.NOT_DECIDABLE),
        (29.48e6, 31.11e6, Verdict.SAME),
        (29.48e6, 40e6, Verdict.WORSE),
        (2e6, 8e6, Verdict.NOT_DECIDABLE),
        (2e6, 9e6, Verdict.WORSE),
        (300e6, 325e6, Verdict.SAME),
        (300e6, 340e6, Verdict.WORSE),
        (340e6, 300e6, Verdict.BETTER),
    ],
)
def test_peak_memory_may_differ_by_what_processes_of_the_same_code_differ(
    before: float, now: float, verdict: Verdict
) -> None:
    base, new = (
        replace(latency(), figures=(Counted(PEAK_MEMORY, "bytes", held),)) for held in (before, now)
    )
    assert of(base, new).verdict is verdict


def test_a_modelled_time_is_judged_by_the_margin_of_times_and_stays_modelled() -> None:
    case = Case("cycles", "mobilefacenet", runtime="ncnn", device="emulated:kryo")
    base, new = (
        replace(entry(case, Counted("modelled time, 1 thread", "ms", ms)), kind="modelled")
        for ms in (10.0, 10.05)
    )
    line = of(base, new)
    assert (line.verdict, line.kind) == (Verdict.SAME, "modelled")
    assert of(base, new, Policy(margin=0.001)).verdict is Verdict.SLOWER


def test_figures_of_different_kinds_are_not_compared() -> None:
    line = of(latency(), replace(latency(), kind="published"))
    assert line.verdict is Verdict.NOT_COMPARABLE
    assert line.reason == "one is measured, the other published"


@pytest.mark.parametrize(
    ("name", "value", "kind"),
    [
        ("cpu_model", "Cortex-A72", "machine"),
        ("kernel", "7.0", "system"),
        ("onnxruntime", "2.0", "versions"),
        ("governor", "powersave", "settings"),
        ("turbo", "off", "settings"),
    ],
)
def test_another_environment_is_named_and_sets_a_time_apart(
    name: str, value: str, kind: str
) -> None:
    base = latency(environment={"turbo": "on", **ENVIRONMENT})
    new = latency(9.0, environment={"turbo": "on", **ENVIRONMENT, name: value})
    line = of(base, new)
    assert line.verdict is Verdict.NOT_COMPARABLE
    assert f"{name} ({base.environment[name]} and {value})" in line.reason
    assert f"--across {kind}" in line.reason
    allowed = of(base, new, Policy(across=frozenset({kind})))
    assert allowed.verdict is Verdict.SLOWER
    assert any(name in note for note in allowed.notes)


@pytest.mark.parametrize(
    "name", ["host", "load_1min", "memory_available_bytes", "ncnn", "affinity"]
)
def test_what_a_time_does_not_depend_on_does_not_hinder(name: str) -> None:
    # ncnn's version is nothing to a case that runs in ONNX Runtime.
    new = latency(seed=1, environment={**ENVIRONMENT, name: "another"})
    assert of(latency(environment={name: 1, **ENVIRONMENT}), new).verdict is Verdict.SAME


@pytest.mark.parametrize(("name", "values"), [
    ("threads_visible", (1, 2)), ("core_kinds", ("4 x 446", "4 x 1024")),
])  # fmt: skip
def test_the_number_and_kind_of_cores_matter_and_not_which_they_were(
    name: str, values: tuple[object, object]
) -> None:
    base, new = (
        latency(environment={**ENVIRONMENT, name: value, "affinity": cpu})
        for value, cpu in zip(values, ("0", "1"), strict=True)
    )
    line = of(base, new)
    assert line.verdict is Verdict.NOT_COMPARABLE
    assert name in line.reason
    assert "affinity" not in line.reason


def test_a_count_of_the_network_depends_on_no_environment() -> None:
    other = dict.fromkeys(ENVIRONMENT, "another")
    assert of(cost(), cost(environment=other)).verdict is Verdict.SAME


def test_instructions_depend_on_versions_and_not_on_the_machine() -> None:
    case = Case("instructions", "m", runtime="onnxruntime", device="emulated:kryo")
    count = Counted("instructions", "", 5e8)
    base = entry(case, count)
    machine = entry(case, count, environment={**ENVIRONMENT, "cpu_model": "another"})
    version = entry(case, count, environment={**ENVIRONMENT, "onnxruntime": "2.0"})
    assert of(base, machine).verdict is Verdict.SAME
    assert of(base, version).verdict is Verdict.NOT_COMPARABLE


def test_a_network_trained_anew_is_matched_and_its_weights_are_named() -> None:
    trained = replace(LATENCY, weights="sha256:" + 64 * "b")
    line = of(latency(), latency(case=trained))
    assert line.verdict is Verdict.NOT_COMPARABLE
    assert "weights (random:0 and sha256:bbbbbbbbbbbb)" in line.reason
    across = Policy(across=frozenset({"weights"}))
    assert of(latency(), latency(seed=1, case=trained), across).verdict is Verdict.SAME


def test_other_threads_are_named_where_nothing_else_matches() -> None:
    line = of(latency(), latency(case=replace(LATENCY, threads=2)))
    assert "threads (1 and 2)" in line.reason


def test_code_that_came_about_otherwise_is_named() -> None:
    line = of(latency(label="untuned"), latency())
    assert "label (untuned and none)" in line.reason


def test_a_case_that_fails_now_is_an_alarm_and_one_that_failed_before_is_none() -> None:
    failed = entry(LATENCY, status="failed", reason="the worker was killed")
    line = of(latency(), failed)
    assert line.verdict is Verdict.BROKEN
    assert line.reason == "NEW: failed: the worker was killed"
    assert compare(side(latency()), side(failed)).regressions
    assert of(failed, latency()).verdict is Verdict.NOT_COMPARABLE
    both = of(failed, failed)
    assert not both.verdict.alarms
    assert both.reason.count("the worker was killed") == 2
    refused = entry(LATENCY, status="refused", reason="untrained")
    assert of(latency(), refused).verdict is Verdict.NOT_COMPARABLE


def test_cases_without_a_counterpart_are_listed() -> None:
    made = compare(side(latency(), cost()), side(latency(seed=1), accuracy()))
    assert [case.measure for case in made.only_base] == ["cost"]
    assert [case.measure for case in made.only_new] == ["accuracy"]


def test_doubts_of_either_side_come_with_the_verdict() -> None:
    doubt = "one mode: no, 40% of the samples are about 1.3 times the others"
    assert of(latency(), latency(seed=1, doubts=(doubt,))).notes == (f"NEW: {doubt}",)


def test_regressions_come_first() -> None:
    cases = [replace(LATENCY, network=name) for name in "ab"]
    base = [latency(case=case) for case in cases]
    new = [latency(5.0, cases[0], 1), latency(6.0, cases[1], 1)]
    made = compare(side(*base), side(*new))
    assert [line.verdict for line in made.lines] == [Verdict.SLOWER, Verdict.SAME]
    assert made.counts == {"slower": 1, "same": 1}


some_cases = st.lists(
    st.builds(
        Case,
        measure=st.just("latency"),
        network=st.sampled_from("ab"),
        weights=st.sampled_from(["random:0", "random:1"]),
        threads=st.integers(1, 3),
    ),
    unique=True,
    max_size=8,
)


@given(some_cases, some_cases)
def test_every_case_is_matched_once_or_listed(base: list[Case], new: list[Case]) -> None:
    sides = [[entry(case) for case in cases] for cases in (base, new)]
    pairs, only_base, only_new = match(*sides)
    assert sorted([a.case.key for a, _ in pairs] + [c.key for c in only_base]) == sorted(
        case.key for case in base
    )
    assert sorted([b.case.key for _, b in pairs] + [c.key for c in only_new]) == sorted(
        case.key for case in new
    )
    exact = {case for case in base if case in new}
    assert exact <= {a.case for a, b in pairs if a.case == b.case}
    assert all(a.case.network == b.case.network for a, b in pairs)


def test_a_network_that_errs_more_is_worse() -> None:
    line = of(accuracy(range(60)), accuracy(range(110)))
    assert line.verdict is Verdict.WORSE
    assert line.change == pytest.approx(-50 / 6000)
    assert of(accuracy(range(110)), accuracy(range(60))).verdict is Verdict.BETTER


def test_equal_decisions_are_the_same_where_there_are_enough_pairs() -> None:
    assert of(accuracy(range(60)), accuracy(range(60))).verdict is Verdict.SAME
    few = of(accuracy(range(6), pairs=300), accuracy(range(6), pairs=300))
    assert few.verdict is Verdict.NOT_DECIDABLE
    assert "pairs would decide" in few.reason


def test_different_errors_in_equal_number_are_no_regression() -> None:
    line = of(accuracy(range(60)), accuracy(range(100, 160)))
    assert line.change == 0
    assert not line.verdict.alarms


def test_scores_on_other_pairs_are_not_compared() -> None:
    line = of(accuracy(range(9)), accuracy(range(99), digest="other"))
    assert line.verdict is Verdict.NOT_DECIDABLE
    assert "different pairs" in line.reason


def test_shares_without_their_decisions_are_not_compared() -> None:
    share = entry(ACCURACY, Decided("accuracy", 0.99, 6000))
    assert "can't be paired" in of(share, share).reason


def test_pairs_that_share_people_widen_the_interval() -> None:
    # Each of 20 people is in 100 pairs, and NEW errs on all genuine pairs of one.
    pairs = 2000
    people = np.repeat(np.arange(20), 100)
    identities = np.stack([people, people], axis=1)
    wrong = people == 3
    before, now = (Decisions(right, np.zeros(10)) for right in (np.ones(pairs, np.bool_), ~wrong))
    made = [
        of(
            entry(ACCURACY, Decided.pack("accuracy", before, "d", who)),
            entry(ACCURACY, Decided.pack("accuracy", now, "d", who)),
        )
        for who in ((), identities)
    ]
    widths = [line.interval[1] - line.interval[0] for line in made if line.interval]
    assert widths[1] > 3 * widths[0]
    assert made[0].verdict is Verdict.WORSE
    assert made[1].verdict is Verdict.NOT_DECIDABLE


def test_a_against_a_raises_an_alarm_over_accuracy_in_at_most_1_percent() -> None:
    draw = np.random.default_rng(0)
    alarms = 0
    for _ in range(200):
        wrong = [np.flatnonzero(draw.random(1500) < 0.02).tolist() for _ in range(2)]
        alarms += of(accuracy(wrong[0], 1500), accuracy(wrong[1], 1500)).verdict.alarms
    assert alarms <= 4


@given(st.floats(0.2, 5.0))
def test_the_change_is_the_ratio_less_one(ratio: float) -> None:
    base = processes(5.0)
    line = of(
        entry(LATENCY, timed(base)), entry(LATENCY, timed([ratio * median for median in base]))
    )
    assert line.change is not None
    assert math.isclose(1 + line.change, ratio, rel_tol=1e-9)
    assert line.base is not None
    assert line.new is not None
    assert math.isclose(line.new / line.base, ratio, rel_tol=1e-9)
