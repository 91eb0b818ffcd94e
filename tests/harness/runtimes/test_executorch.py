"""ExecuTorch: what it does not delegate is named, its threads are counted, int8 is its own."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper

from facebench.architectures.errors import RefusedError, UnavailableError
from facebench.architectures.registry import Preprocessing
from facebench.harness.machine.processes import thread_variables
from facebench.harness.measures.deployment import deploy
from facebench.harness.measures.job import Job
from facebench.harness.measures.registry import MEASURES
from facebench.harness.models import networks, precision
from facebench.harness.models.answers import RUNTIME_TOLERANCE, cosines, relative_error
from facebench.harness.models.export import Exported, export
from facebench.harness.models.networks import Network
from facebench.harness.records.case import Case
from facebench.harness.runtimes.registry import RUNTIMES
from facebench.harness.timing.sampler import Budget
from tests.harness.conftest import SIZE

EXECUTORCH = RUNTIMES["executorch"]

_absent = pytest.mark.skipif(
    not EXECUTORCH.installed(), reason=f"executorch is not installed: {EXECUTORCH.install}"
)


def installed(test: Callable[..., None]) -> Callable[..., None]:
    """It is in `tox -e full` alone, and its exporter takes 10 s."""
    marked: Callable[..., None] = pytest.mark.slow(_absent(test))
    return marked


def job(network: Network, how: str = "fp32") -> Job:
    case = Case("latency", network.name, network.weights, how, "executorch")
    return Job(case, network, budget=Budget(0.2, 0.01))


@installed
@pytest.mark.parametrize(
    ("name", "label"),
    [("mobilefacenet", ""), ("mobilenet_v2", ""), ("shufflenet_v1", "not delegated: avg_pool2d")],
)
def test_a_record_names_the_operators_that_xnnpack_does_not_take(name: str, label: str) -> None:
    deployed = deploy(job(networks.resolve(name)))
    assert deployed.artifact.label == label
    error, (agreed,) = deployed.check(deployed.open(1).infer)
    assert error < RUNTIME_TOLERANCE
    assert agreed.passed


@installed
def test_operators_that_are_not_delegated_are_in_the_record(tmp_path: Path) -> None:
    outcome = MEASURES["latency"].obtain(job(pooled(tmp_path)))
    assert outcome.result.label == "not delegated: avg_pool2d"


def pooled(folder: Path) -> Network:
    """A mean over windows that counts the zeros around the map."""
    make = {"kernel_shape": [3, 3], "strides": [2, 2], "pads": [1, 1, 1, 1]}
    nodes = [
        helper.make_node("AveragePool", ["image"], ["pooled"], count_include_pad=1, **make),
        helper.make_node("Flatten", ["pooled"], ["embedding"]),
    ]
    return written(nodes, folder, 3 * (SIZE // 2) ** 2)


def written(nodes: list[onnx.NodeProto], folder: Path, size: int) -> Network:
    kind = onnx.TensorProto.FLOAT
    graph = helper.make_graph(
        nodes,
        "net",
        [helper.make_tensor_value_info("image", kind, [1, 3, SIZE, SIZE])],
        [helper.make_tensor_value_info("embedding", kind, [1, size])],
    )
    path = folder / "net.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)]), path)
    return networks.resolve(f"onnx:{path}")


COUNT = """
import sys
from pathlib import Path
import numpy as np
import psutil
from facebench.harness.runtimes.registry import RUNTIMES
runtime, threads = RUNTIMES["executorch"], int(sys.argv[2])
runtime.load()
before = psutil.Process().num_threads()
infer = runtime.open(Path(sys.argv[1]), threads)
infer(np.ones((1, 3, 16, 16), np.float32))
print(psutil.Process().num_threads() - before + 1)
"""


@installed
@pytest.mark.parametrize("threads", [1, 2, 3])
def test_as_many_threads_run_as_are_asked_for_and_nothing_is_printed(
    threads: int, tiny_exported: Exported
) -> None:
    path = EXECUTORCH.prepare(tiny_exported, 1, "").path
    command = [sys.executable, "-c", COUNT, str(path), str(threads)]
    variables = os.environ | thread_variables(1)
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=variables)
    assert (done.stdout, done.stderr) == (f"{threads}\n", "")


@installed
def test_programs_that_are_open_at_once_work_with_as_many_threads(tiny_exported: Exported) -> None:
    path = EXECUTORCH.prepare(tiny_exported, 1, "").path
    first = EXECUTORCH.open(path, 2)
    with pytest.raises(RefusedError, match="one pool of threads .* close it first"):
        EXECUTORCH.open(path, 1)
    assert EXECUTORCH.open(path, 2) is not first
    del first
    EXECUTORCH.open(path, 1)


@installed
def test_a_network_that_cannot_be_converted_is_refused_in_a_sentence(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Flatten", ["image"], ["flat"]),
        helper.make_node("Hardmax", ["flat"], ["embedding"]),
    ]
    with pytest.raises(RefusedError, match="net.onnx cannot be converted to .*use another runtime"):
        deploy(job(written(nodes, tmp_path, 3 * SIZE**2)))


@pytest.fixture(scope="module")
def calibration() -> precision.Calibration:
    rng = np.random.default_rng(0)
    pictures = tuple(rng.integers(0, 256, (SIZE, SIZE, 3), np.uint8) for _ in range(4))
    return precision.Calibration("noise", pictures, Preprocessing())


@installed
def test_int8_is_for_any_batch_and_near_to_single_precision(
    tiny_exported: Exported, calibration: precision.Calibration
) -> None:
    lowered = precision.lower(tiny_exported, "int8", calibration, EXECUTORCH.int8)
    inputs = np.concatenate(list(calibration.batches()))
    single = EXECUTORCH.open(EXECUTORCH.prepare(tiny_exported, 4, "").path, 1)(inputs).copy()
    alone = EXECUTORCH.open(EXECUTORCH.prepare(lowered, 1, "").path, 1)
    found = np.concatenate([alone(image[None]) for image in inputs])
    together = EXECUTORCH.open(EXECUTORCH.prepare(lowered, 4, "").path, 1)(inputs)
    assert relative_error(together, found) < 1e-6
    assert 0.95 < cosines(found, single).min() < 1 - 1e-7
    assert EXECUTORCH.left_wider(EXECUTORCH.prepare(lowered, 1, "").path, "int8") == ("1 PReLU",)
    facts = lowered.facts()["lowered"]
    assert facts["lowest_cosine"] == pytest.approx(cosines(found, single).min(), abs=1e-4)


@installed
def test_weights_in_int8_take_a_quarter_of_the_bytes() -> None:
    network = networks.resolve("mobilenet_v1")
    faces = precision.Calibration("noise", noise(2), Preprocessing())
    lowered = precision.lower(export(network), "int8", faces, EXECUTORCH.int8)
    sizes = [
        EXECUTORCH.prepare(one, 1, "").path.stat().st_size for one in (export(network), lowered)
    ]
    assert sizes[0] / sizes[1] > 3.5


def noise(count: int) -> tuple[np.ndarray, ...]:
    rng = np.random.default_rng(1)
    return tuple(rng.integers(0, 256, (112, 112, 3), np.uint8) for _ in range(count))


def test_it_is_an_extra_that_the_sentence_installs(
    tiny: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(type(EXECUTORCH), "installed", lambda runtime: False)
    with pytest.raises(UnavailableError, match=r"executorch is not installed: .*\[executorch\]"):
        deploy(job(tiny))
