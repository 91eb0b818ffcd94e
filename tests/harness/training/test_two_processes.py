"""Two processes with torchrun, centres shared out to them, train what one process trains."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from facebench.harness.training.losses.registry import LOSSES
from facebench.harness.training.state import begin
from tests.harness.training.small import TINY, recipe, write_people
from tests.harness.training.two_processes import settings

PEOPLE = 9  # an odd number, so that the shares differ


def torchrun(processes: int, *arguments: object) -> subprocess.CompletedProcess[str]:
    command = [
        sys.executable, "-m", "torch.distributed.run", "--standalone",
        f"--nproc-per-node={processes}", "-m", "tests.harness.training.two_processes",
    ]  # fmt: skip
    return subprocess.run(
        [*command, *map(str, arguments)], capture_output=True, text=True, timeout=300, check=False
    )


def run(processes: int, *arguments: object) -> None:
    done = torchrun(processes, *arguments)
    assert done.returncode == 0, done.stderr[-3000:]
    assert "deprecated" not in done.stderr


def same(loss: str, tmp_path: Path) -> None:
    write_people(tmp_path / "set", PEOPLE, images=6)
    found = []
    for processes in (1, 2):
        out = tmp_path / f"{processes}.pt"
        run(processes, tmp_path / "set", out, loss)
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


def test_two_processes_train_what_one_does(tmp_path: Path) -> None:
    same("arcface", tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("loss", [name for name in LOSSES.names() if name != "arcface"])
def test_two_processes_train_what_one_does_with_any_loss(loss: str, tmp_path: Path) -> None:
    same(loss, tmp_path)


def test_what_several_processes_kept_one_goes_on_from(tmp_path: Path) -> None:
    write_people(tmp_path / "set", PEOPLE, images=6)
    run(2, tmp_path / "set", tmp_path / "2.pt", "sphereface")
    facts = torch.load(tmp_path / "2.pt", weights_only=True)["facts"]
    state = begin(TINY, recipe(loss="sphereface", **settings("sphereface")), 0, PEOPLE)
    state.restore(facts)
    assert state.classification is not None
    assert state.classification.centres.shape == (PEOPLE, 16)
    assert state.step == facts["step"] == int(state.classification.iteration)


def test_a_run_that_fails_ends_its_threads_too(tmp_path: Path) -> None:
    write_people(tmp_path / "set", PEOPLE, images=6)
    done = torchrun(2, tmp_path / "set", tmp_path / "2.pt", "arcface", 5)
    assert done.returncode
    assert "failed: at step 5" in done.stderr
    assert "threads outlive" not in done.stderr
