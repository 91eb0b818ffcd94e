"""A campaign of faults against the main job, as its users run it; a table of what came of them.

    python -m tests.faults.campaign                    all faults, 200 kills; half an hour
    python -m tests.faults.campaign --kills 20 --only kill,flip-cache -o counts.json

Each trial runs a small plan by the command line, in folders of its own, and has one thing go
wrong. Then: the store opens, holds every record that was reported as done, the same command
finishes the plan, and the records equal those of an undisturbed run: exact figures are equal,
times are there. The exit code is 1 where any trial fails. Faults that need a mount are tried
as root, and are named as not tried otherwise.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import re
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from harness.record import Record
from harness.store import RECORDS, Store, latest

ROOT = Path(__file__).parents[2]

# A run says nothing for so long only where it hangs.
LIMIT_S = 240.0

_PLAN = """
networks = ["onnx:{network}"]
runtimes = ["onnxruntime"]
targets = ["cortex-a72"]
datasets = ["synthetic"]
verify_with = "onnxruntime"
sampling_s = 0.2
processes = 2
known_to = 1.0
limit_s = {limit_s}
"""
_SMALL_PLAN = """
networks = ["mobilefacenet_s"]
runtimes = ["onnxruntime"]
devices = ["{device}"]
targets = []
datasets = []
sampling_s = 0.2
processes = 2
known_to = 1.0
"""

# What a run says of a case that is done: [3/5] compile onnx:tiny.onnx ...
_DONE = re.compile(r"^\[(\d+)/(\d+)\] (\w+) (?!.* \d+/\d+: )")


class LostError(Exception):
    """What must not happen."""


@dataclass
class Run:
    """One `facebench run`, with what it has reported so far."""

    process: subprocess.Popen[str]
    reported: list[str] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)

    def listen(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.lines.append(line.rstrip())
            if (done := _DONE.match(line)) and ": failed" not in line:
                self.reported.append(done[3])

    def end(self) -> int:
        try:
            return self.process.wait(LIMIT_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise LostError(f"it hangs; the last it said: {self.lines[-1:]}") from None
        finally:
            self.thread.join(10)

    @property
    def workers(self) -> list[psutil.Process]:
        with contextlib.suppress(psutil.Error):
            children = psutil.Process(self.process.pid).children()
            return [child for child in children if "harness.worker" in child.cmdline()]
        return []

    def __post_init__(self) -> None:
        self.thread = threading.Thread(target=self.listen, daemon=True)
        self.thread.start()


class Trial:
    """Folders of one trial, and the command that is run in them again and again."""

    def __init__(self, folder: Path, network: Path, warm: Path | None, plan: str = "") -> None:
        self.folder = folder
        self.cache = folder / "cache"
        self.out = folder / "out"
        folder.mkdir(parents=True)
        if warm is not None:
            shutil.copytree(warm, self.cache)
        self.plan = folder / "plan.toml"
        self.plan.write_text(plan or _PLAN.format(network=network, limit_s=60))

    @property
    def store(self) -> Store:
        return Store(self.out / RECORDS)

    def start(self, before: Callable[[], None] | None = None, **variables: str) -> Run:
        env = os.environ | {"FACEBENCH_CACHE": str(self.cache), "PYTHONPATH": str(ROOT)}
        env.pop("FACEBENCH_DATA", None)
        command = [sys.executable, "-m", "harness.cli", "run", str(self.plan), "-o", str(self.out)]
        return Run(
            subprocess.Popen(
                command,
                cwd=self.folder,
                env=env | variables,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                text=True,
                errors="replace",
                preexec_fn=before,
            )
        )

    def require_kept(self, *runs: Run) -> None:
        """What was reported as done is in the store, which opens; a cut-off line aside."""
        self.store.mend()
        stored = [record.case.measure for record in self.store.read() if record.status == "ok"]
        for run in runs:
            missing = set(run.reported) - set(stored)
            if missing:
                raise LostError(f"reported as done and not stored: {sorted(missing)}")

    def require_finishes(self, expected: dict[str, str], **variables: str) -> None:
        run = self.start(**variables)
        code = run.end()
        if code != 0:
            raise LostError(f"the same command ends with {code}: {run.lines[-3:]}")
        found = figures(latest(self.store.read()))
        if found != expected:
            different = [key for key in expected if found.get(key) != expected[key]]
            raise LostError(f"records differ from those of an undisturbed run: {different}")


def figures(records: list[Record]) -> dict[str, str]:
    """What must be equal from run to run, by case: exact figures, and that times are there."""
    made = {}
    for record in records:
        if record.case.measure == "latency":
            assert record.result is not None
            made[str(record.case)] = f"{record.status}, timed"
            continue
        # What an accuracy took to extract is a time too.
        text = re.sub(r"images_per_second=[\d.e+-]+|seconds=[\d.e+-]+", "", repr(record.result))
        made[str(record.case)] = f"{record.status} {text}"
    return made


@dataclass(frozen=True)
class World:
    """What all trials share."""

    network: Path
    warm: Path
    expected: dict[str, str]
    cases: int
    seconds: float


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
    trial.plan.write_text(_PLAN.format(network=world.network, limit_s=limit_s))
    run = trial.start()
    chance = random.Random(str(trial.folder))
    wanted = chance.randrange(world.cases)
    while run.process.poll() is None:
        if len(run.reported) >= wanted and (workers := run.workers):
            with contextlib.suppress(psutil.Error):
                workers[0].send_signal(number)
            break
        time.sleep(0.01)
    code = run.end()
    if code not in (0, 1):
        raise LostError(f"exit code {code}: {run.lines[-2:]}")
    trial.require_kept(run)
    trial.plan.write_text(_PLAN.format(network=world.network, limit_s=60))
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
    trial.plan.write_text(_SMALL_PLAN.format(device=f"rpc://127.0.0.1:{port}"))
    with serving(trial, port) as server:
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
    with serving(trial, port):
        again = trial.start()
        if again.end() != 0:
            raise LostError(f"with the board back: {again.lines[-3:]}")
    records = latest(trial.store.read())
    if {record.status for record in records} != {"ok"} or len(records) != 3:
        raise LostError(f"records: {[str(record.case) for record in records]}")


@contextlib.contextmanager
def serving(trial: Trial, port: int) -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, "-m", "harness.cli", "device", "serve", "--port", str(port)]
    env = os.environ | {"FACEBENCH_CACHE": str(trial.folder / "board"), "PYTHONPATH": str(ROOT)}
    with (trial.folder / "server.log").open("ab") as log:
        server = subprocess.Popen(command, env=env, stdout=log, stderr=log)
    try:
        time.sleep(6.0)
        yield server
    finally:
        server.kill()
        server.wait()


@contextlib.contextmanager
def mounted(place: Path, options: str) -> Iterator[None]:
    place.mkdir(parents=True, exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", place], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", place], check=True)


@dataclass(frozen=True)
class Fault:
    """One trial to come, of so many faults."""

    name: str
    act: Callable[[Trial], None]
    warm: bool = False
    faults: int = 1


def faults(world: World, kills: int, chance: random.Random, scratch: Path) -> list[Fault]:
    """All trials of a campaign."""
    wait = lambda: chance.uniform(0, world.seconds)  # noqa: E731
    made = []

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
        moments = random.Random(chance.random())
        add("kill", kill, moments, count, warm=number % 2 == 1, faults=count)
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
        add("bit flipped in the cache", flip_cache, path, chance, warm=True)
    for number in range(30):
        how = ("cut", "flip", "zeros")[number % 3]
        add(f"records damaged ({how})", damage_records, how, chance, warm=True)
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
    return made


def tiny_network(path: Path) -> Path:
    """A network of 112x112 that embeds in a fraction of a millisecond."""
    import torch
    from torch import nn

    from tests.harness.conftest import write_onnx

    torch.manual_seed(0)
    module = nn.Sequential(
        nn.Conv2d(3, 8, 8, stride=8), nn.PReLU(8), nn.Conv2d(8, 16, 14), nn.Flatten()
    )
    return write_onnx(module.eval(), path, size=112)


def main() -> None:
    """Run the campaign and print its table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--kills", type=int, default=200, help="at random moments")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=2, help="trials at the same time")
    parser.add_argument("--only", default="", help="faults whose names begin with one of these")
    parser.add_argument("-o", "--out", type=Path, help="the counts, as JSON")
    options = parser.parse_args()
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="campaign-") as temporary:
        scratch = Path(temporary)
        counts, lost = campaign(scratch, options)
    table = [
        {"fault": name, "tried": len(ends), "survived": ends.count("")}
        for name, ends in counts.items()
    ]
    for row in table:
        print(f"{row['fault']:32} {row['tried']:4} tried  {row['survived']:4} survived")
    tried = sum(len(ends) for ends in counts.values())
    minutes = (time.monotonic() - began) / 60
    print(f"{tried} faults, {tried - len(lost)} survived, {minutes:.0f} minutes", flush=True)
    for line in lost:
        print(f"LOST {line}")
    if os.geteuid() != 0:
        print("not tried: full disks and a read-only cache, which need a mount")
    if options.out is not None:
        options.out.write_text(json.dumps({"faults": table, "lost": lost}, indent=1))
    sys.exit(1 if lost else 0)


def campaign(scratch: Path, options: argparse.Namespace) -> tuple[dict[str, list[str]], list[str]]:
    """How each trial ended, by fault: an empty text, or what was lost."""
    network = tiny_network(scratch / "tiny.onnx")
    first = Trial(scratch / "undisturbed", network, None)
    start = time.monotonic()
    run = first.start()
    if run.end() != 0:
        raise SystemExit(f"the undisturbed run ends badly: {run.lines[-3:]}")
    seconds = time.monotonic() - start
    records = latest(first.store.read())
    world = World(network, first.cache, figures(records), len(records), seconds)
    print(f"undisturbed: {world.cases} cases in {seconds:.0f} s", flush=True)
    chosen = tuple(filter(None, options.only.split(",")))
    chance = random.Random(options.seed)
    waiting = [
        fault
        for fault in faults(world, options.kills, chance, scratch)
        if not chosen or fault.name.startswith(chosen)
    ]
    counts: dict[str, list[str]] = {fault.name: [] for fault in waiting}
    lost: list[str] = []
    total = sum(fault.faults for fault in waiting)

    def attempt(numbered: tuple[int, Fault]) -> None:
        number, fault = numbered
        trial = Trial(scratch / str(number), network, world.warm if fault.warm else None)
        try:
            fault.act(trial)
            end = ""
        except Exception as error:
            end = f"{fault.name} (trial {number}): {type(error).__name__}: {error}"
            lost.append(end)
            print(end, flush=True)
        counts[fault.name] += [end] * fault.faults
        shutil.rmtree(trial.folder, ignore_errors=True)
        done = sum(map(len, counts.values()))
        print(f"{done}/{total} {fault.name}, {len(lost)} lost", flush=True)

    with ThreadPoolExecutor(options.jobs) as pool:
        list(pool.map(attempt, enumerate(waiting)))
    return counts, lost


if __name__ == "__main__":
    main()
