"""Whether times differ by how their processes were started: afresh, or forked.

Each case takes a process of the one kind and of the other by turns, in rounds over all cases, as
a run does; the one that comes first changes from round to round. Of each case it prints the ratio
of the medians of processes, forked over afresh, with its 95 % interval, and how much processes
differ; of all cases together likewise.

    python benchmarks/starting.py -o starting.json
    python benchmarks/starting.py --network mobilefacenet --runtime ncnn,tvm --rounds 12
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from scipy.stats import f as f_distribution

from facebench.harness.measures.job import Job
from facebench.harness.models.export import export
from facebench.harness.models.networks import resolve
from facebench.harness.records.latency import Latency
from facebench.harness.runs import worker_pool
from facebench.harness.runs.requests import LatencyRequest
from facebench.harness.runtimes.registry import installed
from facebench.harness.stats.ratios import log_ratio
from facebench.harness.storage.progress import SILENT

AFRESH, FORKED = "afresh", "forked"

Found = dict[str, dict[str, list[Latency]]]


def main() -> None:
    """Take turns, and print what they say."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--network", default="mobilefacenet")
    parser.add_argument("--runtime", default=",".join(installed()))
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("-o", "--out", type=Path, help="where medians are kept, as JSON")
    chosen = parser.parse_args()
    networks = [resolve(name) for name in chosen.network.split(",")]
    jobs = [
        replace(job, exported=export(job.network).folder)
        for job in LatencyRequest(networks, chosen.runtime.split(",")).jobs()
    ]
    found = measured(jobs, chosen.rounds)
    for line in told(found):
        print(line)
    if chosen.out:
        chosen.out.write_text(json.dumps(medians(found), indent=1))


def measured(jobs: Sequence[Job], rounds: int) -> Found:
    """Return the latencies of processes by case and by how they were started.

    A round before the first fills the caches, and counts for nothing.
    """
    found: Found = defaultdict(lambda: defaultdict(list))
    with worker_pool.Forks() as forks:
        for number in range(-1, rounds):
            for job in jobs:
                ways = [(AFRESH, None), (FORKED, forks.start)]
                for way, start in ways[:: -1 if number % 2 else 1]:
                    # Not the case's first, whose parent imports nothing.
                    one = replace(job, process=number + 1)
                    (record,) = worker_pool.execute([one], SILENT, start)
                    if not isinstance(record.result, Latency):
                        raise SystemExit(f"{record.case}: {record.reason}")
                    if number >= 0:
                        found[str(job.case)][way].append(record.result)
    return found


def medians(found: Found) -> dict[str, dict[str, list[float]]]:
    """Return the median of each process in ms."""
    return {
        case: {way: [one.median_ms for one in ways[way]] for way in (AFRESH, FORKED)}
        for case, ways in found.items()
    }


def told(found: Found) -> list[str]:
    """Return a line for each case, and those of all together."""
    lines = ["| case | afresh ms | forked ms | forked / afresh | spread afresh | spread forked |"]
    lines.append("|---|---|---|---|---|---|")
    logs: dict[str, list[np.ndarray]] = {AFRESH: [], FORKED: []}
    for case, ways in medians(found).items():
        effect = log_ratio(ways[AFRESH], ways[FORKED])
        low, high = effect.interval()
        spreads = [float(np.std(np.log(ways[way]), ddof=1)) for way in (AFRESH, FORKED)]
        for way in logs:
            logs[way].append(np.log(ways[way]))
        lines.append(
            f"| {case} | {statistics.median(ways[AFRESH]):.3f} "
            f"| {statistics.median(ways[FORKED]):.3f} "
            f"| {math.exp(float(effect.estimate)):.3f} [{low:.3f}, {high:.3f}] "
            f"| {spreads[0]:.1%} | {spreads[1]:.1%} |"
        )
    return [*lines, "", *_together(logs)]


def _together(logs: dict[str, list[np.ndarray]]) -> list[str]:
    differences = np.concatenate(
        [new - base for base, new in zip(logs[AFRESH], logs[FORKED], strict=True)]
    )
    mean = float(differences.mean())
    reach = 1.96 * float(differences.std(ddof=1)) / math.sqrt(len(differences))
    variances = [np.mean([np.var(one, ddof=1) for one in logs[way]]) for way in (AFRESH, FORKED)]
    degrees = sum(len(one) - 1 for one in logs[AFRESH])
    ratio = math.sqrt(variances[1] / variances[0])
    low, high = (math.sqrt(float(f_distribution.ppf(p, degrees, degrees))) for p in (0.025, 0.975))
    return [
        f"Of all {len(differences)} pairs: forked / afresh {math.exp(mean):.4f} "
        f"[{math.exp(mean - reach):.4f}, {math.exp(mean + reach):.4f}]; spread between processes "
        f"{ratio:.2f} times that of afresh [{ratio / high:.2f}, {ratio / low:.2f}]."
    ]


if __name__ == "__main__":
    main()
