"""How long the everyday commands take, from an empty cache and from the one that this left.

    python benchmarks/everyday.py                  all but `run`
    python benchmarks/everyday.py run --times 3
    python benchmarks/everyday.py list export

Each command begins with a cache and a folder of its own, and without FACEBENCH_DATA. Seconds are
those of the wall; in brackets, of the CPUs. Of several times the median is told. Of `run` it also
tells when the first report was there.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

COMMANDS = {
    "help": ["--help"],
    "list": ["list"],
    "cost": ["cost", "mobilefacenet"],
    "export": ["export", "mobilefacenet", "-o", "out"],
    "compile": ["compile", "mobilefacenet", "--target", "cortex-a72", "-o", "out"],
    "latency": ["latency", "mobilefacenet", "--runtime", "ncnn"],
    "verify": ["verify", "mobilefacenet", "--dataset", "synthetic"],
    "try": ["try", "my_block.py"],
    "run": ["run"],
}

# What comes before a command, and is not timed.
_BEFORE = {"try": ["new", "block", "my_block"]}
_FIRST_REPORT = "report so far"


@dataclass(frozen=True)
class Taken:
    """It is what one call took, in seconds.

    Attributes:
        wall_s: by the wall.
        cpu_s: of all CPUs, children included.
        first_s: until a first report was there; None where none came before the end.
    """

    wall_s: float
    cpu_s: float
    first_s: float | None = None


def main() -> None:
    """Time the commands, and print a table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("commands", nargs="*", choices=[*COMMANDS, []], metavar="COMMAND")
    parser.add_argument("--times", type=int, default=1, help="how often each is timed")
    chosen = parser.parse_args()
    print("| command | empty cache | warm cache |")
    print("|---|---|---|")
    for name in chosen.commands or [one for one in COMMANDS if one != "run"]:
        pairs = [both(name) for _ in range(chosen.times)]
        empty, warm = ([pair[i] for pair in pairs] for i in range(2))
        command = f"facebench {' '.join(COMMANDS[name])}"
        print(f"| `{command}` | {shown(empty)} | {shown(warm)} |", flush=True)


def both(name: str) -> tuple[Taken, Taken]:
    """Return what a command takes from an empty cache, and then once more."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        environment = os.environ | {"FACEBENCH_CACHE": str(place / "cache")}
        environment.pop("FACEBENCH_DATA", None)
        if name in _BEFORE:
            timed(_BEFORE[name], place, environment)
        return timed(COMMANDS[name], place, environment), timed(COMMANDS[name], place, environment)


def timed(arguments: list[str], place: Path, environment: dict[str, str]) -> Taken:
    """Run a command in a folder."""
    program = [str(Path(sys.executable).parent / "facebench"), *arguments]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    began = time.perf_counter()
    first = None
    with subprocess.Popen(
        program, cwd=place, env=environment, stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        assert process.stderr is not None
        said = []
        for line in process.stderr:
            said.append(line)
            if first is None and line.startswith(_FIRST_REPORT):
                first = time.perf_counter() - began
    wall = time.perf_counter() - began
    if process.returncode:
        raise SystemExit(f"{' '.join(arguments)} ended with {process.returncode}: {said[-1:]}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Taken(wall, cpu, first)


def shown(times: list[Taken]) -> str:
    """Return the medians of several calls."""
    wall = statistics.median(one.wall_s for one in times)
    cpu = statistics.median(one.cpu_s for one in times)
    first = [one.first_s for one in times if one.first_s is not None]
    report = f", first report after {statistics.median(first):.0f} s" if first else ""
    return f"{wall:.1f} s ({cpu:.1f} s){report}"


if __name__ == "__main__":
    main()
