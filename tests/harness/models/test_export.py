"""An exported network answers as torch does, in a form that every runtime takes."""

import resource
import signal
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
from facebench.harness.models.export import (
    EXPORT_TOLERANCE,
    Exported,
    export,
    reference_inputs,
    relative_error,
)
from facebench.harness.models.networks import Network, resolve
from tests.faults.pretence import in_fork
from tests.sampling import third


# That every network is exported rightly is asked in each runtime too.
@pytest.fixture(scope="module", params=third(registry.names(), 0))
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
    operators = {node.op_type for node in model.graph.node}
    assert "BatchNormalization" not in operators
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
    tiny: Network, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("FACEBENCH_CACHE", str(tmp_path))
    write = exporting._write_onnx

    def write_wrongly(folded: torch.nn.Module, inputs: np.ndarray, path: Path) -> None:
        weight = next(folded.parameters())
        weight += 1e-3
        write(folded, inputs, path)
        weight -= 1e-3

    monkeypatch.setattr(exporting, "_write_onnx", write_wrongly)
    with pytest.raises(WrongAnswerError, match="differs from torch"):
        export(tiny)
    assert exporting.find(tiny) is None


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
