"""Where an inference of TVM's code spends its time: kernel by kernel, and in what by which way.

    python benchmarks/kernel_times.py mobilefacenet timm:fastvit_t8:gdconv --most 20
    python benchmarks/kernel_times.py mobilefacenet --precision int8 --target x86-64-v3
    facebench run counts.toml -o counted
    python benchmarks/kernel_times.py --counted counted/records.jsonl

A kernel is `ours` (a convolution, a product or a pool, tuned or by the model), by the `rule` for
what has no kernel, or `plain` loops. Times are the medians of inferences whose calls are timed
one by one, which takes a microsecond of each. One thread, this machine.

By class, kernels of ours have multiply-adds a second, of which the peak is measured first: on
numbers in registers in fp32, and in int8 by the instructions of a pointwise kernel whose weights
stay in registers. What an emulated core counted is told by the same classes, as instructions.
"""

from __future__ import annotations

import argparse
import math
import os
import re
import statistics
import time
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import numpy as np
from fastest import deployed

from facebench.harness.compiler import build
from facebench.harness.compiler.importing import import_network
from facebench.harness.compiler.targets import TARGETS
from facebench.harness.compiler.tvm import features_of, import_tvm, resolve
from facebench.harness.compiler.vectors import ByteVectors, byte_vectors
from facebench.harness.measures.deployment import Deployment
from facebench.harness.models.export import Exported
from facebench.harness.records.instructions import Instructions
from facebench.harness.records.store import records_of
from facebench.harness.timing import peak

_WARMUP = 5

# Of a kernel's name, as `workload.name` makes it.
_FORM = re.compile(
    r"(?P<form>[a-z]+?)(?P<taps>\d+x\d+)?(s\d+)?_(?P<pixels>\d+x\d+)_(?P<channels>\d+)"
    r"(to(?P<filters>\d+))?(_groups(?P<groups>\d+))?(_|$)"
)

# Rounds of the loop that the peak of int8 is measured with, and of its repetitions.
_ROUNDS, _REPETITIONS = 20_000, 30


def main() -> None:
    options = _options()
    os.environ["TVM_NUM_THREADS"] = "1"
    for path in options.counted:
        _tell_counts(path)
    for name in options.networks:
        made = deployed(name, "tvm", options.precision, options.target)
        int8 = options.precision == "int8"
        most = _int8_peak(options.target) if int8 else _fp32_peak()
        calls, times = _timed(made, options.inferences)
        kinds = {kernel: "ours" for kernel in times if int8} or _kinds(made.exported)
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
        _tell_classes(calls, times, most)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("networks", nargs="*", help="names, timm:... and blocks among them")
    parser.add_argument("--precision", default="fp32", choices=["fp32", "int8"])
    parser.add_argument("--target", default="host", help="whose instructions this machine has")
    parser.add_argument("--inferences", type=int, default=30, help="that the medians are of")
    parser.add_argument("--most", type=int, default=15, help="kernels that are shown")
    parser.add_argument("--counted", type=Path, nargs="*", default=[], metavar="RECORDS",
                        help="of emulated cores")  # fmt: skip
    return parser.parse_args()


def _timed(made: Deployment, inferences: int) -> tuple[Counter[str], dict[str, float]]:
    """Return how often each kernel is called in an inference, and its microseconds in all."""
    tvm = import_tvm()
    library = tvm.runtime.load_module(str(made.artifact.path / "network.so"))
    machine = tvm.runtime.vm.VirtualMachine(library, tvm.cpu())
    images = tvm.runtime.tensor(made.batch_of_images())
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


def _class(kernel: str) -> tuple[str, int]:
    """Return the class of a kernel by its name, and its multiply-adds for one image."""
    found = _FORM.match(kernel)
    if found is None or found["form"] not in ("pointwise", "convolution", "depthwise"):
        return "other", 0
    form = found["form"]
    sizes = [map(int, (found[name] or "1x1").split("x")) for name in ("pixels", "taps")]
    pixels, taps = (math.prod(size) for size in sizes)
    channels, filters = int(found["channels"]), int(found["filters"] or 1)
    products = pixels * taps * channels * filters // int(found["groups"] or 1)
    if form == "depthwise":
        return ("global depthwise" if pixels == 1 else form), products
    if form == "convolution":
        return ("stem" if channels <= 4 else form), products
    return ("product" if pixels == 1 else form), products


def _tell_classes(calls: Counter[str], times: dict[str, float], most: float) -> None:
    """Print time and multiply-adds a second by class, beside the peak of so many a second."""
    spent: defaultdict[str, float] = defaultdict(float)
    products: Counter[str] = Counter()
    for kernel, microseconds in times.items():
        kind, own = _class(kernel)
        spent[kind] += microseconds
        products[kind] += own * calls[kernel]
    print(f"\n  | class | share of time | 10^9 multiply-adds a second | of {most / 1e9:.0f} |")
    print("  |---|---|---|---|")
    for kind in sorted(spent, key=lambda one: -spent[one]):
        rate = products[kind] / spent[kind] * 1e6
        rates = f"{rate / 1e9:.0f} | {rate / most:.2f}" if rate else " | "
        print(f"  | {kind} | {spent[kind] / sum(spent.values()):.3f} | {rates} |")


def _fp32_peak() -> float:
    """Return multiply-adds a second in single precision, of one thread."""
    return max(peak.measure(1).multiply_adds_per_s)


def _int8_peak(name: str) -> float:
    """Return multiply-adds a second of a pointwise kernel's instructions, weights in registers."""
    tvm = import_tvm()
    target = resolve(TARGETS[name])
    described = tvm.target.Target(target.options())
    vectors = byte_vectors(features_of(target, described))
    pixels = vectors.registers // 2 - 2
    function = _loop(vectors, pixels).with_attr("global_symbol", "loop")
    module = tvm.tirx.build(tvm.IRModule({"loop": function}), target=described, pipeline="s_tir")
    shapes = [(4096,), (2 * 4 * vectors.lanes,), (pixels * vectors.lanes,)]
    given = [np.zeros(shape, kind) for shape, kind in zip(shapes, _KINDS, strict=True)]
    arrays = [tvm.runtime.tensor(one) for one in given]
    run = module["loop"]
    times = []
    for _ in range(_REPETITIONS):
        started = time.perf_counter()
        run(*arrays)
        times.append(time.perf_counter() - started)
    return float(_ROUNDS * pixels * vectors.lanes * 4 / min(times))


# Of a map, of weights, and of sums.
_KINDS = ("uint8", "int8", "int32")


def _loop(vectors: ByteVectors, pixels: int) -> Any:
    """Return a function that adds products of four bytes to sums of some pixels, round by round."""
    from tvm.tirx.script.builder import ir as T

    from facebench.harness.compiler.integers.instructions import lanes_of
    from facebench.harness.compiler.integers.sums import IntegerSums, arguments
    from facebench.harness.compiler.kernels import emit

    lanes = lanes_of(vectors)

    def body() -> None:
        extents = [(4096,), (2 * 4 * vectors.lanes,), (pixels * vectors.lanes,)]
        shapes = dict(
            zip(("input", "weights", "output"), zip(extents, _KINDS, strict=True), strict=True)
        )
        buffers = arguments(shapes)
        sums = IntegerSums(pixels, vectors.lanes, lanes)
        sums.fill(0)
        (weights,) = sums.weights(buffers["weights"], 0)
        with T.serial(0, _ROUNDS) as number:
            for pixel in range(pixels):
                place = T.Bind(number % 32 * 4 + pixel * 128)
                four = lanes.fours(buffers["input"], place, 1, [vectors.lanes])(0)
                sums.add_dot(pixel, 0, four[vectors.lanes], weights)
        for pixel in range(pixels):
            sums.update(pixel, 0, lambda total, pixel=pixel: _kept(buffers, total, pixel, vectors))

    return emit.function("loop", body)


def _kept(buffers: Any, total: Any, pixel: int, vectors: ByteVectors) -> Any:
    """Write a register of sums, so that no compiler finds the work useless."""
    from facebench.harness.compiler.kernels import emit

    emit.store(buffers["output"], pixel * vectors.lanes, total, vectors.lanes)
    return total


def _tell_counts(path: Path) -> None:
    """Print instructions of an emulated core's records by class of kernel and kind of work."""
    for record in records_of([path]):
        found = record.result
        if not isinstance(found, Instructions):
            continue
        table: defaultdict[str, Counter[str]] = defaultdict(Counter)
        for kernel in found.kernels:
            table[_class(kernel.name)[0]].update(kernel.work.mix)
        kinds = [kind for kind in found.work.mix if found.work.mix[kind]]
        total = found.work.instructions
        print(f"\n{record.case.network} on {found.core}: {total / 1e6:.1f} M instructions")
        print("  | class | of all | " + " | ".join(kinds) + " |")
        for kind in sorted(table, key=lambda one: -table[one].total()):
            row = " | ".join(f"{table[kind][one] / 1e6:.2f}" for one in kinds)
            print(f"  | {kind} | {table[kind].total() / total:.3f} | {row} |")


if __name__ == "__main__":
    main()
