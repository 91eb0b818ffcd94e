"""The main job again and again in one process: memory, descriptors and cache may not grow.

    python -m tests.faults.soak                 an hour
    python -m tests.faults.soak --minutes 5 -o soak.csv

Each run has other random weights, so that nothing is found in the cache and it would grow
without its cap. What is held after each run is compared between the second and the last
quarter: the first warms up. The exit code is 1 where it grew.
"""

from __future__ import annotations

import argparse
import csv
import io
import os
import shutil
import statistics
import sys
import tempfile
import threading
import time
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import psutil

CAP_BYTES = 100 * 10**6

# What the last quarter may hold more than the second, of noise: caches of libraries, arenas.
ALLOWED = {"memory_mb": 20.0, "descriptors": 0.5, "threads": 1.5, "children": 0.5}

_PLAN = """
networks = ["mobilefacenet_s", "shufflenet_v1"]
runtimes = ["onnxruntime", "ncnn"]
targets = []
datasets = []
sampling_s = 0.2
processes = 2
known_to = 1.0
[weights]
mobilefacenet_s = "random:{number}"
shufflenet_v1 = "random:{number}"
"""


def once(folder: Path, number: int) -> dict[str, float]:
    """Run a plan; what this process and the cache hold after it."""
    from facebench.harness.cli.main import cli
    from facebench.harness.storage import eviction

    plan = folder / "plan.toml"
    plan.write_text(_PLAN.format(number=number))
    out = folder / "out"
    with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
        cli.main(["run", str(plan), "-o", str(out)], standalone_mode=False)
    shutil.rmtree(out)
    process = psutil.Process()
    return {
        "run": number,
        "memory_mb": process.memory_info().rss / 1e6,
        "descriptors": process.num_fds(),
        "threads": threading.active_count(),
        "children": len(process.children(recursive=True)),
        "cache_mb": sum(item.size for item in eviction.items()) / 1e6,
    }


def growth(held: list[dict[str, float]], name: str) -> float:
    """By how much the median of the last quarter is above that of the second."""
    quarter = len(held) // 4
    second, last = held[quarter : 2 * quarter], held[-quarter:]
    return statistics.median(h[name] for h in last) - statistics.median(h[name] for h in second)


def main() -> None:
    """Soak for as long as asked, and say what grew."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("-o", "--out", type=Path, help="what was held after each run, as CSV")
    options = parser.parse_args()
    held: list[dict[str, float]] = []
    with tempfile.TemporaryDirectory(prefix="soak-") as temporary:
        folder = Path(temporary)
        os.environ["FACEBENCH_CACHE"] = str(folder / "cache")
        os.environ["FACEBENCH_CACHE_LIMIT"] = str(CAP_BYTES)
        end = time.monotonic() + 60 * options.minutes
        while time.monotonic() < end or len(held) < 8:
            held.append(once(folder, len(held)))
            print({name: round(value, 1) for name, value in held[-1].items()}, flush=True)
            if options.out is not None:
                write(options.out, held)
    grown = {name: growth(held, name) for name in ALLOWED}
    most = max(h["cache_mb"] for h in held)
    print(f"{len(held)} runs; growth {grown}; cache at most {most:.0f} MB")
    bad = [name for name, allowed in ALLOWED.items() if grown[name] > allowed]
    # What a run uses is never removed, so its own entries may come on top.
    if most > 2 * CAP_BYTES / 1e6:
        bad.append("cache")
    for name in bad:
        print(f"GREW {name}")
    sys.exit(1 if bad else 0)


def write(path: Path, held: list[dict[str, float]]) -> None:
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(held[0]))
        writer.writeheader()
        writer.writerows(held)


if __name__ == "__main__":
    main()
