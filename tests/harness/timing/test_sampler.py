"""Warm-up ends when times agree; at least 64 samples follow. The clock is the test's own."""

from collections.abc import Iterator

import pytest

from facebench.harness.timing import sampler
from facebench.harness.timing.sampler import MINIMUM_SAMPLES, Budget, sample


class Clock:
    """Stands still but for the durations it is told to spend."""

    def __init__(self, durations_ms: Iterator[float]) -> None:
        self.now_ns = 0
        self._durations = durations_ms

    def infer(self) -> None:
        self.now_ns += round(next(self._durations) * 1e6)

    def perf_counter_ns(self) -> int:
        return self.now_ns

    def perf_counter(self) -> float:
        return self.now_ns / 1e9


def run(
    monkeypatch: pytest.MonkeyPatch, durations_ms: Iterator[float], budget: Budget
) -> sampler.Samples:
    clock = Clock(durations_ms)
    monkeypatch.setattr(sampler, "time", clock)
    return sample(clock.infer, budget)


def steady(warm_ms: list[float], then_ms: float) -> Iterator[float]:
    yield from warm_ms
    while True:
        yield then_ms


def test_warm_up_times_are_kept_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    taken = run(monkeypatch, steady([90, 70, 50, 30, 20], 2.0), Budget(10, 0.5))
    assert taken.stable
    assert taken.warmup_ms[:5] == (90, 70, 50, 30, 20)
    assert set(taken.samples_ms) == {2.0}


def test_a_slow_network_still_gets_the_minimum_of_samples(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    taken = run(monkeypatch, steady([], 500.0), Budget(1, 1))
    assert len(taken.samples_ms) == MINIMUM_SAMPLES


def test_a_fast_network_is_sampled_for_the_whole_budget(monkeypatch: pytest.MonkeyPatch) -> None:
    taken = run(monkeypatch, steady([], 1.0), Budget(1, 2.0))
    assert len(taken.samples_ms) == 2000


def test_processes_share_time_and_minimum(monkeypatch: pytest.MonkeyPatch) -> None:
    budget = Budget(1, 3.0, processes=3)
    taken = run(monkeypatch, steady([], 1.0), budget)
    assert len(taken.samples_ms) == 1000
    slow = run(monkeypatch, steady([], 500.0), budget)
    assert 3 * len(slow.samples_ms) >= MINIMUM_SAMPLES > 3 * (len(slow.samples_ms) - 1)


def test_one_process_stays_one_and_several_become_twice_as_many() -> None:
    assert Budget().most_processes == 1
    assert Budget(processes=3).most_processes == 6


def test_a_warm_up_that_does_not_settle_ends_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def slower_and_slower() -> Iterator[float]:
        duration = 1.0
        while True:
            yield duration
            duration *= 1.05

    taken = run(monkeypatch, slower_and_slower(), Budget(0.5, 0.1))
    assert not taken.stable
    assert sum(taken.warmup_ms) > 500
