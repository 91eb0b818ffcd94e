"""A condition that did not hold moves a time by what its samples show, and a verdict by no more."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from facebench.harness.measures.doubt import doubts, worst
from facebench.harness.records.case import Case
from facebench.harness.records.latency import Latency, Process
from facebench.harness.records.record import Check, Record


def of(latency: Latency | None, *names: str) -> Record:
    checks = tuple(Check(name, False, "it did not hold") for name in names)
    return Record(Case("latency", "n", runtime="ncnn"), "measured", "ok", latency, checks=checks)


def latency(samples: np.ndarray, processes: int = 1) -> Latency:
    each = len(samples) // processes
    facts = (Process(41.0, 5, 1, True, fastest_us=1.0),) * processes
    made = Latency(tuple(map(float, samples)), (), 41.0, 1e-6, "")
    return replace(
        made, processes=(each,) * processes, process_facts=facts, reference_us=(1.0,) * processes
    )


NOISE = np.random.default_rng(0).normal(0, 0.002, 64)
STEADY = latency(10 * (1 + NOISE))


def test_what_held_and_what_moves_no_time_is_no_doubt() -> None:
    assert doubts(of(STEADY)) == []
    held = replace(of(STEADY), checks=(Check("no drift", True, ""),))
    assert doubts(held) == []
    assert doubts(of(STEADY, "memory is steady", "median is known to 2 %")) == []


def test_a_drift_moves_a_time_by_as_much_as_it_drifted() -> None:
    # By a tenth from the first sample to the last: the halves' medians differ by half of that.
    drifting = latency(10 * np.linspace(1.0, 1.1, 64))
    (found,) = doubts(of(drifting, "no drift"))
    assert found.shorter == found.longer == pytest.approx(1.049, abs=0.002)


def test_a_second_mode_moves_a_time_to_the_other_mode() -> None:
    both = latency(np.where(np.arange(64) % 2 == 0, 10.0, 12.0) * (1 + NOISE))
    (found,) = doubts(of(both, "one mode"))
    assert found.shorter == pytest.approx(1.2, abs=0.01)


def test_a_warm_up_that_did_not_settle_moves_a_time_by_two_percent_at_least() -> None:
    (found,) = doubts(of(STEADY, "warm-up settled"))
    assert found.longer == 1.02


def test_samples_that_are_alike_widen_by_what_they_are_worth_less() -> None:
    walk = latency(10 * (1 + 0.02 * np.sin(np.arange(64) / 10)))
    (found,) = doubts(of(walk, "interval allows for dependence"))
    low, high = walk.interval_ms
    # A tenth as many samples make an interval some three times as wide.
    assert (high / walk.median_ms) ** 1.5 < found.longer < (high / low) ** 10


def test_a_disturbance_makes_times_longer_alone() -> None:
    slow = replace(STEADY, reference_us=(1.3,))
    (found,) = doubts(of(slow, "machine kept its speed"))
    assert found.longer == 1.0
    assert found.shorter == pytest.approx(1.3**2)


def test_what_is_not_known_has_no_bound() -> None:
    for record in (of(STEADY, "a check of a plugin"), of(None, "no drift")):
        (found,) = doubts(record)
        assert (found.shorter, found.longer) == (math.inf, math.inf)


def test_the_worst_of_several_stands_for_all() -> None:
    drifting = latency(10 * np.linspace(1.0, 1.1, 64))
    shorter, longer = worst(doubts(of(drifting, "no drift", "warm-up settled")))
    assert shorter == longer == pytest.approx(1.049, abs=0.002)
    assert worst([]) == (1.0, 1.0)
