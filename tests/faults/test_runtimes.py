"""A runtime that goes wrong fails its own case, with a reason, and no other."""

import re
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from facebench.harness.machine.processes import ChildProcess
from facebench.harness.measures.job import Job
from facebench.harness.models import networks
from facebench.harness.models.export import Exported
from facebench.harness.records.case import Case
from facebench.harness.records.record import Record
from facebench.harness.runs import worker_pool
from facebench.harness.runs.jobs import with_fingerprint
from facebench.harness.storage.progress import SILENT
from facebench.harness.timing.sampler import Budget
from tests.sampling import today

Faulty = Callable[..., list[Record]]


@pytest.fixture
def faulty(tiny_onnx: Path, tiny_exported: Exported, monkeypatch: pytest.MonkeyPatch) -> Faulty:
    """Two cases, the first in a runtime with the fault that is named; the second is sound."""
    network = networks.resolve(f"onnx:{tiny_onnx}")

    def run(fault: str, limit_s: float = 120.0, budget: Budget = Budget(0.1, 0.05)) -> list[Record]:  # noqa: B008
        first = Case("latency", network.name, network.weights, runtime="onnxruntime")
        cases = [first, replace(first, runtime="ncnn")]
        wanted = [
            with_fingerprint(
                Job(case, network, budget=budget, exported=tiny_exported.folder, limit_s=limit)
            )
            for case, limit in zip(cases, (limit_s, 120.0), strict=True)
        ]

        def start(command: list[str], environment: dict[str, str]) -> ChildProcess:
            parent = command[-1]
            faulty = [sys.executable, "-m", "tests.faults.faulty_worker", parent, fault]
            return ChildProcess(faulty, environment=environment)

        monkeypatch.setattr(worker_pool, "ChildProcess", start)
        return list(worker_pool.execute(wanted, SILENT))

    return run


@pytest.mark.parametrize(
    ("fault", "reason"),
    today(
        [
            ("abort", "ended by SIGABRT: it crashed"),
            ("leave", "ended with exit code 0 before its record was there"),
            ("hang", "it hung: its process said nothing for 8 s .*limit_s.*waiting for a lock"),
            ("exhaust", "too little memory for it here: .*allocate"),
            ("oom", "ended by SIGKILL: by the system, where memory was short"),
            ("not_a_number", "onnxruntime"),
            ("infinite", "onnxruntime"),
            ("short", r"output of shape \(1, 7\)"),
            ("flat", r"output of shape \(8,\)"),
            ("nothing", "onnxruntime"),
            ("another", "onnxruntime"),
        ],
        3,
    ),
)
def test_what_went_wrong_is_the_reason_and_the_next_case_runs(
    faulty: Faulty, fault: str, reason: str
) -> None:
    bad, good = faulty(fault, limit_s=8.0 if fault == "hang" else 120.0)
    print(bad.reason)
    assert (bad.status, good.status) == ("failed", "ok")
    assert re.search(reason, bad.reason, re.DOTALL), bad.reason
    assert "\n" not in bad.reason


def test_one_that_closes_its_output_and_hangs_is_ended(
    faulty: Faulty, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker_pool, "_END_S", 1.0)
    bad, good = faulty("hang_silenced")
    assert (bad.status, good.status) == ("failed", "ok")
    assert "ended by SIGKILL" in bad.reason


def test_what_it_prints_is_in_no_record(faulty: Faulty) -> None:
    assert [record.status for record in faulty("garbage")] == ["ok", "ok"]


def test_a_leak_is_a_doubt_about_the_figure(faulty: Faulty) -> None:
    leaking, sound = faulty("leak")
    assert leaking.status == "ok"
    (doubt,) = [one for one in leaking.checks if one.name == "memory is steady"]
    assert not doubt.passed
    assert re.search(r"grew by \d+\.\d MiB in \d+ inferences, 2\d\d KiB each", doubt.detail)
    (steady,) = [one for one in sound.checks if one.name == "memory is steady"]
    assert steady.passed, steady.detail
