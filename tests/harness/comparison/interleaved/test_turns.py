"""Cases that take turns, with processes of their own and a tiny network."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from facebench.architectures.errors import RefusedError, UnavailableError
from facebench.harness.comparison import extract
from facebench.harness.comparison.entry import Entry
from facebench.harness.comparison.interleaved.prepared_case import PreparedCase, prepare
from facebench.harness.comparison.interleaved.python_environment import PythonEnvironment
from facebench.harness.comparison.interleaved.turns import Turns, measure
from facebench.harness.comparison.job_spread import known_spread
from facebench.harness.comparison.time_ratio import Ratio
from facebench.harness.comparison.verdict import Policy
from facebench.harness.machine.processes import ChildProcess
from facebench.harness.measures.job import Job
from facebench.harness.models.networks import Network
from facebench.harness.records.comparable import Timed
from facebench.harness.records.latency import Latency
from facebench.harness.records.record import Record, from_json, to_json
from facebench.harness.runs import jobs
from tests.progress import Told

SHORT = Turns(processes=2, turns=3, turn_s=0.002, warmup_s=0.02)
HERE = PythonEnvironment("here")


@dataclass(frozen=True)
class Broken(PythonEnvironment):
    """An environment in which sessions end as soon as they are started."""

    code: str = "import sys; sys.exit('no more memory')"

    def start(self, module: str, threads: int, *arguments: str) -> ChildProcess:
        if module != self.layout.session:
            return super().start(module, threads, *arguments)
        return ChildProcess([sys.executable, "-c", self.code])


@pytest.fixture(scope="module")
def job(tiny: Network, cache_folder: Path) -> Job:
    return jobs.with_fingerprint(jobs.latency_job(tiny, "ncnn", 1, 1))


@pytest.fixture(scope="module")
def prepared(job: Job) -> PreparedCase:
    return prepare(HERE, job.to_json())


def latencies(records: Sequence[Record]) -> list[Latency]:
    found = [record.result for record in records if isinstance(record.result, Latency)]
    assert len(found) == len(records), [record.reason for record in records]
    return found


def test_each_process_gives_its_turns_and_says_with_whom(prepared: PreparedCase) -> None:
    heard = Told()
    records = measure([prepared, prepared], SHORT, heard)
    first, second = latencies(records)
    assert heard.reached == [(1, 2, ""), (2, 2, "")]
    assert first.beside == second.beside != ""
    for one in (first, second):
        assert [len(process) for process in one.turn_medians_ms] == [3, 3]
        assert sum(one.turns) == sum(one.processes) == len(one.samples_ms)
        assert len(one.reference_us) == 6
        assert len(one.process_facts) == 2
        assert len(one.warmup_ms) == sum(fact.warmups for fact in one.process_facts)
    for record in records:
        assert record.environment == prepared.record.environment
        assert record.fingerprint != prepared.record.fingerprint
        assert from_json(to_json(record)) == record


def test_turns_of_one_measurement_are_compared_with_each_other(prepared: PreparedCase) -> None:
    mine = [extract.entry(record) for record in measure([prepared, prepared], SHORT)]
    later = [extract.entry(record) for record in measure([prepared, prepared], SHORT)]

    def in_turns(base: Entry, new: Entry) -> bool:
        (old,), (now,) = base.figures, new.figures
        assert isinstance(old, Timed)
        assert isinstance(now, Timed)
        return Ratio(old, now, Policy(), known_spread(())).in_turns

    assert in_turns(*mine)
    assert not in_turns(mine[0], later[0])


def test_a_side_that_fails_is_out_and_the_other_goes_on(prepared: PreparedCase) -> None:
    good, bad = measure([prepared, replace(prepared, environment=Broken("broken"))], SHORT)
    assert len(latencies([good])[0].processes) == 2
    assert bad.status == "failed"
    assert bad.result is None
    assert "no more memory" in bad.reason


def test_an_environment_without_facebench_is_named(job: Job, tmp_path: Path) -> None:
    (tmp_path / "facebench").mkdir()
    (tmp_path / "facebench" / "__init__.py").write_text("raise ImportError('not this one')")
    other = PythonEnvironment("another", variables={"PYTHONPATH": str(tmp_path)})
    with pytest.raises(UnavailableError, match=r"in another: .*not this one"):
        prepare(other, job.to_json())


def test_what_is_wrong_in_its_environment_is_found_before_any_turn(job: Job) -> None:
    wrong = replace(job, case=replace(job.case, runtime="nonsense"))
    found = prepare(HERE, wrong.to_json())
    assert found.record.status == "failed"
    assert "nonsense" in found.record.reason
    (record, _) = measure([found, found], SHORT)
    assert record.status == "failed"
    assert "nonsense" in record.reason


def test_another_machine_is_not_beside_this_one(job: Job) -> None:
    there = replace(job, case=replace(job.case, device="emulated:cortex-a72"))
    with pytest.raises(RefusedError, match="another machine"):
        prepare(HERE, there.to_json())
