"""A disk that is full at any write: one sentence, nothing lost, and the run goes on."""

import errno
import os
import random
import resource
import shutil
from itertools import count
from pathlib import Path

import pytest

from facebench.architectures.errors import BadInputError
from tests.faults.pretence import Pretence, in_fork

_REFUSED = 2


def limited(pretence: Pretence, most_bytes: int) -> bool:
    """Run in a copy of this process whose files take no more than so many bytes each.

    What is too much is written as far as it goes, as on a full disk.

    Returns:
        Whether the run came to its end.
    """

    def run() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (most_bytes, resource.RLIM_INFINITY))
        _sentence_or_end(pretence)

    code = in_fork(run)
    assert code in (0, _REFUSED)
    return code == 0


def _sentence_or_end(pretence: Pretence) -> None:
    try:
        pretence.run()
    except BadInputError as error:
        text = str(error)
        assert text.startswith("cannot write "), text
        assert text.endswith("the same command again"), text
        os._exit(_REFUSED)


@pytest.mark.parametrize("step", [997, pytest.param(199, marks=pytest.mark.slow)])
def test_files_that_end_anywhere_lose_nothing(
    pretence: Pretence,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    chance: random.Random,
    step: int,
) -> None:
    refused = 0
    for most_bytes in count(chance.randrange(200, 200 + step), step):
        print(f"files of {most_bytes} bytes at most")
        folder = tmp_path / str(most_bytes)
        monkeypatch.setenv("FACEBENCH_CACHE", str(folder / "cache"))
        one = Pretence(folder)
        folder.mkdir()
        if limited(one, most_bytes):
            break
        # Before anything mends it: a full disk leaves no half line.
        assert one.told() == {record.case.key for record in one.store.read()}
        one.require_nothing_lost()
        one.require_complete(one.run())
        shutil.rmtree(folder)
        refused += 1
    assert refused >= 6


def full_from(call: int) -> None:
    """From so many calls on, whatever puts something on the disk says that it is full."""
    passed = 0

    def fails() -> None:
        nonlocal passed
        passed += 1
        if passed > call:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def failing(name: str) -> None:
        whole = getattr(os, name)

        def call(*arguments: object, **options: object) -> object:
            fails()
            return whole(*arguments, **options)

        setattr(os, name, call)

    for name in ("fsync", "mkdir", "rename", "replace"):
        failing(name)


def test_each_call_that_finds_the_disk_full_ends_in_the_sentence(
    pretence: Pretence, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for call in count():
        folder = tmp_path / str(call)
        monkeypatch.setenv("FACEBENCH_CACHE", str(folder / "cache"))
        one = Pretence(folder)
        folder.mkdir()

        def run(one: Pretence = one, call: int = call) -> None:
            full_from(call)
            _sentence_or_end(one)

        code = in_fork(run)
        assert code in (0, _REFUSED)
        if code == 0:
            break
        one.require_nothing_lost()
        one.require_complete(one.run())
    assert call > 15
