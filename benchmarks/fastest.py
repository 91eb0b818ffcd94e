"""TVM's code against the fastest of all other runtimes, as ratios in one run.

    python benchmarks/fastest.py                          the networks of Table 2, 1 and 2 threads
    python benchmarks/fastest.py mobilefacenet timm:fastvit_t8:gap --threads 1 --rounds 20
    python benchmarks/fastest.py mobilenet_v1 --runtimes tvm,onnxruntime
    python benchmarks/fastest.py --precision int8 --runtimes tvm,tvm:fp32,litert,openvino

All compute in one precision, but those that name another; int8 is calibrated on synthetic faces.
Every runtime has a process of its own, which stays open. They are timed by turns, in
rounds, so that what else the machine does falls on all of them alike. A ratio is that of
the medians of a round; shown are the median and the range of the rounds. A runtime that
refuses a network, or fails, is named with its reason, and the others go on.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import math
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from facebench.architectures import registry
from facebench.architectures.errors import FacebenchError
from facebench.harness.measures.deployment import Deployment, deploy
from facebench.harness.measures.job import Job
from facebench.harness.models.networks import resolve
from facebench.harness.models.precision import PRECISIONS
from facebench.harness.records.case import Case
from facebench.harness.runtimes.registry import RUNTIMES, installed

_OURS = "tvm"


@dataclass(frozen=True)
class Row:
    """It is one network's comparison.

    Attributes:
        network: its name.
        threads: of every runtime.
        median_ms: of each runtime that ran it, the fastest first; `tvm:fp32` is TVM in fp32.
        refused: why others did not, by runtime.
        fastest: the fastest beside TVM; empty where no other ran it.
        ratio: TVM's time over that one's, the median of the rounds; 0 where there is none.
        low: the lowest ratio of a round.
        high: the highest.
    """

    network: str
    threads: int
    median_ms: dict[str, float]
    refused: dict[str, str]
    fastest: str = ""
    ratio: float = 0.0
    low: float = 0.0
    high: float = 0.0


def main() -> None:
    options = _options()
    if options.child:
        _serve(*options.child.split(","), options.seconds)
        return
    names = options.networks or [name for name in registry.names() if registry.find(name).paper_row]
    if options.prepare:
        _prepare(names, options)
        return
    for runtime in RUNTIMES:
        if not runtime.installed():
            print(f"left out: {runtime.name} is not installed ({runtime.install})")
    # What prepares imports torch and more, which none of the timed processes should.
    subprocess.run([sys.executable, __file__, *sys.argv[1:], "--prepare"], check=False)
    rows = []
    for threads in options.threads:
        _progress("")
        print(f"\n{threads} thread{'s' * (threads > 1)}: ratio to the fastest other; ms by runtime")
        these = [_compare(name, threads, options) for name in names]
        ratios = [row.ratio for row in these if row.ratio]
        if ratios:
            mean = math.exp(statistics.fmean(map(math.log, ratios)))
            print(f"{'geometric mean':22} {mean:.3f}; largest {max(ratios):.3f}", flush=True)
        rows += these
    if options.json:
        options.json.write_text(json.dumps(list(map(asdict, rows)), indent=1))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("networks", nargs="*", help="names, timm:... and blocks among them")
    parser.add_argument(
        "--runtimes",
        type=lambda text: text.split(","),
        default=installed(),
        help=f"of {','.join(RUNTIMES.names())}, or such as tvm:fp32; all that are installed "
        "unless given",
    )
    parser.add_argument("--precision", default="fp32", choices=PRECISIONS)
    parser.add_argument(
        "--threads",
        type=lambda text: [int(n) for n in text.split(",")],
        default=[1, 2],
        help="numbers of them, such as 1,2",
    )
    parser.add_argument("--rounds", type=int, default=9, help="in which all have their turn")
    parser.add_argument("--seconds", type=float, default=0.3, help="of a runtime in a round")
    parser.add_argument("--json", type=Path, help="write the rows to this file")
    parser.add_argument("--prepare", action="store_true", help="all that is timed, and time none")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if not options.child:
        options.runtimes = [_named(name, options.precision) for name in options.runtimes]
    unknown = [name for name in options.runtimes if name.partition(":")[0] not in installed()]
    if unknown or (_OURS not in options.runtimes and not options.child):
        parser.error(f"--runtimes names {_OURS} and others of {', '.join(installed())}")
    return options


def _progress(text: str) -> None:
    """Show what is being done, on a line that the next one takes the place of."""
    if sys.stderr.isatty():
        print(f"\r\x1b[K{text}", end="", file=sys.stderr, flush=True)


def _named(runtime: str, precision: str) -> str:
    """Return a runtime's name with its precision, where that is not the one of all."""
    name, own = _parts(runtime, precision)
    return name if own == precision else runtime


def _prepare(names: Sequence[str], options: argparse.Namespace) -> None:
    """Fill the cache with what is timed; who refuses it says so when it is opened."""
    for number, name in enumerate(names, start=1):
        for runtime in options.runtimes:
            _progress(f"preparing {name} for {runtime} ({number} of {len(names)})")
            with contextlib.suppress(Exception):
                deployed(name, *_parts(runtime, options.precision))


def _compare(name: str, threads: int, options: argparse.Namespace) -> Row:
    """Return a network's row, which is printed too."""
    children: dict[str, subprocess.Popen[str]] = {}
    refused: dict[str, str] = {}
    for runtime in options.runtimes:
        _progress(f"{name}: opening it in {runtime}")
        child = _start(name, runtime, threads, options.seconds, options.precision)
        said = _said(child)
        if said == "ready":
            children[runtime] = child
        else:
            refused[runtime] = said
    found: dict[str, list[float]] = {runtime: [] for runtime in children}
    for number in range(options.rounds):
        _progress(f"{name}: round {number + 1} of {options.rounds}")
        order = list(children)
        for runtime in order[number % len(order) :] + order[: number % len(order)]:
            found[runtime].append(_ask(children[runtime]))
    for child in children.values():
        child.communicate()
    row = _row(name, threads, found, refused)
    _progress("")
    times = "  ".join(f"{runtime} {ms:.2f}" for runtime, ms in row.median_ms.items())
    if row.fastest:
        against = f"{row.ratio:.3f} ({row.low:.3f} to {row.high:.3f}) of {row.fastest}"
    else:
        against = "nothing to compare"
    print(f"{name:22} {against}:  {times}", flush=True)
    for runtime, reason in refused.items():
        print(f"{'':22} {runtime} did not run it: {reason}", flush=True)
    return row


def _row(name: str, threads: int, found: dict[str, list[float]], refused: dict[str, str]) -> Row:
    medians = {runtime: statistics.median(times) for runtime, times in found.items()}
    ordered = dict(sorted(medians.items(), key=lambda item: item[1]))
    others = [runtime for runtime in ordered if runtime != _OURS]
    if not others or _OURS not in found:
        return Row(name, threads, ordered, refused)
    ratios = [ours / theirs for ours, theirs in zip(found[_OURS], found[others[0]], strict=True)]
    middle = statistics.median(ratios)
    return Row(name, threads, ordered, refused, others[0], middle, min(ratios), max(ratios))


def _start(
    name: str, runtime: str, threads: int, seconds: float, precision: str
) -> subprocess.Popen[str]:
    child = ",".join([name, *_parts(runtime, precision), str(threads)])
    command = [sys.executable, __file__, "--child", child]
    return subprocess.Popen(
        [*command, "--seconds", str(seconds)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env=os.environ | {"OMP_NUM_THREADS": str(threads)},
    )


def _said(child: subprocess.Popen[str]) -> str:
    """Return "ready" once a runtime is open and warm, or why it is not."""
    assert child.stdout
    # Libraries may print what they like before.
    for line in iter(child.stdout.readline, ""):
        if line.startswith(_MARK):
            return line.removeprefix(_MARK).strip()
    return f"its process ended with {child.wait()}"


def _ask(child: subprocess.Popen[str]) -> float:
    assert child.stdin
    child.stdin.write("go\n")
    child.stdin.flush()
    return float(_said(child))


# Before what a child says to its parent.
_MARK = "fastest: "


def _tell(text: object) -> None:
    print(f"{_MARK}{text}", flush=True)


def _serve(name: str, runtime: str, precision: str, threads: str, seconds: float) -> None:
    """Time one runtime, once for each line that comes."""

    def sample(seconds: float) -> Sequence[float]:
        end = time.perf_counter() + seconds
        times = []
        while time.perf_counter() < end:
            start = time.perf_counter()
            session(images)
            times.append(time.perf_counter() - start)
        return times

    try:
        made = deployed(name, runtime, precision)
        images = made.batch_of_images()
        session = made.runtime.open(made.artifact.path, int(threads))
        sample(2 * seconds)
    except FacebenchError as error:
        _tell(error)
        return
    except Exception as error:  # what a runtime's own library throws
        _tell(f"{type(error).__name__}: {_last(str(error))}")
        return
    _tell("ready")
    for _ in sys.stdin:
        _tell(statistics.median(sample(seconds)) * 1e3)


def _parts(runtime: str, precision: str) -> tuple[str, str]:
    """Return a runtime's name and its precision: that of all, if it names none."""
    name, _, own = runtime.partition(":")
    return name, own or precision


def deployed(name: str, runtime: str, precision: str, target: str = "host") -> Deployment:
    """Return a network as a runtime executes it; TVM's code is for a target."""
    network = resolve(name)
    compiled_for = target if runtime == _OURS else ""
    case = Case(
        "latency", network.name, network.weights, precision, runtime=runtime, target=compiled_for
    )
    return deploy(Job(case, network, calibration="synthetic" if precision == "int8" else ""))


def _last(text: str) -> str:
    return (text.strip().splitlines() or ["no reason was given"])[-1]


if __name__ == "__main__":
    main()
