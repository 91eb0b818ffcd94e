"""Whether runs of one plan raise an alarm against each other, on a busy and on a quiet machine.

    python benchmarks/jobs_trial.py loaded quiet slower -o FOLDER [--minutes 8]

Each run is a job of its own: `facebench run` of one network, five processes, on one core.
`loaded` makes twelve while other processes take the cores now and then, `quiet` twelve
without them, and all ordered pairs are compared as `facebench compare` does it: nothing
changed, so each alarm is false. `slower` alternates three jobs of the same code with three
whose every inference takes 2 % longer and three of 5 %, by a delay after it, and compares them
by three jobs a side. Runs that are in FOLDER are not made again, so that a shared machine can be
kept quiet for some minutes at a time: `--minutes` ends when no further run would fit, and the
same command goes on.
"""

from __future__ import annotations

import argparse
import math
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import permutations
from pathlib import Path

from rich.progress import track

from facebench.harness.comparison import extract
from facebench.harness.comparison.compare import Side, compare
from facebench.harness.comparison.verdict import Comparison, Verdict
from facebench.harness.records.store import RECORDS, Store

RUNS, JOBS, DELAYS = 12, 3, (0.0, 0.02, 0.05)

PLAN = """
networks = ["shufflenet_v1"]
runtimes = ["onnxruntime"]
targets = []
datasets = []
processes = 5
sampling_s = 0.5
known_to = 1.0
"""

# Python reads it as it starts: the process that times gets a session with a delay.
DELAYED = """
import os, sys
if "facebench.harness.runs.worker" in sys.orig_argv:
    import time
    from facebench.harness.runtimes import session
    share, made = float(os.environ["SLOWER_BY"]), session.LocalSession.__init__
    def delayed(self, *arguments):
        made(self, *arguments)
        fast = self._infer
        def infer(images):
            start = time.perf_counter()
            answer = fast(images)
            now = time.perf_counter()
            until = now + share * (now - start)
            while time.perf_counter() < until:
                pass
            return answer
        self._infer = infer
    session.LocalSession.__init__ = delayed
"""

# Takes a core for a time of its own, and leaves it for another.
LOAD = "import random, time\nwhile True:\n end = time.time() + random.uniform(0, 6)\n" \
    " while time.time() < end: pass\n time.sleep(random.uniform(0, 6))"  # fmt: skip


class Clock:
    """Ends the program where another run would take longer than what is left."""

    def __init__(self, minutes: float) -> None:
        self._end, self._longest = time.monotonic() + 60 * minutes, 0.0

    @contextmanager
    def timed(self) -> Iterator[None]:
        """Time a run, if there is time for it."""
        start = time.monotonic()
        if start + self._longest > self._end:
            sys.exit("the time is over; the same command goes on")
        yield
        self._longest = max(self._longest, time.monotonic() - start)


def run(folder: Path, clock: Clock, slower_by: float = 0.0) -> Side:
    """One job; a run that is in its folder is read."""
    made = joined(folder.name, [folder])
    if made.entries:
        return made
    with clock.timed():
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "plan.toml").write_text(PLAN)
        (folder / "sitecustomize.py").write_text(DELAYED)
        path = os.pathsep.join(filter(None, [str(folder), os.environ.get("PYTHONPATH")]))
        environment = os.environ | {"PYTHONPATH": path, "SLOWER_BY": str(slower_by)}
        command = ["taskset", "-c", "0", sys.executable, "-m", "facebench", "run"]
        command += [str(folder / "plan.toml"), "-o", str(folder)]
        done = subprocess.run(command, env=environment, capture_output=True, text=True)
        if done.returncode:
            sys.exit(done.stderr)
    return joined(folder.name, [folder])


def joined(name: str, folders: Sequence[Path]) -> Side:
    """Several jobs as one side."""
    records = [record for folder in folders for record in Store(folder / RECORDS).read()]
    timed = [record for record in records if record.case.measure == "latency"]
    return Side(name, tuple(extract.entries(timed)))


def alike(out: Path, name: str, clock: Clock) -> None:
    """Twelve runs of the same, all ordered pairs."""
    sides = [run(out / f"{name}-{number}", clock) for number in track(range(RUNS), name)]
    found = [compare(base, new) for base, new in permutations(sides, 2)]
    alarms = sum(bool(one.regressions) for one in found)
    tell(name, f"{alarms} of {len(found)} ordered pairs raise an alarm", found)
    figures = [figure for side in sides for entry in side.entries for figure in entry.figures]
    medians = [figure.value for figure in figures if figure.name == "latency"]
    print(f"  medians from {min(medians):.3g} to {max(medians):.3g} ms")


def slower(out: Path, clock: Clock) -> None:
    """Three jobs a side, in alternation; the last side is the same code again."""
    sides = [*DELAYS, 0.0]
    folders = [[out / f"side{i}-{job}" for job in range(JOBS)] for i in range(len(sides))]
    for job in track(range(JOBS), "slower"):
        for delay, own in zip(sides, folders, strict=True):
            run(own[job], clock, delay)
    base, *others = (joined(own[0].name, own) for own in folders)
    for delay, side in zip(sides[1:], others, strict=True):
        found = compare(base, side)
        (line,) = (line for line in found.lines if line.figure == "latency")
        low, high = line.interval or (float("nan"),) * 2
        told = f"{line.change:+.2%} ({low:+.2%} to {high:+.2%})" if line.change is not None else ""
        tell(f"{delay:.0%} slower, three jobs a side", told, [found])


def tell(name: str, what: str, found: Sequence[Comparison]) -> None:
    """Print a line, with how often each verdict was given."""
    verdicts = Counter(line.verdict for one in found for line in one.lines)
    counted = ", ".join(
        f"{verdict.value} {verdicts[verdict]}" for verdict in Verdict if verdicts[verdict]
    )
    print(f"{name}: {what}; verdicts: {counted}", flush=True)


@contextmanager
def load() -> Iterator[None]:
    """Others that take the cores now and then, one more than there are."""
    count = (os.cpu_count() or 1) + 1
    others = [subprocess.Popen([sys.executable, "-c", LOAD]) for _ in range(count)]
    try:
        yield
    finally:
        for one in others:
            one.kill()


def main() -> None:
    """Run as told."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("trials", nargs="+", choices=("loaded", "quiet", "slower"))
    parser.add_argument("-o", dest="out", type=Path, required=True, metavar="FOLDER")
    parser.add_argument("--minutes", type=float, default=math.inf)
    asked = parser.parse_args()
    clock = Clock(asked.minutes)
    for trial in asked.trials:
        if trial == "loaded":
            with load():
                alike(asked.out, trial, clock)
        elif trial == "quiet":
            alike(asked.out, trial, clock)
        else:
            slower(asked.out, clock)


if __name__ == "__main__":
    main()
