"""Where an inference of TVM's code spends its time: kernel by kernel, and in what by which way.

    python benchmarks/kernel_times.py mobilefacenet timm:fastvit_t8:gap --most 20

A kernel is `ours` (a convolution, a product or a pool, tuned or by the model), by the `rule` for
what has no kernel, or `plain` loops. Times are the medians of inferences whose calls are timed
one by one, which takes a microsecond of each. Single precision, one thread, this machine.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from collections import Counter, defaultdict
from typing import Any

from facebench.harness.compiler import build
from facebench.harness.compiler.importing import import_network
from facebench.harness.compiler.targets import TARGETS
from facebench.harness.compiler.tvm import features_of, import_tvm, resolve
from facebench.harness.models import networks
from facebench.harness.models.export import Exported, export

_WARMUP = 5


def main() -> None:
    options = _options()
    os.environ["TVM_NUM_THREADS"] = "1"
    for name in options.networks:
        exported = export(networks.resolve(name))
        calls, times = _timed(exported, options.inferences)
        kinds = _kinds(exported)
        total = sum(times.values())
        print(f"\n{name}: {total / 1e3:.2f} ms in {calls.total()} calls")
        for kernel in sorted(times, key=lambda one: -times[one])[: options.most]:
            share = times[kernel] / total
            print(
                f"  {share:6.1%}  {times[kernel]:8.1f} us  x{calls[kernel]:<3} "
                f"{kinds.get(kernel, 'view'):6} {kernel}"
            )
        shares: defaultdict[str, float] = defaultdict(float)
        for kernel, microseconds in times.items():
            shares[kinds.get(kernel, "view")] += microseconds / total
        print("  " + ", ".join(f"{kind} {share:.1%}" for kind, share in shares.items()))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("networks", nargs="+", help="names, timm:... and blocks among them")
    parser.add_argument("--inferences", type=int, default=30, help="that the medians are of")
    parser.add_argument("--most", type=int, default=15, help="kernels that are shown")
    return parser.parse_args()


def _timed(exported: Exported, inferences: int) -> tuple[Counter[str], dict[str, float]]:
    """Return how often each kernel is called in an inference, and its microseconds in all."""
    tvm = import_tvm()
    library = build.compile_network(exported, TARGETS["host"], 1)
    machine = tvm.runtime.vm.VirtualMachine(tvm.runtime.load_module(str(library.path)), tvm.cpu())
    images = tvm.runtime.tensor(exported.reference()[0][:1])
    run = machine["main"]
    rounds: list[list[tuple[str, float]]] = []
    started = 0.0

    def instrument(function: Any, symbol: str, before: bool, result: Any, *given: Any) -> int:
        nonlocal started
        if before:
            started = time.perf_counter()
        elif not symbol.startswith("vm.builtin"):
            rounds[-1].append((symbol, (time.perf_counter() - started) * 1e6))
        return 0

    machine.set_instrument(instrument)
    for _ in range(_WARMUP + inferences):
        rounds.append([])
        run(images)
    calls = Counter(symbol for symbol, _ in rounds[-1])
    times: defaultdict[str, float] = defaultdict(float)
    for position, (symbol, _) in enumerate(rounds[-1]):
        times[symbol] += statistics.median(one[position][1] for one in rounds[_WARMUP:])
    return calls, times


def _kinds(exported: Exported) -> dict[str, str]:
    """Return of each function of the lowered network whether it is ours, by rule, or plain."""
    tvm = import_tvm()
    from facebench.harness.compiler.kernels.provider import is_kernel

    target = resolve(TARGETS["host"])
    described = tvm.target.Target(target.options())
    network = import_network(exported, 1)
    module, _ = build._lower(network, target, described, features_of(target, described))
    kinds = {}
    for variable, function in module.functions_items():
        if isinstance(function, tvm.tirx.PrimFunc):
            script = function.script()
            by_rule = "T.parallel" in script or "T.vectorized" in script
            kinds[variable.name_hint] = (
                "ours" if is_kernel(function) else "rule" if by_rule else "plain"
            )
    return kinds


if __name__ == "__main__":
    main()
