"""A run that is killed at any line goes on, and nothing that was reported is lost."""

import random
import shutil
from io import FileIO
from pathlib import Path

import pytest

from facebench.harness.storage import writing
from tests.faults.pretence import Pretence, killed_at, points

# A run has more, or it was an error at its start.
LEAST_POINTS = 300


@pytest.fixture(autouse=True)
def in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each line goes to the disk in three pieces: between them a run may be killed too."""

    def write(file: FileIO, data: bytes) -> None:
        third = len(data) // 3 + 1
        for start in range(0, len(data), third):
            whole(file, data[start : start + third])

    whole = writing.write_all
    monkeypatch.setattr(writing, "write_all", write)


def damaged(folder: Path) -> Pretence:
    """A results file that begins with half a line, so that each run mends it first."""
    made = Pretence(folder)
    made.store.path.parent.mkdir(parents=True)
    made.store.path.write_bytes(b'{"schema": 1, "ca')
    return made


@pytest.mark.parametrize("share", [1 / 32, pytest.param(1 / 3, marks=pytest.mark.slow)])
def test_killed_at_any_line_it_loses_nothing_and_goes_on(
    pretence: Pretence,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    chance: random.Random,
    share: float,
) -> None:
    there = points(damaged(tmp_path / "whole").run)
    assert there > LEAST_POINTS
    for point in sorted(chance.sample(range(there), round(there * share))):
        print(f"killed at line {point} of {there}")
        folder = tmp_path / str(point)
        monkeypatch.setenv("FACEBENCH_CACHE", str(folder / "cache"))
        one = damaged(folder)
        # A few lines more or less are run where a lock has to be waited for.
        assert killed_at(point, one.run) or point > 0.9 * there
        one.require_nothing_lost()
        one.require_complete(one.run())
        shutil.rmtree(folder)


def test_killed_again_and_again_it_comes_to_an_end(
    pretence: Pretence,
) -> None:
    chance = random.Random(0)
    kills = 0
    # More lines than beginning takes, or no run would get to its first process.
    while killed_at(chance.randrange(2 * LEAST_POINTS), pretence.run):
        kills += 1
        pretence.require_nothing_lost()
    assert kills > 3
    pretence.require_complete(pretence.run())
    # Each kill costs the process in hand, and no other.
    assert sum(pretence.executed().values()) <= 5 + kills
