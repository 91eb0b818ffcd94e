"""What a plan will take: closed forms of small schedules, and where times come from."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from facebench.harness.cli.main import cli
from facebench.harness.devices.registry import DEVICES
from facebench.harness.measures.job import Job
from facebench.harness.models.networks import Network
from facebench.harness.records.case import Case
from facebench.harness.records.record import Record
from facebench.harness.records.store import Store
from facebench.harness.runs import estimate
from facebench.harness.runs.estimate import Expected, Times, simulate


def job(measure: str, network: str = "a", device: str = "local", runtime: str = "") -> Job:
    case = Case(measure, network, device=device, runtime=runtime)
    return Job(case, Network(network, "random:0"), fingerprint=case.key)


def expected(measure: str, seconds: float, network: str = "a", device: str = "local") -> Expected:
    return Expected(job(measure, network, device), seconds, "this case")


def record(of: Job, seconds: float, status: str = "ok") -> Record:
    return Record(of.case, "counted", status, fingerprint=of.fingerprint, duration_s=seconds)


def test_a_case_takes_what_it_took_then_what_its_kind_took_then_its_measure() -> None:
    times = Times(
        [
            record(job("latency", "a", runtime="ncnn"), 10),
            record(job("latency", "b", runtime="ncnn"), 20),
            record(job("latency", "c", runtime="tvm"), 90),
            record(job("cost", "c"), 7, status="failed"),
        ]
    )
    for wanted, seconds, source in (
        (job("latency", "a", runtime="ncnn"), 10, "this case"),
        (job("latency", "z", runtime="ncnn"), 15, "its kind"),
        (job("latency", "z", runtime="torch"), 20, "its measure"),
        (job("cost", "c"), 0, "unknown"),
    ):
        assert times.expect(wanted) == Expected(wanted, seconds, source)


def test_starting_a_process_counts_for_each_of_a_case_on_another_device() -> None:
    of = job("latency", device="rpc://board:1", runtime="ncnn")
    three = replace(of, budget=replace(of.budget, processes=3))
    assert Times([record(of, 10)], start_s=2.0).expect(three).seconds == 16.0
    for shared in (job("cost"), job("latency", runtime="ncnn")):  # the second one is forked
        assert Times([record(shared, 10)], start_s=2.0).expect(shared).seconds == 10.0


def test_what_is_stored_does_not_run_again_and_what_failed_does() -> None:
    jobs = [job("cost", name) for name in "abc"]
    stored = [record(jobs[0], 1), record(jobs[1], 1, status="failed")]
    assert estimate.waiting(jobs, stored) == jobs[1:]


def test_one_machine_goes_stage_by_stage() -> None:
    # Two exports on two cores; then one is timed after the other.
    work = [expected("export", 3, "a"), expected("export", 5, "b")]
    work += [expected("latency", 10, "a"), expected("latency", 20, "b")]
    assert simulate(work, machines=1, cores=2) == 5 + 30


def test_times_are_all_taken_on_one_machine_and_the_rest_spreads() -> None:
    timed = [expected("latency", 10, str(i)) for i in range(5)]
    compiled = [expected("compile", 10, str(i)) for i in range(20)]
    assert simulate(timed, machines=100, cores=2) == 50
    assert simulate(compiled, machines=1, cores=2) == 100
    assert simulate(compiled, machines=5, cores=2) == 20
    assert simulate(timed + compiled, machines=6, cores=2) == 50


@pytest.mark.parametrize(("threads", "seconds"), [(1, 10), (2, 20), (4, 40), (9, 40)])
def test_a_case_that_is_not_timed_takes_a_core_a_thread_of_a_cluster(
    threads: int, seconds: int
) -> None:
    work = [expected("accuracy", 10, str(i)) for i in range(8)]
    work = [
        replace(one, job=replace(one.job, case=replace(one.job.case, threads=threads)))
        for one in work
    ]
    assert simulate(work, machines=2, cores=4) == seconds
    assert simulate(work, machines=1, cores=4) == 80


def test_each_board_runs_a_case_at_a_time() -> None:
    device = "rpc://board:1"
    assert DEVICES[device].remote
    work = [expected("latency", 6, str(i), device) for i in range(200)]
    assert simulate(work, machines=1, cores=2, boards=1) == 1200
    assert simulate(work, machines=1, cores=2, boards=100) == 12


def test_cases_of_a_network_wait_for_its_export() -> None:
    work = [expected("export", 50, "a"), expected("export", 1, "b")]
    work += [expected("compile", 10, "a"), expected("compile", 10, "b")]
    assert simulate(work, machines=4, cores=1) == 60


@given(
    st.lists(st.tuples(st.sampled_from(["export", "compile", "latency", "accuracy"]),
                       st.integers(0, 5), st.integers(1, 50)), min_size=1, max_size=25),
    st.integers(1, 8),
    st.integers(1, 4),
)  # fmt: skip
@settings(deadline=None, max_examples=60)
def test_no_schedule_beats_its_bounds(
    work: list[tuple[str, int, int]], machines: int, cores: int
) -> None:
    cases = {(measure, name): seconds for measure, name, seconds in work}
    made = [expected(m, s, str(name)) for (m, name), s in cases.items()]
    took = simulate(made, machines, cores)
    timed = sum(one.seconds for one in made if one.job.case.measure == "latency")
    # One machine is all a case's that runs alone; a cluster gives it a core a thread.
    alone = cores if machines == 1 else 1
    core_s = sum(one.seconds * (alone if one.job.case.measure == "accuracy" else 1)
                 for one in made if one.job.case.measure != "latency")  # fmt: skip
    longest = max(one.seconds for one in made)
    assert took >= max(timed, longest, (core_s + timed * cores) / (machines * cores)) - 1e-6
    assert took <= sum(one.seconds for one in made)


def test_the_command_says_what_is_done_and_what_the_rest_takes(tmp_path: Path) -> None:
    plan = tmp_path / "plan.toml"
    plan.write_text(
        'networks = ["mobilefacenet", "mobilenet_v2"]\nruntimes = []\ntargets = []\n'
        "datasets = []\ndevices = []\n"
    )
    other = Store(tmp_path / "other.jsonl")
    other.append(record(job("cost", "another"), 30.0))
    command = ["plan", str(plan), "-o", str(tmp_path), "--estimate", "--machines", "1,2", "--json"]
    done = CliRunner().invoke(cli, [*command, "--from", str(other.path)])
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert [row["measure"] for row in found["measures"]] == ["export", "cost"]
    assert [row["sources"]["unknown"] for row in found["measures"]] == [2, 0]
    assert found["measures"][1]["seconds"] == 60.0
    assert set(found["seconds"]) == {"1", "2"}


@pytest.mark.parametrize("machines", ["", "0", "two", "1,-2", "99999999"])
def test_numbers_of_machines_that_are_none_are_refused(machines: str) -> None:
    done = CliRunner().invoke(cli, ["plan", "quick", "--machines", machines])
    assert "is not valid: give numbers from 1 to 10000" in str(done.exception)
