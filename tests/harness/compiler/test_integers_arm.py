"""Networks of integers compiled for ARM give the bits that numpy gives, on emulated cores."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings

from facebench.harness.compiler import build
from facebench.harness.compiler.targets import TARGETS
from facebench.harness.devices.emulator.launcher import EmulatedLauncher
from facebench.harness.devices.emulator.setup import Emulated
from facebench.harness.models.integer_network import reference
from facebench.harness.runtimes import wire
from facebench.harness.stats.arrays import FloatArray
from tests.harness.devices.emulator.conftest import emulated, emulated_here  # noqa: F401
from tests.integer_networks import Drawing, attending, bottlenecks, drawings, shuffling

# With products of four bytes, and without.
CORES = ["cortex-a76", "cortex-a53"]


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
        (bottlenecks, "cortex-a76"),
        (shuffling, "cortex-a53"),
        (attending, "cortex-a76"),
        pytest.param(attending, "cortex-a53", marks=pytest.mark.slow),
        pytest.param(shuffling, "cortex-a76", marks=pytest.mark.slow),
        pytest.param(bottlenecks, "cortex-a53", marks=pytest.mark.slow),
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
