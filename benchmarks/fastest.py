"""TVM's code against the fastest of the other runtimes, as ratios in one run.

    python benchmarks/fastest.py                          the networks of Table 2, 1 and 2 threads
    python benchmarks/fastest.py mobilefacenet --threads 1 --rounds 20

Every runtime has a process of its own, which stays open. They are timed by turns, in
rounds, so that what else the machine does falls on all of them alike. A ratio is that of
the medians of a round; shown are the median and the range of the rounds.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from facebench.architectures import registry
from facebench.harness.models.export import export
from facebench.harness.models.networks import resolve
from facebench.harness.runtimes.registry import RUNTIMES

_OURS = "tvm"


def main() -> None:
    options = _options()
    if options.child:
        _serve(*options.child.split(","), options.seconds)
        return
    names = options.networks or [name for name in registry.names() if registry.find(name).paper_row]
    rows = []
    for threads in options.threads:
        print(f"\n{threads} thread{'s' * (threads > 1)}: ms by runtime, ratio to the fastest")
        ratios = []
        for name in names:
            row = _compare(name, threads, options.rounds, options.seconds)
            rows.append(row)
            ratios.append(row["ratio"])
            times = "  ".join(f"{k} {v:.2f}" for k, v in row["median_ms"].items())
            low, high = row["range"]
            print(f"{name:22} {row['ratio']:.3f} ({low:.3f} to {high:.3f})  {times}", flush=True)
        mean = math.exp(statistics.fmean(map(math.log, ratios)))
        print(f"{'geometric mean':22} {mean:.3f}; largest {max(ratios):.3f}")
    if options.json:
        options.json.write_text(json.dumps(rows, indent=1))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("networks", nargs="*")
    parser.add_argument("--threads", type=lambda text: [int(n) for n in text.split(",")])
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--seconds", type=float, default=0.3, help="of a runtime in a round")
    parser.add_argument("--json", type=Path, help="write the rows to this file")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    parser.set_defaults(threads=[1, 2])
    return parser.parse_args()


def _compare(name: str, threads: int, rounds: int, seconds: float) -> dict[str, object]:
    """Medians of all runtimes, and TVM's ratio to the fastest other, by rounds."""
    children = {
        runtime: _start(name, runtime, threads, seconds)
        for runtime in RUNTIMES.names()
        if RUNTIMES[runtime].installed()
    }
    found: dict[str, list[float]] = {runtime: [] for runtime in children}
    for number in range(rounds):
        order = list(children)
        for runtime in order[number % len(order) :] + order[: number % len(order)]:
            found[runtime].append(_ask(children[runtime]))
    for child in children.values():
        child.communicate()
    others = [runtime for runtime in found if runtime != _OURS]
    fastest = min(others, key=lambda runtime: statistics.median(found[runtime]))
    ratios = [ours / theirs for ours, theirs in zip(found[_OURS], found[fastest], strict=True)]
    return {
        "network": name,
        "threads": threads,
        "fastest": fastest,
        "ratio": statistics.median(ratios),
        "range": (min(ratios), max(ratios)),
        "median_ms": {runtime: statistics.median(times) for runtime, times in found.items()},
    }


def _start(name: str, runtime: str, threads: int, seconds: float) -> subprocess.Popen[str]:
    command = [sys.executable, __file__, "--child", f"{name},{runtime},{threads}"]
    child = subprocess.Popen(
        [*command, "--seconds", str(seconds)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env=os.environ | {"OMP_NUM_THREADS": str(threads)},
    )
    _line(child)  # it is open and warm before the next one starts
    return child


def _ask(child: subprocess.Popen[str]) -> float:
    assert child.stdin
    child.stdin.write("go\n")
    child.stdin.flush()
    return float(_line(child))


def _line(child: subprocess.Popen[str]) -> str:
    assert child.stdout
    line = child.stdout.readline()
    if not line:
        sys.exit(f"{' '.join(map(str, child.args))} ended before it answered")  # type: ignore[union-attr]
    return line


def _serve(name: str, runtime: str, threads: str, seconds: float) -> None:
    """Time one runtime, once for each line that comes."""
    exported = export(resolve(name))
    chosen = RUNTIMES[runtime]
    session = chosen.open(chosen.prepare(exported, 1, "host").path, int(threads))
    images = exported.reference()[0][:1]

    def sample(seconds: float) -> Sequence[float]:
        end = time.perf_counter() + seconds
        times = []
        while time.perf_counter() < end:
            start = time.perf_counter()
            session(images)
            times.append(time.perf_counter() - start)
        return times

    sample(2 * seconds)
    print("ready", flush=True)
    for _ in sys.stdin:
        print(statistics.median(sample(seconds)) * 1e3, flush=True)


if __name__ == "__main__":
    main()
