"""A run that was stopped goes on bit for bit; what another run left is not gone on with."""

from pathlib import Path

import pytest
import torch

from facebench.architectures.errors import BadInputError
from facebench.harness.training import checkpoint, loop, training_run, weights
from facebench.harness.training.data.training_faces import TrainingFaces
from facebench.harness.training.loop import TrainingSpec
from facebench.harness.training.ranks import Ranks
from facebench.harness.training.state import TrainingState, begin
from tests.harness.command_line import facebench
from tests.harness.training.small import (
    EMBEDDING,
    SIZE,
    TINY,
    Silent,
    Tiny,
    faces_in,
    recipe,
    registered,
    write_people,
)
from tests.sampling import covering


@pytest.fixture(scope="module")
def faces(tmp_path_factory: pytest.TempPathFactory) -> TrainingFaces:
    return faces_in(tmp_path_factory.mktemp("people") / "set", people=14, images=6)


class StoppedError(Exception):
    """Stands for a killed process."""


class Stopping(Silent):
    """Keeps a checkpoint after so many steps, and stops a little later."""

    def __init__(self, path: Path, keep: int, stop: int) -> None:
        super().__init__()
        self.path, self.keep, self.stop = path, keep, stop

    def rest(self, state: TrainingState, epoch_done: bool) -> None:
        if state.step == self.keep:
            checkpoint.save(self.path, {"of": "test"}, state.facts())
        if state.step == self.stop:
            raise StoppedError


# 84 images in batches of 8: epochs of 10 steps.
RECIPES = {
    "arcface": recipe(batch=8, epochs=4),
    "sphereface": recipe(batch=8, epochs=4, loss="sphereface", scale=None, margin=None),
    "adamw": recipe(
        batch=8,
        epochs=4,
        optimizer="adamw",
        learning_rate=1e-3,
        shift=3,
        blur=1.0,
        least_size=40,
        degraded=0.5,
        zoom=0.1,
        saturation=0.5,
        erased=0.5,
    ),
}


# Steps after which a checkpoint is kept, and the run stopped: between epochs, and within one.
@pytest.mark.parametrize(("name", "steps"), covering([*RECIPES], [(24, 28), (20, 24)]))
def test_a_run_that_was_stopped_ends_with_the_same_bits(
    name: str, steps: tuple[int, int], faces: TrainingFaces, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr(loop, "WINDOW", 4)
    how, (keep, stop) = RECIPES[name], steps
    spec = TrainingSpec(faces, how, 5, (SIZE, SIZE))

    def fresh() -> TrainingState:
        return begin(TINY, how, 5, len(faces.identities))

    whole, watcher = fresh(), Silent()
    loop.run(whole, spec, watcher)
    with pytest.raises(StoppedError):
        loop.run(fresh(), spec, Stopping(tmp_path / "c.pt", keep, stop))
    state = fresh()
    torch.rand(17)  # another process would have drawn other numbers
    kept = checkpoint.load(tmp_path / "c.pt", {"of": "test"})
    assert kept is not None
    state.restore(kept)
    rest = Silent()
    loop.run(state, spec, rest)
    expected, found = whole.facts(), state.facts()
    assert _equal(expected, found)
    assert [row.loss for row in rest.rows] == [row.loss for row in watcher.rows[-len(rest.rows) :]]


class Clock:
    """A deadline that has come when it is asked for the fourth time."""

    asked = 0

    def over(self, ranks: Ranks) -> bool:
        self.asked += 1
        return self.asked > 3


def test_a_run_that_is_out_of_time_goes_on_to_the_same_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    write_people(tmp_path / "set", people=4, images=4)
    (tmp_path / "r.toml").write_text("batch = 8\nepochs = 6\nleast_iterations = 0\n")
    with registered("timed", Tiny, EMBEDDING), registered("next", Tiny, EMBEDDING):
        run = [
            "train",
            "timed",
            "next",
            "--data",
            tmp_path / "set",
            "--recipe",
            tmp_path / "r.toml",
        ]
        assert facebench(*run, "-o", tmp_path / "whole") == 0
        assert facebench(*run, "-o", tmp_path / "parts", "--stop-after", "0") == 0
        assert "time is up before timed, seed 0: the same command goes" in capfd.readouterr().err
        assert list((tmp_path / "parts").glob("*/*/*")) == []
        with monkeypatch.context() as patch:
            patch.setattr(training_run, "in_minutes", lambda minutes: Clock())
            assert facebench(*run, "-o", tmp_path / "parts") == 0
        assert "time is up: timed, seed 0, stopped at step 6 of 12" in capfd.readouterr().err
        assert not (tmp_path / "parts" / "next").exists()
        assert facebench(*run, "-o", tmp_path / "parts") == 0
    for name in ("timed", "next"):
        whole, parts = (
            weights.load(tmp_path / out / name / "seed0" / "weights.safetensors")
            for out in ("whole", "parts")
        )
        assert _equal(whole, parts)


def _equal(first: object, second: object) -> bool:
    if isinstance(first, torch.Tensor) and isinstance(second, torch.Tensor):
        return torch.equal(first, second)
    if isinstance(first, dict) and isinstance(second, dict):
        return first.keys() == second.keys() and all(_equal(first[k], second[k]) for k in first)
    if isinstance(first, list) and isinstance(second, list):
        return len(first) == len(second) and all(map(_equal, first, second))
    return first == second


def test_a_checkpoint_of_another_run_is_refused_with_what_differs(tmp_path: Path) -> None:
    path = tmp_path / "c.pt"
    checkpoint.save(path, {"seed": 0, "recipe": {"batch": 512}}, {"step": 3})
    assert checkpoint.load(path, {"seed": 0, "recipe": {"batch": 512}}) == {"step": 3}
    with pytest.raises(BadInputError, match=r"another recipe batch \(512, now 128\)"):
        checkpoint.load(path, {"seed": 0, "recipe": {"batch": 128}})


@pytest.mark.parametrize("content", [b"", b"no checkpoint", b"PK\x03\x04 cut off"])
def test_a_damaged_checkpoint_is_refused(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "c.pt"
    path.write_bytes(content)
    with pytest.raises(BadInputError, match="is no checkpoint that can be read"):
        checkpoint.load(path, {})


def test_a_write_that_fails_leaves_the_checkpoint_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "c.pt"
    checkpoint.save(path, {}, {"step": 1})

    def full(content: object, file: Path) -> None:
        file.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(BadInputError, match="No space left on device; what was there before"):
        checkpoint.save(path, {}, {"step": 2})
    assert checkpoint.load(path, {}) == {"step": 1}
    assert [file.name for file in tmp_path.iterdir()] == ["c.pt"]
