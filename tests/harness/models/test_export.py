"""An exported network answers as torch does, in a form that every runtime takes."""

import resource
import signal
import warnings
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import numpy_helper

from facebench.architectures import registry
from facebench.architectures.errors import BadInputError, WrongAnswerError
from facebench.architectures.registry import Preprocessing
from facebench.harness.models import export as exporting
from facebench.harness.models.answers import (
    EXPORT_TOLERANCE,
    reference_inputs,
    relative_error,
    require_answers,
    tolerance,
)
from facebench.harness.models.export import Exported, export
from facebench.harness.models.networks import Network, resolve
from tests.faults.pretence import in_fork
from tests.sampling import sixth


# That every network is exported rightly is asked in each runtime too.
@pytest.fixture(scope="module", params=sixth(registry.mobile_names(), 0))
def exported(request: pytest.FixtureRequest) -> Exported:
    return export(resolve(request.param))


def answers(path: Path, images: np.ndarray) -> np.ndarray:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(path, options, ["CPUExecutionProvider"])
    return np.asarray(session.run(None, {"image": images})[0])


def test_onnx_agrees_with_the_unfolded_network_in_double_precision(exported: Exported) -> None:
    images = np.random.default_rng(1).normal(size=(3, *exported.reference()[0].shape[1:]))
    with torch.no_grad():
        expected = exported.module().double()(torch.from_numpy(images)).numpy()
    found = answers(exported.onnx, images.astype(np.float32))
    assert relative_error(found, expected.astype(np.float32)) < EXPORT_TOLERANCE


def test_batch_normalization_is_folded_and_slopes_fit_every_runtime(exported: Exported) -> None:
    model = onnx.load(exported.onnx)
    makers = {output: node.op_type for node in model.graph.node for output in node.output}
    # Behind another kind of layer nothing can take it.
    normalized = {
        makers[node.input[0]] for node in model.graph.node if node.op_type == "BatchNormalization"
    }
    assert not normalized & {"Conv", "Gemm", "MatMul"}
    tensors = {t.name: numpy_helper.to_array(t) for t in model.graph.initializer}
    for node in model.graph.node:
        if node.op_type == "PRelu":
            assert tensors[node.input[1]].ndim == 3
            assert tensors[node.input[1]].shape[1:] == (1, 1)


def test_the_files_state_their_network(exported: Exported) -> None:
    facts = exported.facts()
    architecture = registry.find(facts["name"])
    inputs, outputs = exported.reference()
    assert inputs.shape[2:] == architecture.input_size
    assert outputs.shape == (len(inputs), architecture.embedding_size)
    assert facts["output_error"] < EXPORT_TOLERANCE
    assert facts["denormal_weights"] == 0.0


@pytest.mark.parametrize("channels", ["RGB", "BGR"])
def test_reference_inputs_reach_the_extremes_of_8_bit_pixels(channels: str) -> None:
    mean, scale = (100.0, 110.0, 120.0), (50.0, 60.0, 70.0)
    inputs = reference_inputs((10, 8), Preprocessing(channels, mean, scale))
    assert inputs.shape[1:] == (3, 10, 8)
    for channel in range(3):
        assert inputs[:, channel].min() == pytest.approx(-mean[channel] / scale[channel])
        assert inputs[:, channel].max() == pytest.approx((255 - mean[channel]) / scale[channel])
    assert len(np.unique(inputs.reshape(len(inputs), -1), axis=0)) == len(inputs)


def test_relative_error_is_of_the_largest_element_and_infinite_where_not_finite() -> None:
    expected = np.array([[1.0, -4.0]], np.float32)
    assert relative_error(expected + np.float32(0.04), expected) == pytest.approx(0.01, rel=1e-5)
    assert relative_error(expected, expected) == 0
    assert relative_error(np.full_like(expected, np.nan), expected) == float("inf")
    assert relative_error(expected[:, :1], expected) == float("inf")
    assert relative_error(expected, np.zeros_like(expected)) == float("inf")


def test_an_export_that_answers_wrongly_is_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    network = resolve("mobilefacenet_s")
    monkeypatch.setenv("FACEBENCH_CACHE", str(tmp_path))
    right = exporting.onnx_bytes

    def wrong(folded: torch.nn.Module, image: torch.Tensor) -> bytes:
        weight = next(folded.parameters())
        weight += 1e-3
        file = right(folded, image)
        weight -= 1e-3
        return file

    monkeypatch.setattr(exporting, "onnx_bytes", wrong)
    with pytest.raises(WrongAnswerError, match="differs from torch"):
        export(network)
    assert exporting.find(network) is None


def test_what_a_runtimes_kernels_are_off_is_no_defect_of_the_file(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("FACEBENCH_CACHE", str(tmp_path))  # no other test is to find it

    class Approximate(onnxruntime.InferenceSession):
        def run(self, *arguments: object) -> list[np.ndarray]:
            return [answer + 3e-5 * np.abs(answer).max() for answer in super().run(*arguments)]

    monkeypatch.setattr(onnxruntime, "InferenceSession", Approximate)
    assert export(resolve("mobilefacenet_s")).facts()["output_error"] > 2e-5


def test_the_same_network_is_exported_once(tiny: Network, tiny_exported: Exported) -> None:
    stamp = tiny_exported.onnx.stat().st_mtime_ns
    assert export(tiny).onnx.stat().st_mtime_ns == stamp
    assert exporting.find(tiny) == tiny_exported


def test_weights_and_preprocessing_are_part_of_an_exports_identity() -> None:
    keys = {
        exporting.key(Network("mobilefacenet", "random:0")),
        exporting.key(Network("mobilefacenet", "random:1")),
        exporting.key(Network("mobilefacenet_s", "random:0")),
        exporting.key(Network("mobilefacenet", "random:0", None, Preprocessing("BGR"))),
    }
    assert len(keys) == 4


@pytest.mark.parametrize("room", [0, 1000, 20_000])
def test_a_disk_that_is_full_ends_an_export_in_a_sentence(
    tiny: Network, room: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FACEBENCH_CACHE", str(tmp_path))

    def write() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (room, room))
        with pytest.raises(BadInputError, match="cannot write the cache"):
            export(tiny)

    assert in_fork(write) == 0


class Cancelling(torch.nn.Module):
    """What is left of large numbers: single precision has few digits of it."""

    def __init__(self, large: float) -> None:
        super().__init__()
        self.convolution = torch.nn.Conv2d(3, 8, 16)
        self.large = large

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        found = self.convolution(images).flatten(1)
        return (found * self.large + found) - found * self.large


@pytest.mark.parametrize(("large", "usable"), [(1e2, True), (1e6, False)])
def test_what_rounding_explains_is_no_defect_and_what_it_leaves_nothing_of_is_refused(
    large: float, usable: bool, tmp_path: Path
) -> None:
    torch.manual_seed(0)
    path = tmp_path / "net.onnx"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(Cancelling(large), (torch.zeros(1, 3, 16, 16),), str(path), dynamo=False)
    if usable:
        facts = export(resolve(f"onnx:{path}")).facts()
        assert 0 < facts["output_error"] < tolerance(EXPORT_TOLERANCE, facts["rounding"])
    else:
        with pytest.raises(BadInputError, match="its own answers are off those of double"):
            export(resolve(f"onnx:{path}"))


def test_rounding_widens_what_is_allowed_and_never_narrows_it() -> None:
    assert tolerance(1e-5, 0.0) == tolerance(1e-5, 1e-6) == 1e-5
    assert tolerance(1e-5, 1.8e-5) > 1.8e-5


@pytest.mark.parametrize(
    ("outputs", "why"),
    [
        (np.full((3, 4), np.nan), "not finite"),
        (np.array([[1.0, np.inf]] * 3), "not finite"),
        (np.zeros((3, 4)), "zero for every image"),
        (np.ones((3, 4)), "the same embedding"),
    ],
)
def test_embeddings_that_are_none_are_called_what_they_are(outputs: np.ndarray, why: str) -> None:
    with pytest.raises(BadInputError, match=f"net gives.*{why}"):
        require_answers("net", outputs)
    require_answers("net", np.eye(3))
