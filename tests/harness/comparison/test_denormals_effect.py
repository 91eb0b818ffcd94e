"""What flushing denormal numbers gains is as sure as processes, runs and the machine allow."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import ttest_ind

from facebench.harness.comparison.denormals_effect import effects
from facebench.harness.machine.flushing import FLUSHED, KEPT
from facebench.harness.records.case import Case
from facebench.harness.records.latency import Latency
from facebench.harness.records.record import Check, Record

KEPT_MS, FLUSHED_MS = (3.0, 3.1, 2.95, 3.06), (2.0, 2.02, 1.96)


def timed(what: str, medians: Sequence[float], run: str = "one") -> Record:
    """Processes whose samples are all their median."""
    samples = tuple(float(ms) for ms in np.repeat(medians, 8))
    result = Latency(samples, (), 1.0, 0.0, processes=(8,) * len(medians))
    case = Case("latency", "n", runtime="ncnn", denormals=what)
    return Record(case, "measured", "ok", result, provenance={"run": run})


def test_the_interval_is_welchs_over_processes_of_one_run() -> None:
    (found,) = effects([timed(KEPT, KEPT_MS), timed(FLUSHED, FLUSHED_MS)])
    test = ttest_ind(np.log(KEPT_MS), np.log(FLUSHED_MS), equal_var=False)
    assert found.interval == pytest.approx(np.exp(test.confidence_interval(0.95)))
    assert found.faster
    assert (found.case.denormals, found.reason) == ("", "")


def test_times_of_two_runs_are_uncertain_by_what_runs_differ_by() -> None:
    near = [2.04 * np.array(FLUSHED_MS) / 2, FLUSHED_MS]
    one_run = effects([timed(KEPT, near[0]), timed(FLUSHED, near[1])])
    two_runs = effects([timed(KEPT, near[0], "a"), timed(FLUSHED, near[1], "b")])
    widths = [one.interval[1] - one.interval[0] for one in (*one_run, *two_runs) if one.interval]
    assert widths[1] > 3 * widths[0]
    assert not two_runs[0].faster


def test_one_process_or_a_disturbed_machine_gives_no_interval() -> None:
    kept, flushed = timed(KEPT, KEPT_MS), timed(FLUSHED, FLUSHED_MS)
    (single,) = effects([timed(KEPT, KEPT_MS[:1]), flushed])
    check = Check("machine kept its speed", False, "1.4 times")
    (disturbed,) = effects([replace(kept, checks=(check,)), flushed])
    for one, word in ((single, "--processes 2"), (disturbed, "machine kept its speed: no")):
        assert one.interval is None
        assert not one.faster
        assert word in one.reason
