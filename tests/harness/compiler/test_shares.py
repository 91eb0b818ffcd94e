"""Threads share the work of kernels, and of the paper's networks, evenly."""

import re
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from facebench.architectures import registry
from facebench.harness.compiler import records
from facebench.harness.compiler.targets import TARGETS
from facebench.harness.compiler.tvm import import_tvm
from facebench.harness.compiler.vectors import Vectors
from facebench.harness.compiler.workload import (
    Convolution,
    Depthwise,
    Pooling,
    Window,
    Workload,
    key,
)
from facebench.harness.models import export
from facebench.harness.models.networks import resolve

import_tvm()
# These need TVM to be imported, and without torch's help.
from facebench.harness.compiler import tiling as tilings  # noqa: E402
from facebench.harness.compiler.fold import fold_constants  # noqa: E402
from facebench.harness.compiler.graph.rewrite import rewrite  # noqa: E402
from facebench.harness.compiler.importing import import_network  # noqa: E402
from facebench.harness.compiler.kernels import provider  # noqa: E402
from facebench.harness.compiler.kernels.convolution import ConvolutionTiling  # noqa: E402
from facebench.harness.compiler.kernels.sharing import Tiles, uneven  # noqa: E402
from facebench.harness.compiler.kernels.strassen import StrassenTiling  # noqa: E402
from facebench.harness.tuning import places  # noqa: E402

WIDE = Vectors(16, 32, False, halved=True)
TUNED = ["x86-64-v3", "x86-64-v4", "x86-64-v4-halved", "cortex-a53", "cortex-a72", "cortex-a76"]
NETWORKS = [name for name in registry.names() if registry.find(name).paper_row]
POINTWISE = Convolution(1, (14, 14), (14, 14), 128, 256, Window((1, 1)))
HALVING = Window((3, 3), (2, 2), (1, 1))


@pytest.fixture(autouse=True)
def _only_shipped(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("FACEBENCH_TUNING", str(tmp_path))


@pytest.mark.parametrize(
    "work",
    [
        POINTWISE,
        Convolution(2, (14, 14), (14, 14), 24, 60, Window((1, 1)), groups=3, shuffle=3),
        Convolution(1, (20, 20), (10, 10), 3, 40, HALVING, planar=True),
        Depthwise(1, (14, 14), (7, 7), 40, HALVING),
        Pooling(2, (9, 9), (1, 1), 40, Window((9, 9)), "mean"),
    ],
    ids=key,
)
def test_tasks_are_those_that_a_kernel_has(work: Workload) -> None:
    found = list(tilings.candidates(work, WIDE))
    for tiling in [found[0], found[len(found) // 2], found[-1]]:
        text = provider.function(work, tiling, WIDE).script()
        assert re.findall(r"T\.parallel\((\d+)\)", text) == [str(tilings.tasks(work, tiling, WIDE))]


def test_the_busiest_thread_of_uneven_tasks_is_known() -> None:
    assert uneven(8, 4) == 0
    assert uneven(7, 2) == pytest.approx(1 / 7)
    assert uneven(1, 4) == 3


@pytest.mark.parametrize(("pixels", "most"), [(49, 6), (49, 7), (16, 16), (196, 5), (3, 9)])
def test_parts_are_all_tiles_in_order_as_many_in_each(pixels: int, most: int) -> None:
    tiles = Tiles(pixels, most)
    for tasks in (1, 5, 63, 64, 500):
        parts = tiles.parts(tasks)
        sizes = _of_parts(tiles, parts)
        assert len(sizes) == parts <= tiles.count
        assert sum(sizes) == pixels
        if tiles.count >= 8:
            assert max(uneven(tasks * parts, threads) for threads in (4, 8)) <= 0.05
        # One tile more than the others', which may itself have one pixel more.
        assert max(sizes) - min(sizes) <= most + tiles.count // parts


@pytest.mark.parametrize("network", ["mobilefacenet"])
def test_threads_have_their_share_of_the_work(network: str) -> None:
    _require_shares(network)


@pytest.mark.slow
@pytest.mark.parametrize("network", [one for one in NETWORKS if one != "mobilefacenet"])
def test_threads_have_their_share_of_the_work_of_every_network(network: str) -> None:
    _require_shares(network)


def _require_shares(network: str) -> None:
    """See that the busiest of some threads has little more than its share of a network's work.

    Work is what the records say that kernels take on one thread, shared out to their tasks. Of
    single kernels some cannot be shared, such as the product that gives the embedding.
    """
    module = fold_constants(import_network(export.export(resolve(network)), 1))
    for name in TUNED:
        registers: Any = places.goal(TARGETS[name.removesuffix("-halved")]).kernels.registers
        if name.endswith("-halved"):
            registers = replace(registers, halved=True)
        found = records.load(name)
        tiling = records.tilings(found, registers)
        calls: list[Workload] = []

        class Calls(provider.Kernels):
            def __call__(self, builder: Any, work: Workload, calls: Any = calls) -> Any:
                calls.append(work)
                return super().__call__(builder, work)

        rewrite(module, Calls(registers, tiling))
        alone = sum(found[key(work)].cost for work in calls)
        for threads, most in ((2, 1.05), (4, 1.1), (8, 1.1)):
            busiest = 0.0
            for work in calls:
                chosen = tiling(work)
                assert chosen is not None
                busiest += found[key(work)].cost * _busiest(work, chosen, registers, threads)
            assert busiest <= most * alone, (name, threads, busiest / alone)


def _busiest(work: Workload, tiling: Any, vectors: Vectors, threads: int) -> float:
    """Return what the busiest thread does of a kernel, over its share.

    Tasks are shared as TVM's loops share their iterations: in order, as many for each. A task
    takes as long as it has outputs; with seven products, each thread also sums the pixels of each
    chunk of which it has a task, in the time of 20 multiply-adds an element of these sums.
    """
    sizes, chunk_of, summed = _tasks(work, tiling, vectors)
    assert len(sizes) == tilings.tasks(work, tiling, vectors)
    step = -(-len(sizes) // threads)
    shares = [
        sum(sizes[start : start + step]) + summed * len(set(chunk_of[start : start + step]))
        for start in range(0, len(sizes), step)
    ]
    return max(shares) * threads / (sum(sizes) + summed * len(set(chunk_of)))


def _tasks(work: Workload, tiling: Any, vectors: Vectors) -> tuple[list[int], list[int], float]:
    """Return each task's outputs and its chunk, and what the sums of a chunk's pixels are worth."""
    width = tiling.vectors * vectors.lanes
    if not isinstance(work, Convolution):
        chunks = work.batch * -(-work.output[0] // tiling.rows)
        blocks, inner = _blocks(work.channels, width), [1]
        return *_ordered(chunks, blocks, inner, tiling.channels_first), 0.0
    chunks = work.batch * work.output[0] * work.output[1] // tiling.chunk
    if isinstance(tiling, StrassenTiling):
        blocks = _blocks(work.filters // 2, width)
        return *_ordered(chunks, blocks, [1], False), 20 / 7
    assert isinstance(tiling, ConvolutionTiling)
    blocks = _blocks(work.filters // work.groups, width) * work.groups
    inner = [1]
    if work.window.pointwise() and not work.planar:
        tiles = Tiles(tiling.chunk, tiling.pixels)
        inner = _of_parts(tiles, tiles.parts(chunks * len(blocks)))
    return *_ordered(chunks, blocks, inner, tiling.weights_first), 0.0


def _ordered(
    chunks: int, blocks: list[int], parts: list[int], weights_first: bool
) -> tuple[list[int], list[int]]:
    if weights_first:
        every = [(block, chunk) for block in blocks for chunk in range(chunks)]
    else:
        every = [(block, chunk) for chunk in range(chunks) for block in blocks]
    sizes = [block * part for block, _ in every for part in parts]
    return sizes, [chunk for _, chunk in every for _ in parts]


def _blocks(channels: int, width: int) -> list[int]:
    return [min(width, channels - first) for first in range(0, channels, width)]


def _of_parts(tiles: Tiles, parts: int) -> list[int]:
    """Return the pixels of each part, which are tiles in order."""
    larger, smaller = divmod(tiles.pixels, tiles.count)
    sizes = [larger + 1] * smaller + [larger] * (tiles.count - smaller)
    ends = [part * tiles.count // parts for part in range(parts + 1)]
    return [sum(sizes[first:end]) for first, end in pairwise(ends)]
