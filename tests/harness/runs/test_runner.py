"""A run goes on where it stopped, and one case that goes wrong takes no other with it."""

import json
import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from facebench.harness.devices.registry import DEVICES, Facts
from facebench.harness.machine.processes import ChildProcess
from facebench.harness.measures.job import Job
from facebench.harness.models.export import Exported
from facebench.harness.models.networks import Network
from facebench.harness.records.artifacts import Compilation
from facebench.harness.records.case import Case
from facebench.harness.records.latency import Latency
from facebench.harness.records.record import Record, from_json, to_json
from facebench.harness.records.store import Store
from facebench.harness.runs import runner, worker_pool
from facebench.harness.runs.jobs import with_fingerprint
from facebench.harness.runs.rounds import RunListener
from facebench.harness.runs.worker_pool import Start
from facebench.harness.storage import cache
from facebench.harness.storage.progress import SILENT, Progress
from facebench.harness.timing.sampler import Budget

BUDGET = Budget(0.1, 0.01)


class Heard(RunListener):
    """Keeps the records that it is told of."""

    def __init__(self) -> None:
        self.records: list[tuple[Record, bool]] = []

    def record(self, record: Record, stored: bool) -> None:
        self.records.append((record, stored))


def job(network: Network, measure: str = "latency", **fields: str) -> Job:
    case = Case(measure, network.name, network.weights, **fields)  # type: ignore[arg-type]
    return with_fingerprint(Job(case, network, budget=BUDGET))


def jobs(network: Network) -> list[Job]:
    return [
        job(network, "latency", runtime="onnxruntime"),
        job(network, "compile", runtime="tvm", target="cortex-a53"),
        job(network, "export"),
        job(network, "latency", runtime="ncnn"),
    ]


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "records.jsonl")


def test_records_come_in_the_order_of_the_jobs_and_are_stored(tiny: Network, store: Store) -> None:
    wanted = jobs(tiny)
    records = runner.run(wanted, store)
    assert [record.case for record in records] == [one.case for one in wanted]
    assert [record.status for record in records] == ["ok"] * 4
    assert isinstance(records[0].result, Latency)
    assert isinstance(records[1].result, Compilation)
    assert sorted(r.case.key for r in store.read()) == sorted(r.case.key for r in records)
    for record in records:
        assert record.environment["cpu_model"]
        assert record.provenance["weights"] == tiny.weights
        assert len(record.provenance["code"]) == 32


def test_what_is_stored_is_not_run_again(tiny: Network, store: Store) -> None:
    first = runner.run(jobs(tiny), store)
    told = Heard()
    again = runner.run(jobs(tiny), store, told)
    assert again == first
    assert [stored for _, stored in told.records] == [True] * 4
    assert len(store.read()) == 4


def test_what_changed_is_run_again(tiny: Network, store: Store) -> None:
    one = job(tiny, runtime="ncnn")
    runner.run([one], store)
    runner.run([replace(one, fingerprint="of another version of the code")], store)
    assert len(store.read()) == 2


def _run(one: Job, path: Path) -> None:
    runner.run([one], Store(path))


def test_a_run_that_is_killed_between_processes_goes_on_with_the_next(
    tiny: Network, tiny_exported: Exported, store: Store
) -> None:
    budget = replace(BUDGET, processes=3, known_to=1.0)
    one = with_fingerprint(replace(job(tiny, runtime="ncnn"), budget=budget))
    killed = multiprocessing.get_context("spawn").Process(target=_run, args=(one, store.path))
    kept = cache.root() / "parts"
    others = {*kept.glob("*")}  # the cache is shared by all tests
    killed.start()
    while not (first := [p for p in kept.glob("*/0.json") if p.parent not in others]):
        assert killed.is_alive()
        time.sleep(0.01)
    killed.kill()
    killed.join()
    before = from_json(json.loads(first[0].read_text())).result
    (record,) = runner.run([one], store)
    assert isinstance(before, Latency)
    assert isinstance(record.result, Latency)
    assert len(record.result.processes) >= 3  # more where the machine is restless
    assert record.result.by_process[0] == before.samples_ms
    assert {*kept.glob("*")} == others
    assert store.read() == [record]


class CountingWorkers:
    """Fails or succeeds as it is told, and runs nothing."""

    name, kind = "local", "measured"

    def __init__(self, status: str) -> None:
        self.status = status
        self.ran: list[str] = []

    def execute(self, jobs: Sequence[Job], progress: Progress, *start: Start) -> Iterator[Record]:
        for one in jobs:
            if not one.prepares:
                self.ran.append(one.case.runtime)
            yield Record(one.case, "measured", self.status, fingerprint=one.fingerprint)


@pytest.mark.parametrize(("status", "runs"), [("failed", 2), ("refused", 1), ("ok", 1)])
def test_only_what_failed_is_tried_again(
    status: str,
    runs: int,
    tiny: Network,
    tiny_exported: Exported,
    store: Store,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    counting = CountingWorkers(status)
    monkeypatch.setattr(worker_pool, "execute", counting.execute)
    for _ in range(2):
        runner.run([job(tiny, runtime="ncnn")], store)
    assert counting.ran == ["ncnn"] * runs


def test_stages_come_in_order_and_timing_after_all_that_may_overlap(
    tiny: Network, tiny_exported: Exported, monkeypatch: pytest.MonkeyPatch
) -> None:
    counting = CountingWorkers("ok")
    monkeypatch.setattr(worker_pool, "execute", counting.execute)
    told = Heard()
    runner.run(jobs(tiny), listener=told)
    assert [record.case.measure for record, _ in told.records] == [
        "export",
        "compile",
        "latency",
        "latency",
    ]


def test_cases_that_are_compared_are_timed_next_to_each_other(
    tiny: Network, tiny_exported: Exported, monkeypatch: pytest.MonkeyPatch
) -> None:
    counting = CountingWorkers("ok")
    monkeypatch.setattr(worker_pool, "execute", counting.execute)
    runtimes = ["ncnn", "onnxruntime", "ncnn", "onnxruntime"]
    wanted = [job(tiny, runtime=runtime, precision=str(i)) for i, runtime in enumerate(runtimes)]
    records = runner.run(wanted)
    assert counting.ran == ["ncnn", "ncnn", "onnxruntime", "onnxruntime"]
    assert [record.case for record in records] == [one.case for one in wanted]


def test_a_network_that_cannot_be_exported_fails_its_cases_and_no_others(
    tiny: Network, tmp_path: Path
) -> None:
    bad = tmp_path / "bad.pth"
    bad.write_bytes(b"no weights")
    broken = Network("mobilefacenet_s", "sha256:0", bad)
    wanted = [
        job(broken, "export"),
        job(broken, runtime="ncnn"),
        job(tiny, runtime="ncnn"),
    ]
    export, latency, other = runner.run(wanted)
    assert (export.status, latency.status, other.status) == ("failed", "failed", "ok")
    assert "bad.pth holds no weights" in export.reason
    assert latency.reason == export.reason


def test_a_process_that_is_killed_fails_its_case_alone(
    tiny: Network, tiny_exported: Exported
) -> None:
    slow = replace(job(tiny, runtime="onnxruntime"), budget=Budget(60, 60))
    quick = job(tiny, runtime="ncnn")
    at = tiny_exported.folder
    records: list[Record] = []

    def work() -> None:
        wanted = [replace(slow, exported=at), replace(quick, exported=at)]
        records.extend(worker_pool.execute(wanted, SILENT))

    thread = threading.Thread(target=work)
    thread.start()
    _kill_worker()
    thread.join()
    assert [record.status for record in records] == ["failed", "ok"]
    assert "ended by SIGKILL" in records[0].reason


def _kill_worker() -> None:
    """Kill the worker of this process once it is there."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        for child in psutil.Process().children():
            if "facebench.harness.runs.worker" in child.cmdline():
                os.kill(child.pid, signal.SIGKILL)
                return
        time.sleep(0.05)
    raise AssertionError("no worker came up")


def test_a_case_that_does_not_end_is_stopped(tiny: Network, tiny_exported: Exported) -> None:
    endless = replace(
        job(tiny, runtime="onnxruntime"),
        budget=Budget(600, 600),
        exported=tiny_exported.folder,
        limit_s=2.0,
    )
    (record,) = worker_pool.execute([endless], SILENT)
    assert record.status == "failed"
    assert "it hung: its process said nothing for 2 s and was stopped" in record.reason


class Far:
    """A device elsewhere, of two boards."""

    name, kind, remote = "far", "measured", True

    def facts(self) -> Facts:
        return Facts("", ("ncnn",), slots=2, identity="", cores=1)


def test_boards_of_one_device_run_at_once_and_after_this_machine(
    tiny: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    both = threading.Barrier(2, timeout=30)
    ran: list[str] = []

    def execute(jobs: Sequence[Job], progress: Progress, *start: Start) -> Iterator[Record]:
        (one,) = jobs
        if one.case.device == "far":
            both.wait()  # nobody passes alone
        ran.append(one.case.device)
        yield Record(one.case, "measured", "ok", fingerprint=one.fingerprint)

    monkeypatch.setitem(DEVICES._entries, "far", Far())
    monkeypatch.setattr(worker_pool, "execute", execute)
    here = job(tiny, runtime="ncnn")
    there = [
        replace(here, case=replace(here.case, device="far", threads=n), fingerprint=str(n))
        for n in range(1, 5)
    ]
    records = runner.run([*there, here])
    assert [record.case for record in records] == [one.case for one in [*there, here]]
    assert ran == ["local", *["far"] * 4]


@pytest.mark.parametrize("lost", [1, 2])
def test_a_case_whose_device_is_lost_is_tried_once_more(
    tiny: Network, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lost: int
) -> None:
    wanted = [job(tiny, runtime="ncnn"), job(tiny, runtime="onnxruntime")]
    records = [to_json(Record(one.case, "measured", "ok")) for one in wanted]
    (tmp_path / "lines").write_text("".join(json.dumps(record) + "\n" for record in records))
    # A worker that is lost so often, and then does what is left of its jobs.
    script = """
import json, os, pathlib, sys
folder = pathlib.Path(sys.argv[1])
jobs = json.load(sys.stdin)
tries = folder / "tries"
tries.write_text(tries.read_text() + "x" if tries.exists() else "x")
if len(tries.read_text()) <= int(sys.argv[2]):
    sys.exit(print("board far:1 was lost", file=sys.stderr) or os.EX_TEMPFAIL)
for line in (folder / "lines").read_text().splitlines()[-len(jobs):]:
    print(line, flush=True)
"""
    command = [sys.executable, "-c", script, str(tmp_path), str(lost)]
    monkeypatch.setattr(
        worker_pool, "ChildProcess", lambda _, **options: ChildProcess(command, **options)
    )
    done = list(worker_pool.execute(wanted, SILENT))
    assert [record.case for record in done] == [one.case for one in wanted]
    assert [record.status for record in done] == ["ok" if lost == 1 else "failed", "ok"]
    if lost == 2:
        assert done[0].reason == "board far:1 was lost"


def test_what_a_library_prints_does_not_disturb_the_records(
    tiny: Network, tiny_exported: Exported
) -> None:
    unknown = replace(job(tiny, runtime="ncnn"), exported=Path("/nowhere"))
    (record,) = worker_pool.execute([unknown], SILENT)
    assert record.status == "failed"
    assert "nowhere" in record.reason
    assert "traceback" in record.provenance


def test_a_timed_process_is_forked_and_its_record_says_what_it_found_imported(
    tiny: Network, tiny_exported: Exported
) -> None:
    budget = replace(BUDGET, processes=2, known_to=1.0)
    wanted = [replace(job(tiny, runtime=name), budget=budget) for name in ("ncnn", "torch")]
    wanted = [replace(one, exported=tiny_exported.folder) for one in wanted]
    ncnn, torch = runner.run(wanted)
    for record, how in ((ncnn, "forked"), (torch, "forked, torch imported before")):
        first, *others = record.provenance["started"]
        assert (first, {*others}) == ("forked", {how})
        assert isinstance(record.result, Latency)
        alone, *after = [f.footprint for f in record.result.process_facts if f.footprint]
        assert None not in (alone.import_ms, alone.open_ms, alone.first_ms, alone.memory)
        told = [(one.import_ms, one.open_ms, one.first_ms, one.memory) for one in after]
        assert {None in one for one in told} == {how != "forked"}
        if how != "forked":
            assert record.result.load_ms == record.result.process_facts[0].load_ms
