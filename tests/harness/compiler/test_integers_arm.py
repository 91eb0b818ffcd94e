"""Networks of integers compiled for ARM give the bits that numpy gives, on emulated cores."""

import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings

from facebench.harness.compiler import build
from facebench.harness.compiler.integers import ranges
from facebench.harness.compiler.targets import TARGETS
from facebench.harness.devices.emulator.launcher import EmulatedLauncher
from facebench.harness.devices.emulator.setup import Emulated
from facebench.harness.models.integer_network import reference
from facebench.harness.models.integer_network.network import SumsStep
from facebench.harness.runtimes import wire
from facebench.harness.stats.arrays import FloatArray
from tests.harness.devices.emulator.conftest import emulated, emulated_here  # noqa: F401
from tests.integer_networks import (
    Drawing,
    attending,
    bottlenecks,
    drawings,
    ending_in_depthwise,
    shuffling,
)
from tests.sampling import today

# With products of four bytes, without, and of 32 bits.
CORES = ["cortex-a76", "cortex-a53", "cortex-a7"]


def embedded(folder: Path, core: str, images: FloatArray) -> FloatArray:
    """Embeddings of a compiled network, by a session in QEMU."""
    asked = [
        wire.request(["open", "tvm", "1"], bytes(folder)),
        wire.images_request("infer", images),
    ]
    command = EmulatedLauncher(core).command("tvm", None)
    session = subprocess.run(command, input=b"".join(asked), capture_output=True, check=True)
    opened, reply = session.stdout.split(b"ok ", 2)[1:]
    length, _, payload = reply.partition(b"\n")
    assert int(length) == len(payload), opened
    return np.frombuffer(payload, "<f4").reshape(len(images), -1)


def held(drawing: Drawing, core: str, batch: int, folder: Path) -> None:
    """Hold a network's answers on a core against numpy's."""
    network, images = drawing.network(), drawing.images(batch)
    network.save(folder)
    compiled = build.compile_integers(folder, TARGETS[core], batch).folder
    found = embedded(compiled, core, images)
    np.testing.assert_array_equal(found, reference.embed(network, images))


@pytest.mark.parametrize(
    ("parts", "core"),
    [
        *today(
            [
                (bottlenecks, "cortex-a76"),
                (shuffling, "cortex-a53"),
                (attending, "cortex-a76"),
                (bottlenecks, "cortex-a7"),
            ],
            2,
        ),
        *today([(ending_in_depthwise, core) for core in CORES], 1),
        pytest.param(attending, "cortex-a53", marks=pytest.mark.slow),
        pytest.param(shuffling, "cortex-a76", marks=pytest.mark.slow),
        pytest.param(bottlenecks, "cortex-a53", marks=pytest.mark.slow),
        pytest.param(shuffling, "cortex-a7", marks=pytest.mark.slow),
        pytest.param(attending, "cortex-a7", marks=pytest.mark.slow),
    ],
)
def test_parts_of_mobile_networks_have_the_bits_of_numpys(
    emulated_here: Emulated,  # noqa: F811
    parts: Callable[[int], Drawing],
    core: str,
    tmp_path: Path,
) -> None:
    held(parts(0), core, 1, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("core", CORES)
@settings(
    max_examples=25,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(drawing=drawings())
def test_many_networks_have_the_bits_of_numpys(
    emulated_here: Emulated,  # noqa: F811
    drawing: Drawing,
    core: str,
    tmp_path: Path,
) -> None:
    held(drawing, core, 2, tmp_path)


@pytest.mark.parametrize(
    ("multiplier", "least"),
    [(0.5, 1), (1.5, 1), (0.25, 2), (0.375, 4), (3.0, np.inf), (0.0, np.inf), (-0.5, 1),
     (float(np.float32(1e-3)), np.inf)],
)  # fmt: skip
def test_the_least_integer_whose_product_ends_in_a_half(multiplier: float, least: float) -> None:
    halves = [n for n in range(1, 100) if (n * multiplier) % 1 == 0.5]
    assert min(halves, default=np.inf) == least
    (found,) = ranges.halved(np.array([multiplier]))
    assert found == least or found >= 100


def test_products_halfway_between_integers_become_the_even_one(
    emulated_here: Emulated,  # noqa: F811
    tmp_path: Path,
) -> None:
    made = Drawing(3, 7, 7)
    for zero in (76, 77):
        made.sums(8)
        halved = made.steps[-1]
        assert isinstance(halved, SumsStep)
        multipliers = np.full(8, 0.5**4, np.float32)
        made.steps[-1] = replace(
            halved, weights=halved.weights // 64, bias=halved.bias // 64,
            multipliers=multipliers, negative=multipliers * np.float32(0.25),
        )  # fmt: skip
        made.maps[halved.result] = replace(made.maps[halved.result], zero=zero)
        assert ranges.short(made.steps[-1], made.maps) == (zero == 76)
    made.halves()
    held(made, "cortex-a76", 1, tmp_path)
