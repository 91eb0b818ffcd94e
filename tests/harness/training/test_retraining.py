"""Weights that are trained while they are compressed stay zero, and stay shared, and learn."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from facebench.harness.models.compressed.coding import CompressionSetting, coded, expanded
from facebench.harness.training import retraining
from facebench.harness.training.log import LogRow, TrainingListener
from facebench.harness.training.retraining import Retraining, Tie
from facebench.harness.training.state import begin
from tests.harness.training.small import EMBEDDING, STEADY, faces_in, recipe

SETTING = CompressionSetting(0.7, 3)


def test_a_tie_gives_each_group_its_mean_and_zeros_nothing() -> None:
    weights = np.array([[0.0, 1.0, 1.0], [-2.0, 0.0, 4.0]], np.float32)
    tie = Tie.of(weights, bits=8)
    gradient = torch.tensor([[9.0, 1.0, 3.0], [5.0, 9.0, 7.0]])
    assert torch.equal(tie.mean(gradient), torch.tensor([[0.0, 2.0, 2.0], [5.0, 0.0, 7.0]]))
    np.testing.assert_array_equal(tie.values(weights), weights)


def test_training_keeps_zeros_and_shared_values_and_comes_nearer(tmp_path: Path) -> None:
    faces = faces_in(tmp_path / "people", people=26, images=5)
    whole = begin(STEADY, recipe(), 0, 2).student.network
    pixels = torch.stack([torch.from_numpy(faces.image(i).copy()) for i in range(len(faces))])
    inputs = (pixels.permute(0, 3, 1, 2).float() - 127.5) / 128
    with torch.no_grad():
        for _ in range(30):
            whole.train()(inputs)  # so that BN's statistics are of these images
        targets = torch.stack([whole.eval()(inputs), whole(inputs.flip(3))], 1)
    found = Retraining(STEADY, _state(whole), faces, targets, epochs=40)(SETTING)
    before = expanded(*coded(_state(whole), SETTING))
    after = expanded(*coded(found, SETTING))
    for name, tensor in after.items():
        if tensor.ndim > 1:
            assert np.count_nonzero(tensor) <= np.ceil(0.3 * tensor.size)
            assert len(np.unique(tensor[tensor != 0])) <= 2**SETTING.bits
            # Coding rounds what was trained to half precision, and no more.
            np.testing.assert_allclose(tensor, found[name], rtol=2**-10)
    assert _distance(after, inputs, targets) < 0.7 * _distance(before, inputs, targets)
    # What was compressed before keeps its zeros, and gets no more values.
    again = Retraining(STEADY, after, faces, targets, epochs=2)(CompressionSetting(0.0, 4))
    for name, tensor in after.items():
        if tensor.ndim > 1:
            assert not again[name][tensor == 0].any()
            assert len(np.unique(again[name][tensor != 0])) <= 2**SETTING.bits


class _InterruptedError(Exception):
    pass


class _Listener(TrainingListener):
    """It counts rows, and ends the run after some."""

    def __init__(self, last: int = -1) -> None:
        self.rows: list[tuple[int, int]] = []
        self._last = last

    def row(self, row: LogRow, steps: int) -> None:
        if len(self.rows) == self._last:
            raise _InterruptedError
        self.rows.append((row.step, steps))


def test_what_is_interrupted_goes_on_where_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retraining, "_KEPT_EVERY_S", 0.0)
    faces = faces_in(tmp_path / "people", people=26, images=5)
    whole = begin(STEADY, recipe(), 0, 2).student.network
    draw = np.random.default_rng(0).standard_normal((len(faces), 2, EMBEDDING))
    targets = torch.from_numpy(draw.astype(np.float32))

    def run(cache: str, listener: _Listener) -> dict[str, np.ndarray]:
        monkeypatch.setenv("FACEBENCH_CACHE", str(tmp_path / cache))
        training = Retraining(STEADY, _state(whole), faces, targets, 8, listener)
        training.steps = training.steps_of([SETTING])
        return dict(training(SETTING))

    at_once = _Listener()
    wanted = run("whole", at_once)
    assert at_once.rows == [(step, 12) for step in range(1, 13)]
    for last in (5, 4):  # in the midst of either training
        with pytest.raises(_InterruptedError):
            run("parts", _Listener(last))
    rest, again = _Listener(), _Listener()
    for found in (run("parts", rest), run("parts", again)):
        assert all(np.array_equal(found[name], wanted[name]) for name in wanted)
    assert (rest.rows[0], again.rows) == ((10, 12), [])
    (damaged, _) = (tmp_path / "parts" / "retrained").glob("*/checkpoint.pt")
    damaged.write_bytes(b"no checkpoint")
    assert all(np.array_equal(run("parts", _Listener())[name], wanted[name]) for name in wanted)


def _state(network: torch.nn.Module) -> dict[str, np.ndarray]:
    return {
        name: tensor.numpy()
        for name, tensor in network.state_dict().items()
        if tensor.is_floating_point()
    }


def _distance(state: dict[str, np.ndarray], inputs: torch.Tensor, targets: torch.Tensor) -> float:
    network = STEADY.build().eval()
    network.load_state_dict({k: torch.from_numpy(v) for k, v in state.items()}, strict=False)
    with torch.no_grad():
        found = network(inputs)
    return float((1 - torch.cosine_similarity(found, targets[:, 0])).mean())
