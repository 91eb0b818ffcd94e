"""Conditions of a latency's validity, and the cause of what is unstable in a sentence."""

import re
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from facebench.harness.machine.busy import Share
from facebench.harness.measures import validity
from facebench.harness.measures.merging import join
from facebench.harness.records.latency import Latency
from facebench.harness.records.record import Check
from facebench.harness.timing.sampler import Budget
from tests.harness.measures.times import QUIET, noise, part, process

BUDGET = Budget(processes=3)
STEADY = [process(noise(5.0, seed)) for seed in range(4)]


def joined(*processes: Latency) -> Latency:
    return join([part(one) for one in processes])


def check(name: str, *processes: Latency) -> Check:
    latency = joined(*processes) if len(processes) > 1 else processes[0]
    return next(c for c in validity.checks(latency, BUDGET, 6.0, 1) if c.name == name)


def test_a_steady_case_holds_all_conditions() -> None:
    found = validity.checks(joined(*STEADY), BUDGET, 6.0, 1)
    assert [one.name for one in found if not one.passed] == []
    assert {one.name for one in found} >= {"no drift", "one mode", "warm-up settled"}


def test_a_warm_up_that_did_not_settle_is_counted() -> None:
    found = check("warm-up settled", *STEADY, process(noise(5.0), settled=False))
    assert not found.passed
    assert "in 1 of 5 processes" in found.detail


def test_processes_at_different_levels_do_not_drift_and_have_one_mode() -> None:
    processes = [process(noise(5.0 + level, level)) for level in range(4)]
    assert check("no drift", *processes).passed
    assert check("one mode", *processes).passed


def test_processes_that_all_heat_up_drift() -> None:
    rising = np.linspace(1, 1.2, 64)
    processes = [process((rising * noise(5.0, seed)).tolist()) for seed in range(4)]
    assert not check("no drift", *processes).passed


def test_switching_between_two_speeds_is_said_with_both() -> None:
    rng = np.random.default_rng(0)
    factors = np.where(rng.random((4, 64)) < 0.4, 1.6, 1.0)
    processes = [process((f * noise(5.0, i)).tolist()) for i, f in enumerate(factors)]
    found = check("one mode", *processes)
    assert not found.passed
    assert "% of the samples are about 1.6" in found.detail


def alike(n: int) -> list[float]:
    values = np.random.default_rng(1).standard_normal(n)
    for i in range(1, n):
        values[i] = 0.9 * values[i - 1] + 0.44 * values[i]
    return (5 * np.exp(0.02 * values)).tolist()


def test_dependence_is_a_doubt_where_samples_are_the_unit_and_only_there() -> None:
    name = "interval allows for dependence"
    assert check(name, process(noise(5.0))).passed
    found = check(name, process(alike(500)))
    assert not found.passed
    assert "500 samples are worth" in found.detail
    assert check(name, *(process(alike(500)) for _ in range(3))).passed


def busy(share: Share) -> dict[str, object]:
    return {"conditions": replace(QUIET, during=share)}


APART: Sequence[float] = (5.0, 5.4, 5.8)


@pytest.mark.parametrize(
    ("processes", "cause"),
    [
        ([process(noise(ms)) for ms in APART], "explain .*: code layout or allocation"),
        ([process(noise(ms), throttled="too hot") for ms in APART], "1 was throttled .too hot"),
        ([process(noise(ms), **busy(Share(0.1, 0.0, 2))) for ms in APART], "hypervisor took 10%"),
        ([process(noise(ms), **busy(Share(0.0, 1.5, 2))) for ms in APART], "up to 1.5 CPUs busy"),
        (
            [process(noise(ms), 10.0 + 3 * i) for i, ms in enumerate(APART)],
            "in 2 of 3 processes a reference kernel took 1.60 times",
        ),
        ([process(noise(5.0, i, 24, 0.3)) for i in range(3)], "nothing that can be read here"),
    ],
)
def test_an_unstable_median_is_said_with_its_cause(processes: list[Latency], cause: str) -> None:
    found = check("median is known to 2 %", *processes)
    assert not found.passed
    assert re.search(cause, found.detail)


@pytest.mark.parametrize(
    ("share", "text"), [(0.02, "2 %"), (0.5, "50 %"), (0.005, "0.5 %"), (0.0012, "0.12 %")]
)
def test_what_was_asked_for_is_in_the_name(share: float, text: str) -> None:
    budget = replace(BUDGET, known_to=share)
    assert validity.checks(STEADY[0], budget, 1.0, 1)[-1].name == f"median is known to {text}"


def test_a_machine_that_shows_nothing_leaves_its_speed_open() -> None:
    bare = [process(noise(5.0, i), fastest_us=0.0, conditions=None) for i in range(3)]
    names = {one.name for one in validity.checks(joined(*bare), BUDGET, 6.0, 1)}
    assert "machine kept its speed" not in names


@pytest.mark.parametrize(
    ("working", "asked", "passed"), [(1, 1, True), (1, 2, True), (3, 2, False)]
)
def test_threads_are_counted_not_trusted(working: int, asked: int, passed: bool) -> None:
    latency = joined(*(process(noise(5.0, seed), working_threads=working) for seed in range(2)))
    found = {one.name: one for one in validity.checks(latency, BUDGET, 6.0, asked)}
    assert found["no more threads than asked for"].passed is passed
    unknown = validity.checks(joined(*STEADY), BUDGET, 6.0, asked)
    assert "no more threads than asked for" not in {one.name for one in unknown}
