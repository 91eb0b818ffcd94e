"""A run that is killed at any line goes on, and nothing that was reported is lost."""

import random
import shutil
from itertools import count
from pathlib import Path

import pytest

from facebench.harness.records import store
from tests.faults.pretence import Pretence, killed_at

# A run has more, or it was an error at its start.
LEAST_POINTS = 300


@pytest.fixture(autouse=True)
def in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each line goes to the disk in three pieces: between them a run may be killed too."""

    def write(file: store.FileIO, data: bytes) -> None:
        third = len(data) // 3 + 1
        for start in range(0, len(data), third):
            whole(file, data[start : start + third])

    whole = store._write
    monkeypatch.setattr(store, "_write", write)


def damaged(folder: Path) -> Pretence:
    """A results file that begins with half a line, so that each run mends it first."""
    made = Pretence(folder)
    made.store.path.parent.mkdir(parents=True)
    made.store.path.write_bytes(b'{"schema": 1, "ca')
    return made


# Every third line is tried by the slow test, and every thirteenth by the fast one.
@pytest.mark.parametrize("step", [13, pytest.param(3, marks=pytest.mark.slow)])
def test_killed_at_each_line_it_loses_nothing_and_goes_on(
    pretence: Pretence, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    points = 0
    for point in count(0, step):
        folder = tmp_path / str(point)
        monkeypatch.setenv("FACEBENCH_CACHE", str(folder / "cache"))
        one = damaged(folder)
        if not killed_at(point, one.run):
            break
        one.require_nothing_lost()
        one.require_complete(one.run())
        shutil.rmtree(folder)
        points += 1
    assert points * step > LEAST_POINTS


def test_killed_again_and_again_it_comes_to_an_end(pretence: Pretence) -> None:
    chance = random.Random(0)
    kills = 0
    while killed_at(chance.randrange(LEAST_POINTS), pretence.run):
        kills += 1
        pretence.require_nothing_lost()
    assert kills > 3
    pretence.require_complete(pretence.run())
    # Each kill costs the process in hand, and no other.
    assert sum(pretence.executed().values()) <= 5 + kills
