"""int8 in TVM's code: a network is calibrated, compiled and run, and is near to itself."""

import numpy as np
import pytest

from facebench.architectures.errors import RefusedError
from facebench.architectures.registry import Preprocessing
from facebench.harness.compiler import host
from facebench.harness.compiler.vectors import BYTE_FEATURES, in_words
from facebench.harness.models import precision
from facebench.harness.models.export import Exported
from facebench.harness.models.integer_network import network as integer_network
from facebench.harness.models.integer_network import reference
from facebench.harness.runtimes.registry import RUNTIMES
from facebench.harness.verification.calibration import Calibration

TVM = RUNTIMES["tvm"]

executed = pytest.mark.skipif(
    not any(map(host.executes, BYTE_FEATURES)),
    reason=f"this machine lacks {in_words(BYTE_FEATURES)}",
)


def noise(count: int, size: int) -> Calibration:
    draw = np.random.default_rng(0)
    pictures = tuple(draw.integers(0, 256, (size, size, 3), np.uint8) for _ in range(count))
    return Calibration("noise", pictures, Preprocessing())


@executed
def test_a_network_is_calibrated_compiled_and_near_to_itself(tiny_exported: Exported) -> None:
    faces = noise(4, tiny_exported.facts()["input_size"][0])
    lowered = precision.lower(tiny_exported, "int8", faces, TVM.int8)
    assert lowered.facts()["lowered"]["lowest_cosine"] > 0.95
    images = next(faces.batches(2))
    artifact = TVM.prepare(lowered, 2, "host")
    assert not artifact.label
    found = TVM.open(artifact.path, 1)(images)
    network = integer_network.load(lowered.folder)
    np.testing.assert_array_equal(found, reference.embed(network, images))


def test_it_is_offered_where_the_instructions_are(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "int8" in TVM.precisions_on("x86-64-v3")
    assert {"int8"} <= set(TVM.precisions_on("cortex-a76")) & set(TVM.precisions_on("cortex-a53"))
    assert "int8" in TVM.precisions_on("cortex-a7")
    assert "int8" not in TVM.precisions_on()
    monkeypatch.setattr(host, "_flags", lambda: frozenset({"avx"}))
    assert "int8" not in TVM.precisions_on("host")
    with pytest.raises(
        RefusedError,
        match="tvm computes in int8 on CPUs that have avx2 and fma, or .* alone: use fp32, or ",
    ):
        TVM.require("int8", "host")
