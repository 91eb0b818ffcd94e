"""int8 for OpenVINO is NNCF's: near to single precision, a third of its bytes, PReLU within."""

import importlib.util

import numpy as np
import pytest

from facebench.architectures.errors import UnavailableError
from facebench.architectures.registry import Preprocessing
from facebench.harness.models import networks, precision
from facebench.harness.models.answers import cosines, relative_error
from facebench.harness.models.export import Exported, export
from facebench.harness.runtimes import openvino_cpu
from facebench.harness.runtimes.registry import RUNTIMES
from tests.harness.conftest import SIZE

OPENVINO = RUNTIMES["openvino"]

installed = pytest.mark.skipif(
    not OPENVINO.installed() or importlib.util.find_spec("nncf") is None,
    reason=f"openvino or nncf is not installed: {OPENVINO.install}",
)


def noise(count: int, size: int = SIZE) -> precision.Calibration:
    rng = np.random.default_rng(0)
    pictures = tuple(rng.integers(0, 256, (size, size, 3), np.uint8) for _ in range(count))
    return precision.Calibration("noise", pictures, Preprocessing())


@installed
def test_int8_is_for_any_batch_and_near_to_single_precision(tiny_exported: Exported) -> None:
    faces = noise(8)
    lowered = precision.lower(tiny_exported, "int8", faces, OPENVINO.int8)
    inputs = np.concatenate(list(faces.batches()))
    single = OPENVINO.open(OPENVINO.prepare(tiny_exported, 8, "").path, 1)(inputs).copy()
    infer = OPENVINO.open(OPENVINO.prepare(lowered, 8, "").path, 1)
    found = np.concatenate([infer(image[None]).copy() for image in inputs])
    assert relative_error(infer(inputs), found) < 1e-6
    assert 0.95 < cosines(found, single).min() < 1 - 1e-7


@installed
def test_prelu_is_computed_in_int8_and_weights_take_little_more_than_a_third_of_the_bytes() -> None:
    exported = export(networks.resolve("mobilefacenet"))
    lowered = precision.lower(exported, "int8", noise(2, 112), OPENVINO.int8)
    path = OPENVINO.prepare(lowered, 1, "").path
    assert exported.onnx.stat().st_size > 2.5 * (path / "network.bin").stat().st_size
    # What ONNX Runtime's file leaves in floating point: each PReLU, and what is around it.
    others = precision.lower(exported, "int8", noise(2, 112))
    wider = [counted(OPENVINO.left_wider(one, "int8")) for one in (path, others.onnx)]
    assert wider[0] < wider[1]


def counted(layers: tuple[str, ...]) -> int:
    return sum(int(one.split()[0]) for one in layers)


@pytest.mark.skipif(not OPENVINO.installed(), reason=f"not installed: {OPENVINO.install}")
def test_without_nncf_a_sentence_says_what_installs_it(
    tiny_exported: Exported, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(openvino_cpu.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UnavailableError, match=r"NNCF.* is not installed: .*\[openvino\]"):
        precision.lower(tiny_exported, "int8", noise(3), OPENVINO.int8)
