"""A clock that is set in the middle of a run changes no figure, and nothing is skipped."""

import ast
import time
from datetime import datetime
from pathlib import Path

import pytest

from facebench.harness.measures.job import Job
from facebench.harness.models import networks
from facebench.harness.models.export import Exported
from facebench.harness.records.case import Case
from facebench.harness.records.latency import Latency
from facebench.harness.runs.execute import perform
from facebench.harness.runs.jobs import with_fingerprint
from facebench.harness.timing.sampler import Budget
from tests.faults.pretence import Pretence, in_fork, killed_at
from tests.places import ROOT

DAY_S = 86400.0

# Where a clock that can be set is read: the age of a file of another boot, when entries of
# the cache were used, and dates to show.
MAY_READ_IT = {
    "comparison/interleaved/turns.py",
    "comparison/tools/pytest_benchmark.py",
    "comparison/revisions/kept.py",
    "comparison/revisions/turns.py",
    "records/record.py",
    "runs/checkpoints.py",
    "storage/eviction.py",
    "storage/locks.py",
}


@pytest.mark.parametrize("step_s", [-400 * DAY_S, -DAY_S, DAY_S, 400 * DAY_S])
def test_a_run_whose_clock_is_set_while_it_is_killed_goes_on(
    pretence: Pretence, monkeypatch: pytest.MonkeyPatch, step_s: float
) -> None:
    for point in (150, 200, 250):
        assert killed_at(point, pretence.run)
        stepped = time.time() + step_s
        monkeypatch.setattr(time, "time", lambda stepped=stepped: stepped)
        pretence.require_nothing_lost()
    pretence.require_complete(pretence.run())
    assert sum(pretence.executed().values()) <= 5 + 3


def test_a_clock_that_runs_backwards_keeps_the_order_of_the_results(
    pretence: Pretence, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = iter(range(10**9, 0, -(10**6)))

    def backwards() -> None:
        monkeypatch.setattr(time, "time", lambda: float(next(now)))
        pretence.run()

    assert in_fork(backwards) == 0
    pretence.require_complete(pretence.run())


def test_a_clock_that_is_set_at_every_look_changes_no_figure(
    tiny_onnx: Path, tiny_exported: Exported, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = networks.resolve(f"onnx:{tiny_onnx}")
    case = Case("latency", network.name, network.weights, runtime="onnxruntime")
    job = Job(case, network, budget=Budget(0.1, 0.01), exported=tiny_exported.folder)
    start = time.monotonic()
    now = time.time()
    looks = iter(range(10**9))
    monkeypatch.setattr(time, "time", lambda: now + (-1) ** next(looks) * 400 * DAY_S)
    record = perform(with_fingerprint(job))
    took_s = time.monotonic() - start
    assert record.status == "ok", record.reason
    assert isinstance(record.result, Latency)
    assert min(record.result.samples_ms) > 0
    assert sum(record.result.samples_ms) / 1e3 < took_s
    # It is kept to a millisecond, which may round it up.
    assert 0 < record.duration_s < took_s + 5e-4
    assert datetime.fromisoformat(record.created)


def test_nothing_is_timed_by_a_clock_that_can_be_set() -> None:
    settable = {("time", "time"), ("time", "time_ns"), ("datetime", "now"), ("datetime", "utcnow")}
    reading = {
        path.relative_to(ROOT / "harness").as_posix()
        for path in (ROOT / "harness").rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and (node.value.id, node.attr) in settable
    }
    assert reading <= MAY_READ_IT
