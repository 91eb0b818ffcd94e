"""Threads share the work of kernels, and of the paper's networks, evenly."""

import re
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
from facebench.harness.tuning import places  # noqa: E402

WIDE = Vectors(16, 32, False)
TUNED = ["x86-64-v3", "x86-64-v4", "cortex-a53", "cortex-a72", "cortex-a76"]
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
    assert tilings.uneven(8, 4) == 0
    assert tilings.uneven(7, 2) == pytest.approx(1 / 7)
    assert tilings.uneven(1, 4) == 3


@pytest.mark.parametrize("network", ["mobilefacenet"])
def test_threads_have_their_share_of_the_work(network: str) -> None:
    _require_shares(network)


@pytest.mark.slow
@pytest.mark.parametrize("network", [one for one in NETWORKS if one != "mobilefacenet"])
def test_threads_have_their_share_of_the_work_of_every_network(network: str) -> None:
    _require_shares(network)


def _require_shares(network: str) -> None:
    """See that the busiest of some threads has little more than its share of a network's work.

    Work is what the records say that kernels take on one thread. It is shared as TVM's loops
    share their iterations: in order, as many for each. Of single kernels some cannot be shared,
    such as the product that gives the embedding.
    """
    module = fold_constants(import_network(export.export(resolve(network)), 1))
    for name in TUNED:
        registers: Any = places.goal(TARGETS[name]).kernels.registers
        found = records.load(name)
        tiling = records.tilings(found, registers)
        calls: list[Workload] = []

        class Calls(provider.Kernels):
            def __call__(self, builder: Any, work: Workload, calls: Any = calls) -> Any:
                calls.append(work)
                return super().__call__(builder, work)

        rewrite(module, Calls(registers, tiling))
        alone = sum(found[key(work)].cost for work in calls)
        for threads, most in ((2, 1.05), (4, 1.1), (8, 1.2)):
            busiest = 0.0
            for work in calls:
                chosen = tiling(work)
                assert chosen is not None
                parts = tilings.tasks(work, chosen, registers)
                busiest += found[key(work)].cost * (1 + tilings.uneven(parts, threads))
            assert busiest <= most * alone, (name, threads, busiest / alone)
