"""What the harness adds to a bare loop around the same session, as a ratio in one run.

    python benchmarks/overhead.py [NETWORK] [RUNTIME] [ROUNDS]

The loop calls the session, reads the clock and keeps the times: what anyone would write.
The harness's sampler does as much and looks at the machine between samples. The two take
turns in one process, so that neither has another code layout or another moment; a round's
ratio is of its two medians. Rounds are the unit of the interval.
"""

from __future__ import annotations

import argparse
import math
import statistics
import time
from collections.abc import Callable

from scipy.special import stdtrit

from facebench.harness.machine.pinning import pinned
from facebench.harness.models.export import export
from facebench.harness.models.networks import resolve
from facebench.harness.runtimes.registry import RUNTIMES
from facebench.harness.timing.sampler import MINIMUM_SAMPLES, Budget, sample

# A round's samples are as many as the harness takes of a case at least.
_BUDGET = Budget(warmup_s=0.2, sampling_s=0.01)


def bare_ms(infer: Callable[[], object]) -> float:
    """Median of the loop that anyone would write, in milliseconds."""
    times = []
    for _ in range(MINIMUM_SAMPLES):
        start = time.perf_counter_ns()
        infer()
        times.append(time.perf_counter_ns() - start)
    return statistics.median(times) / 1e6


def harness_ms(infer: Callable[[], object]) -> float:
    """Median as the harness has it, in milliseconds."""
    return statistics.median(sample(infer, _BUDGET).samples_ms)


def ratios(infer: Callable[[], object], rounds: int) -> list[float]:
    """Of the harness's median to the loop's; in every other round the harness comes first."""
    found = []
    for number in range(rounds):
        if number % 2:
            harness = harness_ms(infer)
            bare = bare_ms(infer)
        else:
            bare = bare_ms(infer)
            harness = harness_ms(infer)
        found.append(harness / bare)
    return found


def main() -> None:
    """Print the ratio with its interval."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("network", nargs="?", default="mobilefacenet")
    parser.add_argument("runtime", nargs="?", default="ncnn")
    parser.add_argument("rounds", nargs="?", type=int, default=20)
    asked = parser.parse_args()
    exported = export(resolve(asked.network))
    runtime = RUNTIMES[asked.runtime]
    session = runtime.open(runtime.prepare(exported, 1, "host").path, 1)
    images = exported.reference()[0][:1]
    with pinned(1):
        bare_ms(lambda: session(images))
        found = ratios(lambda: session(images), asked.rounds)
    logs = [math.log(ratio) for ratio in found]
    reach = stdtrit(len(logs) - 1, 0.975) * statistics.stdev(logs) / math.sqrt(len(logs))
    low, middle, high = (math.exp(statistics.fmean(logs) + d) for d in (-reach, 0, reach))
    print(
        f"{asked.network} in {asked.runtime}: the harness's median is {middle:.4f} "
        f"[{low:.4f}, {high:.4f}] times a bare loop's, over {len(logs)} rounds; the median "
        f"round says {statistics.median(found):.4f}"
    )


if __name__ == "__main__":
    main()
