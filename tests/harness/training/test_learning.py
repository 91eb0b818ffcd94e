"""A tiny run learns, whatever the loss: people it has never seen are told apart."""

import dataclasses
import shutil

import numpy as np
import pytest
import torch

from facebench.architectures.errors import BadInputError
from facebench.harness.training import student as students
from facebench.harness.training.data.training_faces import TrainingFaces
from facebench.harness.training.loop import DivergedError
from facebench.harness.training.losses.registry import LOSSES
from facebench.harness.training.state import begin
from tests.harness.training.small import (
    EMBEDDING,
    STEADY,
    TINY,
    faces_in,
    recipe,
    separation,
    trained,
)
from tests.sampling import today


@pytest.fixture(scope="module")
def faces(tmp_path_factory: pytest.TempPathFactory) -> TrainingFaces:
    return faces_in(tmp_path_factory.mktemp("people") / "set", people=40, images=6)


def untrained() -> float:
    return separation(begin(TINY, recipe(), 0, 2).student.network)


@pytest.mark.parametrize("name", today(LOSSES.names(), 2))
def test_a_loss_teaches_to_tell_strangers_apart(name: str, faces: TrainingFaces) -> None:
    entry = LOSSES[name]
    how = recipe(
        loss=name,
        scale=16.0 if entry.scale else None,
        margin=0.2 if entry.margin and entry.margin < 1 else None,
    )
    state, rows = trained(faces, how)
    before, after = untrained(), separation(state.student.network)
    assert rows[-1].loss < rows[0].loss
    assert after > before + (1 - before) / 3


@pytest.mark.parametrize("size", [EMBEDDING, 9])
def test_a_student_follows_its_teacher(size: int, faces: TrainingFaces) -> None:
    torch.manual_seed(3)
    teacher = torch.nn.Linear(48, size)
    patches = [
        torch.from_numpy(faces.image(i).copy()).float().view(4, 28, 4, 28, 3).mean((1, 3)) / 64 - 2
        for i in range(len(faces))
    ]
    targets = torch.stack(
        [torch.stack([teacher(p.flatten()), teacher(p.flip(1).flatten())]) for p in patches]
    ).detach()
    how = recipe(loss="none", scale=None, margin=None, teacher_weight=1.0)
    state, rows = trained(faces, how, targets)
    assert rows[-1].loss < 0.5 * rows[0].loss
    assert separation(state.student.network) > untrained()


def test_adamw_and_bfloat16_learn_too(faces: TrainingFaces) -> None:
    how = recipe(optimizer="adamw", learning_rate=5e-3, precision="bf16")
    state, rows = trained(faces, how)
    assert rows[-1].loss < rows[0].loss
    assert separation(state.student.network) > untrained()


@pytest.mark.slow
def test_compiled_steps_are_the_same_up_to_rounding(faces: TrainingFaces) -> None:
    if shutil.which("g++") is None:
        pytest.skip("torch compiles with g++, which is not there")
    how = recipe(epochs=2, shift=2, blur=1.0)
    _, plain = trained(faces, how, architecture=STEADY)
    _, compiled = trained(faces, how, architecture=STEADY, compiled=True)
    np.testing.assert_allclose([r.loss for r in compiled], [r.loss for r in plain], rtol=1e-3)


def test_a_loss_that_is_no_number_stops_the_run_and_says_why(faces: TrainingFaces) -> None:
    # So many steps that the rate is still high, and the epoch the first, when it happens.
    how = recipe(
        loss="softmax", scale=None, margin=None, learning_rate=1000.0, warmup=0.0, batch=16,
        epochs=24,
    )  # fmt: skip
    said = r"is (nan|inf) at step \d+ \(epoch 0\) with a learning rate of 99\d.*on images \d+"
    # Products without a bound, and a rate that squares them at each step.
    with pytest.raises(DivergedError, match=said) as stop:
        trained(faces, how)
    assert len(stop.value.indices) == how.batch


def test_a_network_of_another_size_than_it_says_is_named() -> None:
    wrong = dataclasses.replace(TINY, embedding_size=EMBEDDING + 1)
    with pytest.raises(BadInputError, match=r"tiny maps one image to .*16\), and not to \(1, 17"):
        students.build(wrong, 0)
