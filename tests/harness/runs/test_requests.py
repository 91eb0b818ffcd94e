"""What a user asks for expands to a case for each combination, and to no other."""

from itertools import product
from pathlib import Path

import pytest

from facebench.architectures.errors import FacebenchError, RefusedError, UnknownNameError
from facebench.harness.models.networks import resolve
from facebench.harness.runs.jobs import BUDGET, Precision, Sampling
from facebench.harness.runs.plan import Plan
from facebench.harness.runs.plan_estimate import EstimateRequest, estimate_plan
from facebench.harness.runs.plan_run import RunRequest
from facebench.harness.runs.requests import (
    DenormalsRequest,
    InstructionsRequest,
    LatencyRequest,
    ThroughputRequest,
)
from facebench.harness.runtimes.registry import RUNTIMES, installed

NETWORKS = [resolve("mobilefacenet_s"), resolve("mobilenet_v2")]


def test_latency_is_of_every_combination() -> None:
    how = [Precision("fp32"), Precision("int8")]
    jobs = LatencyRequest(NETWORKS, ["onnxruntime"], precisions=how, threads=2, batch=4).jobs()
    cases = [(job.case.network, job.case.precision) for job in jobs]
    assert cases == list(product([n.name for n in NETWORKS], ["fp32", "int8"]))
    assert {(job.case.measure, job.case.threads, job.case.batch) for job in jobs} == {
        ("latency", 2, 4)
    }
    assert all(job.budget == BUDGET for job in jobs)


def test_runtimes_are_those_that_are_installed_where_none_is_named() -> None:
    jobs = LatencyRequest(NETWORKS[:1]).jobs()
    assert [job.case.runtime for job in jobs] == installed()


@pytest.mark.parametrize("request_of", [LatencyRequest, ThroughputRequest])
def test_all_runtimes_are_asked_for_the_precisions_that_they_run(
    request_of: type[LatencyRequest] | type[ThroughputRequest],
) -> None:
    how = [Precision("fp32"), Precision("int8")]
    jobs = request_of(NETWORKS[:1], precisions=how).jobs()
    asked = {(job.case.runtime, job.case.precision) for job in jobs}
    assert asked == {
        (name, one.name)
        for name, one in product(installed(), how)
        if one.name in RUNTIMES[name].precisions_on("host")
    }
    assert {one for name, one in asked if name == "ncnn"} == {"fp32"}


def test_a_precision_that_none_of_them_runs_is_refused() -> None:
    with pytest.raises(RefusedError, match="no runtime runs fp8: use fp32"):
        LatencyRequest(NETWORKS[:1], precisions=[Precision("fp32"), Precision("fp8")]).jobs()


def test_what_is_said_of_sampling_takes_the_place_of_what_is_usual() -> None:
    sampling = Sampling(processes=7, pin=False)
    (job,) = LatencyRequest(NETWORKS[:1], ["ncnn"], sampling=sampling).jobs()
    assert (job.budget.processes, job.budget.pin) == (7, False)
    assert (job.budget.sampling_s, job.budget.known_to) == (BUDGET.sampling_s, BUDGET.known_to)
    plan = sampling.over(Plan(networks="all"))
    assert (plan.networks, plan.processes, plan.pin) == ("all", 7, False)


def test_throughput_is_of_every_batch_in_as_many_sessions() -> None:
    jobs = ThroughputRequest(NETWORKS[:1], ["ncnn"], threads=(1, 2), batches=(1, 8)).jobs()
    assert [(job.case.threads, job.case.batch) for job in jobs] == [(1, 1), (1, 8), (2, 1), (2, 8)]
    assert {job.case.measure for job in jobs} == {"throughput"}


def test_denormals_are_counted_once_and_timed_both_ways() -> None:
    jobs = DenormalsRequest(NETWORKS, ["onnxruntime"]).jobs()
    assert [job.case.measure for job in jobs] == ["denormals"] * 2 + ["latency"] * 4
    modes = [job.case.denormals for job in jobs[2:]]
    assert modes[:2] == modes[2:]
    assert len(set(modes)) == 2


@pytest.mark.parametrize(
    "request_of",
    [
        lambda name: LatencyRequest(NETWORKS, [name]),
        lambda name: ThroughputRequest(NETWORKS, [name]),
        lambda name: InstructionsRequest(NETWORKS, [name]),
        lambda name: DenormalsRequest(NETWORKS, [name]),
    ],
)
def test_an_unknown_runtime_is_named_before_anything_runs(request_of) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(UnknownNameError, match="onnxruntim'.*did you mean onnxruntime"):
        request_of("onnxruntim").jobs()


def test_a_precision_that_a_runtime_lacks_is_refused() -> None:
    with pytest.raises(FacebenchError, match="ncnn"):
        LatencyRequest(NETWORKS, ["ncnn"], precisions=[Precision("int8")]).jobs()


def test_a_run_changes_its_plan_as_it_is_asked_to(tmp_path: Path) -> None:
    plan = tmp_path / "plan.toml"
    plan.write_text(
        'networks = ["mobilefacenet"]\nemulated = ["cortex-a72"]\nprocesses = 2\n'
        '[weights]\nmobilefacenet = "random:1"\nmobilenet_v2 = "random:2"\n'
    )
    unchanged = RunRequest(str(plan), tmp_path).load()
    assert (unchanged.devices, unchanged.emulated) == (("local",), ["cortex-a72"])
    changed = RunRequest(
        str(plan),
        tmp_path,
        weights={"mobilefacenet": "random:3"},
        weights_otherwise="shipped",
        devices=("rpc://h:1",),
        sampling=Sampling(known_to=0.5),
    ).load()
    assert changed.weights == {"mobilefacenet": "random:3", "mobilenet_v2": "random:2"}
    assert (changed.devices, changed.emulated) == (("rpc://h:1",), ())
    assert (changed.weights_otherwise, changed.processes, changed.known_to) == ("shipped", 2, 0.5)


def test_an_estimate_simulates_only_where_machines_are_asked_for(tmp_path: Path) -> None:
    plan = tmp_path / "plan.toml"
    plan.write_text('networks = ["mobilefacenet_s"]\nruntimes = []\ntargets = []\ndatasets = []\n')
    found = estimate_plan(EstimateRequest(str(plan), tmp_path))
    assert {row.measure: (row.cases, row.stored) for row in found.rows} == {
        "export": (1, 0),
        "cost": (1, 0),
    }
    assert found.networks == 1
    assert found.seconds == {}
    simulated = estimate_plan(EstimateRequest(str(plan), tmp_path, machines=(1, 4)))
    assert list(simulated.seconds) == [1, 4]
