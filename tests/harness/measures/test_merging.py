"""Processes of a case become one record, and stop when its median is known or the budget spent."""

import json
from dataclasses import replace

import numpy as np
import pytest

from facebench.architectures.errors import RefusedError
from facebench.harness.machine.footprint import Footprint
from facebench.harness.measures import merging
from facebench.harness.measures.job import Job
from facebench.harness.models.networks import Network
from facebench.harness.records.latency import Latency
from facebench.harness.records.peak import Peak
from facebench.harness.records.record import Record, from_json, to_json
from facebench.harness.timing.sampler import Budget
from tests.harness.measures.times import CASE, noise, part, process

BUDGET = Budget(processes=3)


def job(budget: Budget = BUDGET) -> Job:
    return Job(CASE, Network("mobilefacenet", "random:0"), fingerprint="f", budget=budget)


def parts(levels_ms: list[float], duration_s: float = 2.0) -> list[Record]:
    return [part(process(noise(ms, seed)), duration_s) for seed, ms in enumerate(levels_ms)]


STEADY = [5.0] * 6
APART = [5.0, 5.5, 6.0, 5.0, 5.5, 6.0]


def latency(record: Record) -> Latency:
    assert isinstance(record.result, Latency)
    return record.result


@pytest.mark.parametrize(("levels_ms", "needed"), [(STEADY, 3), (APART, 6)])
def test_processes_end_with_the_median_known_or_with_twice_as_many(
    levels_ms: list[float], needed: int
) -> None:
    measured = parts(levels_ms)
    enough = [merging.enough(job(), measured[:n]) for n in range(1, 7)]
    assert enough.index(True) + 1 == needed


def test_a_narrower_interval_takes_more_processes() -> None:
    measured = parts([5.0, 5.02, 5.01])
    assert merging.enough(job(), measured)
    assert not merging.enough(job(replace(BUDGET, known_to=0.0005)), measured)


def test_no_process_is_started_when_the_time_is_spent() -> None:
    slow = parts(APART[:3], duration_s=30.0)
    assert merging.enough(job(), slow)
    detail = merging.merge(job(), slow).checks[-1].detail
    assert "3 processes, and the 90 s that they took left no time for another" in detail


def test_a_record_says_which_of_both_ended_it() -> None:
    known, spent = merging.merge(job(), parts(STEADY[:3])), merging.merge(job(), parts(APART))
    assert known.checks[-1].name == spent.checks[-1].name == "median is known to 2 %"
    assert known.checks[-1].passed
    assert not spent.checks[-1].passed
    assert "over 384 samples of 6 processes, and no more were to be started" in (
        spent.checks[-1].detail
    )


def test_what_processes_found_is_joined_in_order() -> None:
    measured = parts([5.0, 5.1, 5.2])
    measured[1] = part(process(noise(5.1, 1), load_ms=99.0, warmups=12), governor="x")
    measured[0] = part(process(noise(5.0, 0)), governor="x", load_1min=9.0)
    measured[2] = part(process(noise(5.2, 2)), governor="x")
    merged = merging.merge(job(), measured)
    found = latency(merged)
    assert found.by_process == tuple(latency(one).samples_ms for one in measured)
    assert found.processes == (64, 64, 64)
    assert [facts.load_ms for facts in found.process_facts] == [8.0, 99.0, 8.0]
    assert found.load_ms == 8.0
    assert len(found.warmup_ms) == sum(facts.warmups for facts in found.process_facts)
    assert len(found.reference_us) == sum(facts.references for facts in found.process_facts)
    assert (merged.case, merged.fingerprint, merged.duration_s) == (CASE, "f", 6.0)
    assert merged.checks[0].name == "outputs agree with torch"
    assert from_json(json.loads(json.dumps(to_json(merged)))) == merged


def test_the_interval_is_over_processes() -> None:
    found = latency(merging.merge(job(), parts(APART)))
    lower, upper = found.interval_ms
    medians = [float(np.median(group)) for group in found.by_process]
    assert lower <= found.median_ms <= upper
    assert upper - lower > np.std(medians, ddof=1)


def test_processes_of_different_machines_are_not_joined() -> None:
    measured = [*parts(STEADY[:2]), part(process(noise(5.0)), kernel="6.2", load_1min=3.0)]
    with pytest.raises(RefusedError, match="differ in kernel,"):
        merging.merge(job(), measured)


def test_a_case_that_ran_ahead_takes_as_many_processes_again() -> None:
    measured = parts(STEADY)
    ahead = job(replace(BUDGET, ahead=3))
    assert [merging.enough(ahead, measured[:n]) for n in (3, 4, 5, 6)] == [False] * 3 + [True]
    slow = parts(STEADY, duration_s=30.0)
    # Not for ever; but one that imports its runtime itself comes after those that ran ahead.
    assert [merging.enough(ahead, slow[:n]) for n in (3, 4)] == [False, True]


def test_a_start_is_told_by_the_processes_that_began_from_nothing() -> None:
    own = part(process([5.0], footprint=Footprint(import_ms=3.0, open_ms=6.0), load_ms=9.0))
    shared = part(process([5.0], footprint=Footprint(), load_ms=1.0))
    first = replace(own, provenance={merging.STARTED: "forked"})
    later = replace(shared, provenance={merging.STARTED: "forked, torch imported before"})
    merged = merging.merge(job(), [first, later, later])
    found = latency(merged)
    assert (found.load_ms, found.import_ms, found.open_ms) == (9.0, 3.0, 6.0)
    assert merged.provenance[merging.STARTED] == ["forked", *["forked, torch imported before"] * 2]


def test_what_one_process_alone_says_is_of_the_case_whichever_it_is() -> None:
    silent = part(process([5.0]))
    telling = part(replace(process([5.0]), peak=Peak("8x4", (1e9,), (1e9,), 2**27)))
    telling = replace(telling, provenance=telling.provenance | {"no_peak": "none"})
    merged = merging.merge(job(replace(BUDGET, ahead=1)), [silent, telling, silent])
    assert latency(merged).peak is not None
    assert merged.provenance["no_peak"] == "none"
