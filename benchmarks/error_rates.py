"""How often `facebench compare` errs on this machine, where the truth is known.

    python benchmarks/error_rates.py measure RATES [--runtime tvm] [--sets 35]
    python benchmarks/error_rates.py report RATES...

A set is MobileFaceNet several times side by side, at the budget that `facebench compare`
has for git revisions: three times as it is, once 2 % and once 5 % slower by a delay after
each inference that lasts that share of it; and for TVM once with a worse schedule in some
kernels, whose ratio is taken from all sets together. Each of the three is compared with the
others and with the slower ones, as `compare` does it. Comparisons of a set share processes,
so they are worth somewhat fewer independent ones. A set is a line of the file RATES, and a
run that is interrupted goes on.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from itertools import combinations
from pathlib import Path
from typing import IO, Any, cast
from unittest import mock

from rich.progress import track
from scipy.stats import beta

from facebench.harness.comparison import extract
from facebench.harness.comparison.compare import Side, compare
from facebench.harness.comparison.interleaved.prepared_case import PreparedCase, prepare
from facebench.harness.comparison.interleaved.python_environment import PythonEnvironment
from facebench.harness.comparison.interleaved.turns import Turns, measure
from facebench.harness.comparison.verdict import Line
from facebench.harness.compiler import records
from facebench.harness.compiler.targets import TARGETS
from facebench.harness.compiler.workload import key
from facebench.harness.models.export import export
from facebench.harness.models.networks import resolve
from facebench.harness.records.latency import Latency
from facebench.harness.runs import jobs, machine_history
from facebench.harness.runtimes import session_process
from facebench.harness.runtimes.session import LocalSession
from facebench.harness.tuning import places as tuning
from facebench.harness.tuning.workloads import workloads

_DELAYS = {"+2 %": 0.02, "+5 %": 0.05}
_SAME = ("A", "B", "C")
_SCHEDULE = "worse schedule"
_VERDICTS = ("slower", "faster", "same", "not decidable")

# Kernels that get a worse schedule, the costliest first, and pixels of their tiles then.
_KERNELS, _PIXELS = 3, 1


class Delayed(LocalSession):
    """A session whose inferences take a share longer."""

    share = 0.0

    def __init__(self, runtime: str, path: Path, threads: int) -> None:
        super().__init__(runtime, path, threads)
        session = self._session

        def slower(images: Any) -> Any:
            start = time.perf_counter_ns()
            answer = session(images)
            end = start + (time.perf_counter_ns() - start) * (1 + self.share)
            while time.perf_counter_ns() < end:
                pass
            return answer

        self._session = slower


@dataclass(frozen=True)
class Slowed(PythonEnvironment):
    """An environment whose sessions are slower by a share."""

    share: float = 0.0

    def start(
        self, module: str, threads: int, errors: IO[bytes], *arguments: str
    ) -> subprocess.Popen[bytes]:
        """As in `PythonEnvironment`; other processes than sessions run as ever."""
        if module != self.layout.session:
            return super().start(module, threads, errors, *arguments)
        return super().start("error_rates", threads, errors, "session", str(self.share))


def environments(runtime: str, work: Path) -> list[PythonEnvironment]:
    """Of all that is compared in a set."""
    own = {"PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), *sys.path[1:]])}
    made: list[PythonEnvironment] = [Slowed(name, variables=own) for name in _SAME]
    made += [Slowed(name, variables=own, share=share) for name, share in _DELAYS.items()]
    if runtime == "tvm":
        worse_records(work)
        worse = own | {"FACEBENCH_TUNING": str(work)}
        made.append(Slowed(_SCHEDULE, variables=worse))
    return made


def worse_records(folder: Path) -> None:
    """Write tuning records in which the costliest pointwise kernels have small tiles."""
    goal = tuning.goal(TARGETS["host"])
    exported = export(resolve("mobilefacenet"))
    keys = [key(work) for work in workloads(exported, 1, goal.vectors)]
    known = records.load(goal.records)
    pointwise = [known[one] for one in keys if one in known and "window=1x1" in one]
    costliest = sorted(pointwise, key=lambda record: -record.cost)[:_KERNELS]
    lines = [
        json.dumps(asdict(replace(one, tiling=dict(one.tiling) | {"pixels": _PIXELS}))) + "\n"
        for one in costliest
    ]
    (folder / f"{goal.records}.jsonl").write_text("".join(lines))


def take(prepared: Sequence[PreparedCase]) -> dict[str, Any]:
    """One set: what was measured, and what is said of it."""
    found = measure(prepared, Turns())
    entries = {
        one.environment.name: extract.entry(record)
        for one, record in zip(prepared, found, strict=True)
    }
    said = [
        {
            "base": a,
            "new": b,
            **_said(compare(Side(a, (entries[a],)), Side(b, (entries[b],))).lines),
        }
        for a, b in combinations(entries, 2)
        if a in _SAME
    ]
    results = [cast(Latency, record.result) for record in found]
    return {
        "runtime": prepared[0].case.runtime,
        "created": found[0].created,
        "said": said,
        "cases": {
            name: {
                "median_ms": result.median_ms,
                "interval_ms": result.interval_ms,
                "turns_ms": result.turn_medians_ms,
            }
            for name, result in zip(entries, results, strict=True)
        },
    }


def _said(lines: Sequence[Line]) -> dict[str, Any]:
    (line,) = lines
    return {"verdict": line.verdict, "change": line.change, "interval": line.interval}


def measure_sets(path: Path, runtime: str, sets: int) -> None:
    """Append sets until the file has so many of the runtime."""
    job = jobs.with_fingerprint(jobs.latency_job(resolve("mobilefacenet"), runtime, 1, 1))
    done = sum(one["runtime"] == runtime for one in _read([path])) if path.exists() else 0
    with tempfile.TemporaryDirectory() as work:
        prepared = [
            prepare(environment, job.to_json()) for environment in environments(runtime, Path(work))
        ]
        failed = [one.record.reason for one in prepared if one.record.status != "ok"]
        if failed:
            sys.exit(failed[0])
        for _ in track(range(done, sets), f"Sets of {runtime}"):
            line = json.dumps(take(prepared))
            with path.open("a") as file:
                file.write(line + "\n")


def report(paths: Sequence[Path]) -> None:
    """Print the rates with 95 % intervals."""
    sets = list(_read(paths))
    truth = dict.fromkeys(_SAME, 0.0) | _DELAYS | {_SCHEDULE: _schedule(sets)}
    print(f"{len(sets)} sets; {_SCHEDULE}: {truth[_SCHEDULE]:+.2%} in the long run\n")
    heads = ("truth", "comparisons", *_VERDICTS, "interval holds it")
    print(f"| {' | '.join(heads)} |\n|{'---|' * len(heads)}")
    for name, groups in {"no change": _SAME, **{n: (n,) for n in (*_DELAYS, _SCHEDULE)}}.items():
        said = [one for each in sets for one in each["said"] if one["new"] in groups]
        if not said:
            continue
        cells = [_rate([one["verdict"] == v for one in said]) for v in _VERDICTS]
        held = [one["interval"][0] <= truth[one["new"]] <= one["interval"][1] for one in said]
        print(f"| {name} | {len(said)} | {' | '.join(cells)} | {_rate(held)} |")

    held = [
        held
        for runtime in {one["runtime"] for one in sets}
        for name in _SAME
        for held in _held([one["cases"][name] for one in sets if one["runtime"] == runtime])
    ]
    print(f"\nThe 95 % interval of a median holds the long-run median: {_rate(held)}")
    hours, held = _held_in_the_long_run(sets)
    print(f"So does that for the long run, by the other hours of {hours}: {_rate(held)}")


def _held(runs: Sequence[dict[str, Any]]) -> list[bool]:
    """Whether each run's interval holds the median of all."""
    truth = statistics.median(run["median_ms"] for run in runs)
    return [run["interval_ms"][0] <= truth <= run["interval_ms"][1] for run in runs]


def _held_in_the_long_run(sets: Sequence[dict[str, Any]]) -> tuple[int, list[bool]]:
    """Of how many hours, and whether each run's interval holds the median hour's.

    A run's interval is by the past that it would have had, were the other hours before it.
    """
    runs = [
        (
            machine_history.Run(
                f"{one['runtime']} {name}", _seconds(one["created"]), case["median_ms"]
            ),
            case,
        )
        for one in sets
        for name, case in one["cases"].items()
        if name in _SAME
    ]
    held = []
    for run, case in runs:
        known = machine_history.long_run(other for other, _ in runs if other.hour != run.hour)
        if known is not None:
            low, high = known.interval_ms(run.median_ms, tuple(case["interval_ms"]))
            held.append(
                low <= _typical(other for other, _ in runs if other.case == run.case) <= high
            )
    return len({run.hour for run, _ in runs}), held


def _typical(runs: Iterable[machine_history.Run]) -> float:
    """The median over hours of an hour's median, each hour counted alike."""
    by_hour: dict[int, list[float]] = {}
    for run in runs:
        by_hour.setdefault(run.hour, []).append(run.median_ms)
    return statistics.median(map(statistics.median, by_hour.values()))


def _seconds(created: str) -> float:
    return datetime.fromisoformat(created).timestamp()


def _schedule(sets: Sequence[dict[str, Any]]) -> float:
    changes = [o["change"] for s in sets for o in s["said"] if o["new"] == _SCHEDULE]
    return statistics.median(changes) if changes else float("nan")


def _rate(hits: Sequence[bool]) -> str:
    """A share with its exact interval (C. J. Clopper, E. S. Pearson, Biometrika 26, 1934)."""
    k, n = sum(hits), len(hits)
    low = beta.ppf(0.025, k, n - k + 1) if k else 0.0
    high = beta.ppf(0.975, k + 1, n - k) if k < n else 1.0
    return f"{k / n:.1%} [{low:.1%}, {high:.1%}]"


def _read(paths: Sequence[Path]) -> Iterator[dict[str, Any]]:
    for path in paths:
        yield from map(json.loads, path.read_text().splitlines())


def main() -> None:
    """Measure, report, or be a session."""
    if sys.argv[1:2] == ["session"]:
        Delayed.share = float(sys.argv[2])
        with mock.patch.object(session_process, "StandHere", Delayed):
            session_process.main()
        return
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    verbs = parser.add_subparsers(dest="verb", required=True)
    measuring = verbs.add_parser("measure")
    measuring.add_argument("file", type=Path)
    measuring.add_argument("--runtime", default="tvm")
    measuring.add_argument("--sets", type=int, default=35)
    reporting = verbs.add_parser("report")
    reporting.add_argument("files", type=Path, nargs="+")
    asked = parser.parse_args()
    if asked.verb == "measure":
        measure_sets(asked.file, asked.runtime, asked.sets)
    else:
        report(asked.files)


if __name__ == "__main__":
    main()
