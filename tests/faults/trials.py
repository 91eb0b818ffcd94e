"""One trial of the campaign: the main job as its users run it, in folders of its own."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from facebench.harness.records.record import Record
from facebench.harness.records.store import RECORDS, Store, latest
from tests.places import ROOT

# A run says nothing for so long only where it hangs.
LIMIT_S = 240.0

PLAN = """
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
BOARD_PLAN = """
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
        """Those that perform jobs, and parents that fork such; a child comes after its parent."""
        with contextlib.suppress(psutil.Error):
            children = psutil.Process(self.process.pid).children(recursive=True)
            return [
                child for child in children if "facebench.harness.runs.worker" in child.cmdline()
            ]
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
        self.plan.write_text(plan or PLAN.format(network=network, limit_s=60))

    @property
    def store(self) -> Store:
        return Store(self.out / RECORDS)

    def start(self, before: Callable[[], None] | None = None, **variables: str) -> Run:
        env = os.environ | {"FACEBENCH_CACHE": str(self.cache), "PYTHONPATH": str(ROOT)}
        env.pop("FACEBENCH_DATA", None)
        command = [
            sys.executable,
            "-m",
            "facebench",
            "run",
            str(self.plan),
            "-o",
            str(self.out),
        ]
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
        text = re.sub(r"\w+_per_second=[\d.e+-]+|seconds=[\d.e+-]+", "", repr(record.result))
        made[str(record.case)] = f"{record.status} {text}"
    return made


@contextlib.contextmanager
def serving(trial: Trial, port: int, *options: str) -> Iterator[subprocess.Popen[bytes]]:
    """A board, in a process of its own."""
    with started(trial, "serve", "--port", str(port), *options) as server:
        yield server


@contextlib.contextmanager
def lending(trial: Trial, port: int) -> Iterator[subprocess.Popen[bytes]]:
    """A tracker on a port, which lends a board on the next one under the key `lab`."""
    with (
        started(trial, "tracker", "--port", str(port)) as tracker,
        serving(trial, port + 1, "--tracker", f"127.0.0.1:{port}", "--key", "lab"),
    ):
        yield tracker


@contextlib.contextmanager
def started(trial: Trial, *words: str) -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, "-m", "facebench", "device", *words]
    env = os.environ | {"FACEBENCH_CACHE": str(trial.folder / "board"), "PYTHONPATH": str(ROOT)}
    with (trial.folder / "server.log").open("ab") as log:
        process = subprocess.Popen(command, env=env, stdout=log, stderr=log)
    try:
        time.sleep(6.0)
        yield process
    finally:
        process.kill()
        process.wait()


@contextlib.contextmanager
def mounted(place: Path, options: str) -> Iterator[None]:
    place.mkdir(parents=True, exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", place], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", place], check=True)


@dataclass(frozen=True)
class World:
    """What all trials share."""

    network: Path
    warm: Path
    expected: dict[str, str]
    cases: int
    seconds: float
