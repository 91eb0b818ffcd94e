"""Times of several machines stay apart, those of a cluster's by the machine's name too."""

from dataclasses import replace

from facebench.harness.records.record import Record
from facebench.harness.runs.cluster.alike import Likeness, told
from facebench.harness.runs.cluster.timing_machine import timed_on
from facebench.reports.environments import apart
from tests.reports.report_records import latency


def on(host: str, network: str = "mobilefacenet", model: str = "x") -> Record:
    one = latency(network, "ncnn")
    return replace(one, environment=one.environment | {"host": host, "cpu_model": model})


def devices(*records: Record) -> list[str]:
    return [record.case.device for record in apart(records)]


def test_machines_of_one_model_are_one_unless_a_cluster_names_them() -> None:
    assert devices(on("a"), on("b", "mobilenet_v2")) == ["local", "local"]
    assert devices(on("a"), on("b", model="y")) == ["x", "y"]
    clustered = timed_on(on("a"), "a"), timed_on(on("b", "mobilenet_v2"), "b")
    assert devices(*clustered) == ["x (1)", "x (2)"]
    # What was timed on the same host without the cluster stands with its own.
    assert devices(*clustered, on("a", "mobilenet_v1")) == ["x (1)", "x (2)", "x (1)"]


def test_a_machine_that_has_shown_to_be_like_another_stands_beside_it() -> None:
    alike = Likeness("b", "a", 1.001, (0.99, 1.01), alike=True)
    found = timed_on(on("a"), "a"), told(timed_on(on("b", "mobilenet_v2"), "b"), alike)
    assert devices(*found) == ["local", "local"]
    assert found[1].checks[-1].detail.startswith("b takes 1.001 times (0.990 to 1.010)")
