"""How a plan without timing scales on a Ray cluster of this machine, and what a task costs more.

    python benchmarks/scaling.py                      1, 2 and 4 workers of one core each
    python benchmarks/scaling.py --networks 12 --workers 1,2

Each figure is one run with an empty cache: exports, costs and compilations. Efficiency is
against one worker, for as many workers as there are cores; the overhead of a task is what
one worker takes longer than this machine alone on one core, over the number of tasks.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

_PLAN = """
networks = {networks}
runtimes = []
devices = []
datasets = []
targets = ["cortex-a72"]
"""

# In a process of its own, so that each begins alike; what is timed is the run alone.
_RUN = """
import sys, time
from pathlib import Path
from facebench.harness.records.store import Store
from facebench.harness.runs import plan, runner

jobs = plan.jobs(plan.load(sys.argv[1]), None)
obtain = None
if len(sys.argv) > 3:
    from facebench.harness.runs.cluster.engine import Cluster
    cluster = Cluster(sys.argv[3])
    obtain = cluster.obtain
began = time.perf_counter()
records = runner.run(jobs, Store(Path(sys.argv[2])), obtain=obtain)
seconds = time.perf_counter() - began
assert {record.status for record in records} == {"ok"}, records
print(len(records), seconds, sum(record.duration_s for record in records))
"""


def timed(folder: Path, plan: Path, *address: str, prefix: tuple[str, ...] = ()) -> list[float]:
    """Tasks, seconds of a run, and seconds of its records one after the other."""
    results = str(folder / "records.jsonl")
    command = [*prefix, sys.executable, "-c", _RUN, str(plan), results, *address]
    env = os.environ | {"FACEBENCH_CACHE": str(folder / "cache")}
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=True)
    return [float(word) for word in done.stdout.split()[-3:]]


def main() -> None:
    """Run the plan on each cluster and print the table."""
    from ray.cluster_utils import Cluster

    from facebench.architectures.registry import paper_names

    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--networks", type=int, default=6)
    parser.add_argument("--workers", default="1,2,4")
    options = parser.parse_args()
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    with tempfile.TemporaryDirectory(prefix="scaling-") as temporary:
        root = Path(temporary)
        plan = root / "plan.toml"
        plan.write_text(_PLAN.format(networks=paper_names()[: options.networks]))
        tasks, alone, work = timed(root / "alone", plan, prefix=("taskset", "-c", "0"))
        print(f"{tasks:.0f} tasks; this machine on one core: {alone:.1f} s ({work:.1f} s of work)")
        one = None
        for workers in map(int, options.workers.split(",")):
            os.environ["FACEBENCH_CACHE"] = str(root / str(workers) / "cache")
            cluster = Cluster(
                initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False}
            )
            for _ in range(workers):
                cluster.add_node(num_cpus=1)
            _, seconds, _ = timed(root / str(workers), plan, cluster.address)
            cluster.shutdown()
            one = one or seconds * workers
            cores = min(workers, len(os.sched_getaffinity(0)))
            line = f"{workers} workers: {seconds:6.1f} s, efficiency {one / cores / seconds:4.0%}"
            if workers == 1:
                line += f", {(seconds - alone) / tasks:+.2f} s a task"
            print(line, flush=True)


if __name__ == "__main__":
    main()
