"""Several teachers teach as one: what is learned from them, and what is told of them."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from torch.nn import functional as F

from facebench.harness.storage.cache import file_digest
from facebench.harness.training import weights
from facebench.harness.training.distillation import Distillation, principal_directions
from tests.harness.command_line import facebench
from tests.harness.training.small import EMBEDDING, Tiny, registered, write_people


def embeddings(*sizes: int, images: int = 50) -> Distillation:
    """Return made embeddings of so many teachers, which see the same eight things in an image."""
    drawn = torch.Generator().manual_seed(5)
    seen = torch.randn(images, 2, 8, generator=drawn)
    found = [seen @ torch.randn(8, size, generator=drawn) for size in sizes]
    noise = [0.3 * torch.randn(one.shape, generator=drawn) for one in found]
    made = (F.normalize(f + n, dim=2) for f, n in zip(found, noise, strict=True))
    return Distillation((), tuple(made))


def similarities(vectors: torch.Tensor) -> np.ndarray:
    rows = vectors.flatten(0, 1).double().numpy()
    return np.asarray(rows @ rows.T)


def test_one_teacher_is_followed_as_it_is() -> None:
    taught = embeddings(24)
    assert taught.targets(8) is taught.embeddings[0]


def test_cosines_of_several_are_the_mean_of_theirs() -> None:
    taught = embeddings(6, 10)
    expected = np.mean([similarities(one) for one in taught.embeddings], axis=0)
    np.testing.assert_allclose(similarities(taught.targets(16)), expected, atol=1e-6)


def test_what_is_too_long_loses_as_little_of_its_products_as_can_be() -> None:
    joined = torch.cat(embeddings(12, 20).embeddings, 2).flatten(0, 1)
    cut = (joined @ principal_directions(joined, 5).float()).double().numpy()
    # The nearest products of rank 5 are those of numpy's singular values.
    left, values, _ = np.linalg.svd(joined.double().numpy(), full_matrices=False)
    nearest = (left[:, :5] * values[:5] ** 2) @ left[:, :5].T
    np.testing.assert_allclose(cut @ cut.T, nearest, atol=1e-5)


def test_directions_do_not_hang_on_the_order_of_images_or_their_number_at_a_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    joined = torch.cat(embeddings(6, 10).embeddings, 2).flatten(0, 1)
    whole = principal_directions(joined, 4)
    monkeypatch.setattr("facebench.harness.training.distillation._ROWS", 7)
    torch.testing.assert_close(principal_directions(joined.flip(0), 4), whole)
    torch.testing.assert_close(whole.T @ whole, torch.eye(4, dtype=torch.float64))


def test_targets_are_no_longer_than_the_student_and_of_length_one() -> None:
    found = embeddings(12, 20).targets(9)
    assert found.shape == (50, 2, 9)
    torch.testing.assert_close(found.norm(dim=2), torch.ones(50, 2))


def write_teacher(path: Path, size: int, seed: int) -> Path:
    """Write a network from 112x112 to embeddings: a convolution, a rectifier, a product."""
    rng = np.random.default_rng(seed)
    arrays = {"w": rng.normal(0, 0.1, (4, 3, 16, 16)), "d": rng.normal(0, 0.1, (196, size))}
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["c"], strides=[16, 16], kernel_shape=[16, 16]),
        helper.make_node("Relu", ["c"], ["r"]),
        helper.make_node("Flatten", ["r"], ["f"]),
        helper.make_node("MatMul", ["f", "d"], ["y"]),
    ]
    graph = helper.make_graph(
        nodes,
        "teacher",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 3, 112, 112])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", size])],
        [numpy_helper.from_array(a.astype(np.float32), name) for name, a in arrays.items()],
    )
    opset = [helper.make_opsetid("", 17)]
    onnx.save(helper.make_model(graph, opset_imports=opset, ir_version=8), path)
    return path


@pytest.fixture
def student() -> Iterator[str]:
    with registered("student", Tiny, EMBEDDING) as name:
        yield name


def test_weights_tell_of_each_teacher(
    tmp_path: Path, student: str, capfd: pytest.CaptureFixture[str]
) -> None:
    write_people(tmp_path / "set", people=4, images=4)
    recipe = 'loss = "none"\nteacher_weight = 1.0\nbatch = 8\nepochs = 2\nleast_iterations = 0\n'
    (tmp_path / "r.toml").write_text(recipe)
    files = [write_teacher(tmp_path / f"{name}.onnx", size, size) for name, size in TEACHERS]
    run = ["train", student, "--data", tmp_path / "set", "--recipe", tmp_path / "r.toml"]
    run += ["-o", tmp_path / "out"]
    for file in files:
        run += ["--teacher", file, "--teacher-scale", "64"]
    licences = ["--teacher-licence", "MIT", "--teacher-licence", "non-commercial research only"]
    assert facebench(*run, *licences) == 0

    folder = tmp_path / "out" / student / "seed0"
    told = weights.facts(folder / "weights.safetensors")
    assert [one["name"] for one in told["run"]["teacher"]] == ["onnx:a.onnx", "onnx:b.onnx"]
    assert {one["preprocessing"]["scale"][0] for one in told["run"]["teacher"]} == {64.0}
    card = (folder / "card.md").read_text()
    for file, licence in zip(files, ("MIT", "non-commercial research only"), strict=True):
        assert f"{file.name} (sha256:{file_digest(file)[:16]}…); its licence: {licence}" in card

    # The same run goes on whatever is said of licences, and not with another teacher.
    assert facebench(*run) == 0
    capfd.readouterr()
    assert facebench(*run[: run.index(files[1]) - 1]) == 2
    assert "of a run with another teacher" in capfd.readouterr().err


TEACHERS = [("a", 12), ("b", 20)]


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--teacher-mean", "0"], "--teacher-mean is there 1 times and --teacher 2 times"),
        (["--teacher-licence", "MIT"], "--teacher-licence is there 1 times"),
        ([], "names onnx:a.onnx more than once"),
    ],
)
def test_what_is_not_said_of_each_teacher_is_refused(
    more: list[str], said: str, tmp_path: Path, student: str, capfd: pytest.CaptureFixture[str]
) -> None:
    path = write_teacher(tmp_path / "a.onnx", 12, 0)
    run = ["train", student, "--data", tmp_path, "--recipe", "distill", "-o", tmp_path / "out"]
    assert facebench(*run, "--teacher", path, "--teacher", path, *more) == 2
    assert said in capfd.readouterr().err
