"""Cases take turns, process by process, and a run that was killed goes on with the next one."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from facebench.harness.measures.job import Job
from facebench.harness.measures.registry import MEASURES, Several
from facebench.harness.models.networks import Network
from facebench.harness.records.case import Case
from facebench.harness.records.latency import Latency
from facebench.harness.records.record import Record
from facebench.harness.runs import rounds
from facebench.harness.runs.checkpoints import Checkpoints
from facebench.harness.timing.sampler import Budget
from tests.harness.measures.times import noise, part, process

APART = (5.0, 5.5, 6.0)


def job(network: str, measure: str = "latency", processes: int = 3) -> Job:
    case = Case(measure, network, runtime="ncnn")
    return Job(
        case,
        Network(network, "random:0"),
        fingerprint=f"f {network}",
        budget=Budget(processes=processes),
    )


class Machine:
    """Runs nothing: a process's times are those of its network, and it can be switched off.

    Args:
        levels_ms: of each network, one process after the other.
    """

    def __init__(self, levels_ms: dict[str, Sequence[float]]) -> None:
        self.levels_ms = levels_ms
        self.ran: list[tuple[str, int]] = []
        self.most = 1000

    def execute(self, one: Job) -> Record:
        if len(self.ran) == self.most:
            raise KeyboardInterrupt
        name = one.case.network
        self.ran.append((name, one.process))
        levels = self.levels_ms[name]
        times = noise(levels[one.process % len(levels)], seed=one.process)
        made = part(process(times))
        return replace(made, case=one.case, fingerprint=one.fingerprint)


def run(
    machine: Machine, jobs: Sequence[Job], parts: Checkpoints, told: list[str] | None = None
) -> list[Record]:
    class Told(rounds.RunListener):
        def part(self, record: Record, done: int, of: int) -> None:
            if told is not None:
                told.append(f"{record.case.network} {done}/{of}")

    return list(rounds.run(jobs, machine.execute, parts, Told()))


NOWHERE = Checkpoints(None)


def test_process_k_of_every_case_comes_before_process_k_plus_1_of_any() -> None:
    machine = Machine({"a": [5.0], "b": APART, "c": [2.0]})
    records = run(machine, [job("a"), job("b"), job("c")], NOWHERE)
    numbers = [number for _, number in machine.ran]
    assert numbers == sorted(numbers)
    assert machine.ran[:9] == [
        *[("a", 0), ("b", 0), ("c", 0)],
        *[("b", 1), ("c", 1), ("a", 1)],
        *[("c", 2), ("a", 2), ("b", 2)],
    ]
    assert machine.ran[9:] == [("b", 3), ("b", 4), ("b", 5)]
    assert [record.case.network for record in records] == ["c", "a", "b"]


def test_progress_says_which_process_of_how_many_at_least_and_then_at_most() -> None:
    told: list[str] = []
    run(Machine({"b": APART}), [job("b")], NOWHERE, told)
    assert told == ["b 1/3", "b 2/3", "b 3/3", "b 4/6", "b 5/6", "b 6/6"]


def test_one_process_makes_the_record_where_no_more_are_asked_for() -> None:
    machine = Machine({"a": [5.0]})
    told: list[str] = []
    jobs = [job("a", processes=1), job("a", "throughput", processes=3)]
    assert len(run(machine, jobs, NOWHERE, told)) == 2
    assert machine.ran == [("a", 0)] * 2
    assert told == []


@pytest.mark.parametrize("killed_after", range(1, 12))
def test_a_run_that_is_killed_between_processes_goes_on_with_the_next(
    killed_after: int, tmp_path: Path
) -> None:
    jobs = [job("a"), job("b"), job("c")]
    levels = {"a": [5.0], "b": APART, "c": [2.0]}
    whole, killed = Machine(levels), Machine(levels)
    parts = Checkpoints(tmp_path / f"{killed_after}.jsonl")
    expected = run(whole, jobs, NOWHERE)
    killed.most = killed_after
    done: list[Record] = []
    with pytest.raises(KeyboardInterrupt):
        done += _collected(rounds.run(jobs, killed.execute, parts, rounds.NOBODY), done)
    killed.most = 1000
    left = [one for one in jobs if one.case not in {record.case for record in done}]
    done += run(killed, left, parts)
    assert sorted(killed.ran) == sorted(whole.ran)
    by_case = {record.case: record.result for record in done}
    assert by_case == {record.case: record.result for record in expected}


def _collected(records: Iterator[Record], done: list[Record]) -> list[Record]:
    for record in records:
        done.append(record)
    return []


def test_a_process_that_goes_wrong_ends_its_case_and_no_other() -> None:
    machine = Machine({"a": [5.0], "b": [4.0]})

    def execute(one: Job) -> Record:
        record = machine.execute(one)
        if one.case.network == "a" and one.process == 1:
            return replace(record, status="failed", result=None, reason="ended by SIGSEGV")
        return record

    failed, other = rounds.run([job("a"), job("b")], execute, NOWHERE, rounds.NOBODY)
    assert failed.status == "failed"
    assert failed.reason == "process 2 of its case: ended by SIGSEGV"
    assert other.status == "ok"
    assert ("a", 2) not in machine.ran


@pytest.mark.parametrize(
    ("error", "reason"), [(ZeroDivisionError("by zero"), "ZeroDivisionError: by zero")]
)
def test_a_defect_in_joining_processes_is_the_record_of_its_case(
    error: Exception, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def merge(one: Job, parts: Sequence[Record]) -> Record:
        raise error

    broken = replace(MEASURES["latency"], several=Several(lambda *_: True, merge))
    monkeypatch.setitem(MEASURES._entries, "latency", broken)
    (record,) = run(Machine({"a": [5.0]}), [job("a")], NOWHERE)
    assert (record.status, record.reason, record.fingerprint) == ("failed", reason, "f a")


def ahead(network: str, known_to: float = 0.02) -> Job:
    one = job(network)
    return replace(one, budget=replace(one.budget, ahead=3, known_to=known_to))


class SoFar(rounds.RunListener):
    """Keeps what it is told of cases that go on."""

    def __init__(self) -> None:
        self.told: list[Record] = []

    def so_far(self, record: Record) -> None:
        self.told.append(record)


def test_cases_of_a_first_report_are_timed_ahead_and_again_in_turns_with_the_others(
    tmp_path: Path,
) -> None:
    machine, parts, told = Machine({"a": [5.0], "b": [5.0]}), Checkpoints(tmp_path / "r"), SoFar()
    assert list(rounds.ahead([ahead("a")], machine.execute, parts, told)) == []
    assert machine.ran == [("a", 0), ("a", 1), ("a", 2)]
    (record,) = told.told
    assert isinstance(record.result, Latency)
    assert len(record.result.processes) == 3
    records = run(machine, [ahead("a"), job("b")], parts)
    assert machine.ran[3:] == [("a", 3), ("b", 0), ("b", 1), ("a", 4), ("a", 5), ("b", 2)]
    lengths = [len(one.result.processes) for one in records if isinstance(one.result, Latency)]
    assert sorted(lengths) == [3, 6]


def test_what_ran_ahead_already_does_not_run_again(tmp_path: Path) -> None:
    machine, parts, told = Machine({"a": [5.0]}), Checkpoints(tmp_path / "r"), SoFar()
    machine.most = 2
    with pytest.raises(KeyboardInterrupt):
        list(rounds.ahead([ahead("a")], machine.execute, parts, told))
    machine.most = 1000
    for _ in range(2):
        assert list(rounds.ahead([ahead("a")], machine.execute, parts, told)) == []
    assert machine.ran == [("a", 0), ("a", 1), ("a", 2)]
    assert len(told.told) == 2


def test_a_case_that_goes_wrong_ahead_is_over() -> None:
    def execute(one: Job) -> Record:
        return replace(part(process([5.0])), case=one.case, status="failed", reason="it crashed")

    told = SoFar()
    (record,) = rounds.ahead([ahead("a")], execute, NOWHERE, told)
    assert (record.status, record.reason) == ("failed", "process 1 of its case: it crashed")
    assert told.told == []
