"""Records of processes are kept whole or not at all, for one results file, for a day."""

import fcntl
import os
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest

from facebench.architectures.errors import BadInputError
from facebench.harness.measures.job import Job
from facebench.harness.models.networks import Network
from facebench.harness.records.record import Record
from facebench.harness.runs.checkpoints import Checkpoints, claim
from facebench.harness.storage import cache
from facebench.harness.timing.sampler import Budget
from tests.harness.measures.times import CASE, noise, part, process

JOB = Job(CASE, Network("mobilefacenet", "random:0"), fingerprint="f", budget=Budget(processes=3))


@pytest.fixture
def parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Checkpoints:
    monkeypatch.setenv("FACEBENCH_CACHE", str(tmp_path / "cache"))
    return Checkpoints(tmp_path / "records.jsonl")


def keep(parts: Checkpoints, count: int, one: Job = JOB) -> list[Record]:
    records = [part(process(noise(5.0, number))) for number in range(count)]
    for number, record in enumerate(records):
        parts.keep(replace(one, process=number), record)
    return records


def files() -> list[Path]:
    return sorted(path for path in (cache.root() / "parts").rglob("*") if path.is_file())


def test_what_is_kept_is_found_again_in_order(parts: Checkpoints) -> None:
    assert parts.load(JOB) == []
    assert parts.load(JOB) == keep(parts, 0)
    assert keep(parts, 3) == parts.load(JOB)


def test_other_cases_and_other_results_files_have_their_own(
    parts: Checkpoints, tmp_path: Path
) -> None:
    keep(parts, 1)
    assert parts.load(replace(JOB, fingerprint="of another version")) == []
    assert Checkpoints(tmp_path / "others.jsonl").load(JOB) == []
    assert Checkpoints(tmp_path / "folder/../records.jsonl").load(JOB) != []


def test_of_a_run_without_a_results_file_nothing_is_kept(parts: Checkpoints) -> None:
    nowhere = Checkpoints(None)
    keep(nowhere, 1)
    assert nowhere.load(JOB) == []
    assert files() == []


def test_what_is_stored_is_forgotten(parts: Checkpoints) -> None:
    kept = keep(parts, 2)
    parts.forget(kept[0])
    assert files() == []
    parts.forget(kept[0])


def test_a_damaged_file_is_measured_again_with_all_after_it(parts: Checkpoints) -> None:
    kept = keep(parts, 3)
    files()[1].write_bytes(files()[1].read_bytes()[:-9])
    assert parts.load(JOB) == kept[:1]


def test_processes_of_yesterday_are_not_gone_on_with(
    parts: Checkpoints, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep(parts, 2)
    later = time.clock_gettime(time.CLOCK_BOOTTIME) + 25 * 3600
    monkeypatch.setattr(time, "clock_gettime", lambda clock: later)
    assert parts.load(JOB) == []


@pytest.mark.parametrize("hours", [-1000, -25, 25, 1000])
def test_a_clock_that_is_set_changes_no_age(
    parts: Checkpoints, hours: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = keep(parts, 2)
    stepped = time.time() + hours * 3600
    monkeypatch.setattr(time, "time", lambda: stepped)
    assert parts.load(JOB) == kept


@pytest.mark.parametrize(("hours", "found"), [(-25, 0), (-1, 2), (1, 2), (25, 0)])
def test_after_another_boot_the_files_date_counts(
    parts: Checkpoints, tmp_path: Path, hours: int, found: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep(parts, 2)
    boot = tmp_path / "boot_id"
    boot.write_text("another\n")
    monkeypatch.setattr("facebench.harness.runs.checkpoints._BOOT_ID", boot)
    dated = time.time() + hours * 3600
    for path in files():
        os.utime(path, (dated, dated))
    assert len(parts.load(JOB)) == found


def test_runs_at_the_same_time_keep_theirs_apart_and_find_them_again(
    parts: Checkpoints, tmp_path: Path
) -> None:
    results = tmp_path / "records.jsonl"
    with claim(results) as first, claim(results) as second, claim(None) as nowhere:
        kept = keep(first, 1), keep(second, 2)
        keep(nowhere, 1)
        assert (first.load(JOB), second.load(JOB)) == kept
        second.forget(kept[1][0])
        assert first.load(JOB) == kept[0]
    with claim(results) as again:
        assert again.load(JOB) == kept[0]


@pytest.mark.parametrize("dead", [True, False])
def test_a_lock_that_a_dead_run_s_child_holds_a_moment_longer_is_waited_for(
    dead: bool, parts: Checkpoints, tmp_path: Path
) -> None:
    results = tmp_path / "records.jsonl"
    with claim(results) as before:
        kept = keep(before, 1)
    (path,) = (cache.root() / "runs").iterdir()
    child = path.open("w")
    child.write(str(2**30 if dead else os.getpid()))
    child.flush()
    fcntl.flock(child.fileno(), fcntl.LOCK_EX)
    threading.Timer(0.3, child.close).start()
    with claim(results) as after:
        assert after.load(JOB) == (kept if dead else [])


def test_a_full_disk_is_one_sentence_and_leaves_what_was_kept(
    parts: Checkpoints, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = keep(parts, 1)

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(BadInputError, match="No space left on device.*same command again"):
        parts.keep(replace(JOB, process=1), kept[0])
    assert parts.load(JOB) == kept
    assert [path.name for path in files()] == ["0.json"]
