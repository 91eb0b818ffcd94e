"""Two processes with torchrun, centres shared out to them, train what one process trains."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from facebench.harness.training.losses.registry import LOSSES
from facebench.harness.training.state import begin
from tests.harness.training.small import STEADY, recipe, write_people
from tests.harness.training.two_processes import settings

PEOPLE = 9  # an odd number, so that the shares differ


def started(processes: int, *arguments: object) -> subprocess.CompletedProcess[str]:
    launcher = [
        "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}",
    ]  # fmt: skip
    command = [
        *(sys.executable, *(launcher if processes > 1 else [])),
        *("-m", "tests.harness.training.two_processes", *map(str, arguments)),
    ]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)


def same(loss: str, tmp_path: Path) -> dict[str, Any]:
    """Train with one process and with two, hold them to each other, and return what two kept."""
    write_people(tmp_path / "set", PEOPLE, images=6)
    found = []
    for processes in (1, 2):
        out = tmp_path / f"{processes}.pt"
        done = started(processes, tmp_path / "set", out, loss)
        assert done.returncode == 0, done.stderr[-3000:]
        assert "deprecated" not in done.stderr
        found.append(torch.load(out, weights_only=True))
    one, two = found
    torch.testing.assert_close(one["losses"], two["losses"], rtol=1e-4, atol=1e-5)
    for part in ("student", "classification"):
        torch.testing.assert_close(one["facts"][part], two["facts"][part], rtol=1e-3, atol=1e-4)
    moments = [
        {key: value["momentum_buffer"] for key, value in each["state"].items()}
        for each in (f["facts"]["classification_optimizer"] for f in found)
    ]
    torch.testing.assert_close(*moments, rtol=1e-3, atol=1e-4)
    kept: dict[str, Any] = two["facts"]
    return kept


def test_two_processes_train_what_one_does_and_one_goes_on_from_what_they_kept(
    tmp_path: Path,
) -> None:
    facts = same("sphereface", tmp_path)
    state = begin(STEADY, recipe(loss="sphereface", **settings("sphereface")), 0, PEOPLE)
    state.restore(facts)
    assert state.classification is not None
    assert state.classification.centres.shape == (PEOPLE, 16)
    assert state.step == facts["step"] == int(state.classification.iteration)


@pytest.mark.slow
@pytest.mark.parametrize("loss", [name for name in LOSSES.names() if name != "sphereface"])
def test_two_processes_train_what_one_does_with_any_loss(loss: str, tmp_path: Path) -> None:
    same(loss, tmp_path)


def test_a_run_that_fails_ends_its_threads_too(tmp_path: Path) -> None:
    write_people(tmp_path / "set", PEOPLE, images=6)
    done = started(2, tmp_path / "set", tmp_path / "2.pt", "arcface", 5)
    assert done.returncode
    assert "failed: at step 5" in done.stderr
    assert "threads outlive" not in done.stderr
