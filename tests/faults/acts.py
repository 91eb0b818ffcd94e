"""What the campaign has go wrong, and what must hold after it."""

from __future__ import annotations

import contextlib
import os
import random
import resource
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import psutil

from facebench.harness.records.store import latest
from tests.faults.trials import (
    BOARD_PLAN,
    LIMIT_S,
    PLAN,
    ROOT,
    LostError,
    Trial,
    World,
    lending,
    mounted,
    serving,
)


def kill(trial: Trial, world: World, chance: random.Random, kills: int) -> None:
    """SIGKILL to the run at a random moment, and again to the run that goes on."""
    runs = []
    for _ in range(kills):
        run = trial.start()
        runs.append(run)
        # A run that goes on has less to do.
        left = 1 - len({case for one in runs for case in one.reported}) / world.cases
        with contextlib.suppress(subprocess.TimeoutExpired):
            run.process.wait(chance.uniform(0, world.seconds * max(left, 0.4)))
        run.process.kill()
        run.end()
        trial.require_kept(*runs)
    trial.require_finishes(world.expected)


def at_stage(number: int) -> Callable[[Trial, World, int], None]:
    """A signal when so many cases are done."""

    def send(trial: Trial, world: World, cases: int) -> None:
        run = trial.start()
        end = time.monotonic() + LIMIT_S
        while len(run.reported) < cases and run.process.poll() is None:
            time.sleep(0.01)
            if time.monotonic() > end:
                raise LostError("it hangs")
        if cases == 0:
            time.sleep(2.0)  # as it starts, once it listens to signals
        running = run.process.poll() is None
        run.process.send_signal(number)
        code = run.end()
        wanted = -number if number == signal.SIGKILL else 128 + number
        # Half a second later it may have come to its end.
        if running and code not in (wanted, 0):
            raise LostError(f"exit code {code} after signal {number}: {run.lines[-2:]}")
        trial.require_kept(run)
        trial.require_finishes(world.expected)

    return send


def to_worker(trial: Trial, world: World, number: int, limit_s: int = 60) -> None:
    """A signal to the process of the case in hand: that case fails, the others come."""
    trial.plan.write_text(PLAN.format(network=world.network, limit_s=limit_s))
    run = trial.start()
    chance = random.Random(str(trial.folder))
    wanted = chance.randrange(world.cases)
    while run.process.poll() is None:
        if len(run.reported) >= wanted and (workers := run.workers):
            with contextlib.suppress(psutil.Error):
                workers[-1].send_signal(number)
            break
        time.sleep(0.01)
    code = run.end()
    if code not in (0, 1):
        raise LostError(f"exit code {code}: {run.lines[-2:]}")
    trial.require_kept(run)
    trial.plan.write_text(PLAN.format(network=world.network, limit_s=60))
    trial.require_finishes(world.expected)


def without_memory(trial: Trial, world: World, megabytes: int) -> None:
    """Address space that ends in the middle of a case."""

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_AS, (megabytes * 2**20,) * 2)

    run = trial.start(limit)
    run.end()
    if any("Traceback" in line for line in run.lines) and run.reported:
        raise LostError(f"a traceback: {run.lines[-3:]}")
    trial.require_kept(run)
    trial.require_finishes(world.expected)


def flip_cache(trial: Trial, world: World, path: Path, chance: random.Random) -> None:
    """One bit of a file of the cache is another one: found by its hash, and made again."""
    flip(trial.cache / path, chance)
    trial.require_finishes(world.expected)


def damage_records(trial: Trial, world: World, how: str, chance: random.Random) -> None:
    """The results file is cut off, or a bit of it is another one."""
    trial.require_finishes(world.expected)
    path = trial.store.path
    if how == "cut":
        with path.open("r+b") as file:
            file.truncate(chance.randrange(path.stat().st_size))
    elif how == "flip":
        flip(path, chance)
    else:
        path.write_bytes(b"\0" * chance.randrange(1, 4096) + path.read_bytes())
    trial.require_finishes(world.expected)


def flip(path: Path, chance: random.Random) -> None:
    data = bytearray(path.read_bytes())
    if data:
        data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
        path.write_bytes(data)


def set_back(trial: Trial, world: World, wait: float, folder: Path) -> None:
    """The clock is set back a day between a kill and the next run."""
    (folder / "sitecustomize.py").write_text(
        "import time\nreal = time.time\ntime.time = lambda: real() - 86400\n"
    )
    run = trial.start()
    with contextlib.suppress(subprocess.TimeoutExpired):
        run.process.wait(wait)
    run.process.kill()
    run.end()
    trial.require_kept(run)
    trial.require_finishes(world.expected, PYTHONPATH=f"{folder}:{ROOT}")


def two_runs(trial: Trial, world: World, wait: float) -> None:
    """A second run writes to the same file, and one of the two is killed."""
    first = trial.start()
    time.sleep(wait / 2)
    second = trial.start()
    with contextlib.suppress(subprocess.TimeoutExpired):
        second.process.wait(wait)
    second.process.kill()
    second.end()
    if first.end() != 0:
        raise LostError(f"the other run ends badly: {first.lines[-2:]}")
    trial.require_kept(first, second)
    trial.require_finishes(world.expected)


def full_disk(trial: Trial, world: World, kilobytes: int, where: str) -> None:
    """The disk of the results, or of the cache, has so much room and no more."""
    place = trial.out if where == "out" else trial.cache
    with mounted(place, f"size={kilobytes}k"):
        run = trial.start()
        code = run.end()
        if any("Traceback" in line for line in run.lines):
            raise LostError(f"a traceback: {run.lines[-3:]}")
        if code not in (0, 1, 2):
            raise LostError(f"exit code {code}: {run.lines[-2:]}")
        trial.require_kept(run)
        if place.exists():
            shutil.copytree(place, trial.folder / "kept")
    if (trial.folder / "kept").exists():
        shutil.rmtree(place, ignore_errors=True)
        shutil.copytree(trial.folder / "kept", place)
    trial.require_finishes(world.expected)


def read_only_cache(trial: Trial, world: World) -> None:
    """A cache that can't be written to: one sentence, exit code 2; or it holds all there is."""
    with mounted(trial.cache, "size=1m,ro"):
        run = trial.start()
        code = run.end()
        if code not in (0, 1, 2) or any("Traceback" in line for line in run.lines):
            raise LostError(f"exit code {code}: {run.lines[-3:]}")
        trial.require_kept(run)
    trial.require_finishes(world.expected)


def lost_board(trial: Trial, world: World, cases: int, port: int) -> None:
    """A board's server is killed in the middle, and comes back."""
    lost(trial, cases, f"rpc://127.0.0.1:{port}", lambda: serving(trial, port))


def lost_tracker(trial: Trial, world: World, cases: int, port: int) -> None:
    """The tracker that lends a board is killed in the middle, and comes back."""
    lost(trial, cases, f"tracker://127.0.0.1:{port}/lab", lambda: lending(trial, port))


def lost(
    trial: Trial,
    cases: int,
    device: str,
    service: Callable[[], contextlib.AbstractContextManager[subprocess.Popen[bytes]]],
) -> None:
    trial.plan.write_text(BOARD_PLAN.format(device=device))
    with service() as server:
        run = trial.start()
        while len(run.reported) < cases and run.process.poll() is None:
            time.sleep(0.01)
        time.sleep(1.0)
        server.kill()
        server.wait()
        code = run.end()
    if code not in (0, 1, 2) or any("Traceback" in line for line in run.lines):
        raise LostError(f"exit code {code}: {run.lines[-3:]}")
    trial.require_kept(run)
    with service():
        again = trial.start()
        if again.end() != 0:
            raise LostError(f"with the device back: {again.lines[-3:]}")
    records = latest(trial.store.read())
    if {record.status for record in records} != {"ok"} or len(records) != 3:
        raise LostError(f"records: {[str(record.case) for record in records]}")


@dataclass(frozen=True)
class Fault:
    """One trial to come, of so many faults."""

    name: str
    act: Callable[[Trial], None]
    warm: bool = False
    faults: int = 1


def faults(world: World, kills: int, chance: random.Random, scratch: Path) -> list[Fault]:
    """All trials of a campaign."""
    made = []

    def wait() -> float:
        return chance.uniform(0, world.seconds)

    def own() -> random.Random:
        # Trials run side by side: each draws from its own.
        return random.Random(chance.random())

    def add(
        name: str,
        act: Callable[..., None],
        *arguments: object,
        warm: bool = False,
        faults: int = 1,
    ) -> None:
        made.append(Fault(name, lambda trial: act(trial, world, *arguments), warm, faults))

    for number, count in enumerate([4] * (kills // 4) + [kills % 4] * bool(kills % 4)):
        # Half with all artifacts there, so that more fall into timing and scoring.
        add("kill", kill, own(), count, warm=number % 2 == 1, faults=count)
    for name, number in (("SIGKILL", 9), ("SIGINT", 2), ("SIGTERM", 15)):
        for cases in range(world.cases + 1):
            add(f"{name} at every stage", at_stage(number), cases)
    for _ in range(6):
        add("worker killed", to_worker, signal.SIGKILL)
        add("worker crashed", to_worker, signal.SIGSEGV)
    for _ in range(3):
        add("case that never ends", to_worker, signal.SIGSTOP, 8)
    for megabytes in (400, 800, 1500, 2500, 4000, 6000):
        add("out of memory", without_memory, megabytes)
    files = [
        path.relative_to(world.warm) for path in sorted(world.warm.rglob("*")) if path.is_file()
    ]
    sealed = [
        path for path in files if (world.warm / path).parent.joinpath("manifest.json").exists()
    ]
    for path in chance.sample(sealed, min(30, len(sealed))):
        add("bit flipped in the cache", flip_cache, path, own(), warm=True)
    for number in range(30):
        how = ("cut", "flip", "zeros")[number % 3]
        add(f"records damaged ({how})", damage_records, how, own(), warm=True)
    for number in range(6):
        folder = scratch / f"clock-{number}"
        folder.mkdir()
        add("clock set back", set_back, wait(), folder)
        add("two runs on one store", two_runs, wait())
    if os.geteuid() == 0:
        for kilobytes in (4, 16, 64, 256, 1024, 2048):
            add("full disk: results", full_disk, kilobytes, "out", warm=True)
        for kilobytes in (4, 64, 256, 1024, 4096, 8192, 16384):
            add("full disk: cache", full_disk, kilobytes, "cache")
        add("cache that is read-only", read_only_cache)
    for cases in range(3):
        add("board lost", lost_board, cases, 9300 + cases)
        add("tracker lost", lost_tracker, cases, 9310 + 2 * cases)
    return made
