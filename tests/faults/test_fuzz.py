"""Hostile input: a few of each kind here; `python -m tests.faults.fuzz` goes on for as long."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.faults import fuzz
from tests.faults.fuzz import TARGETS, Target, attempt
from tests.sampling import today


@pytest.mark.parametrize("name", today([*TARGETS], 3))
def test_hostile_input_ends_in_a_result_or_a_sentence(name: str, tmp_path: Path) -> None:
    found = fuzz.fuzz(TARGETS[name], tmp_path, seed=1, most=12)
    assert found.tried == 12
    assert not found.wrong, found.wrong[0][1]


@pytest.mark.slow
@pytest.mark.parametrize("name", TARGETS)
def test_eighty_hostile_inputs_end_in_a_result_or_a_sentence(name: str, tmp_path: Path) -> None:
    found = fuzz.fuzz(TARGETS[name], tmp_path, seed=1, most=80)
    assert found.tried == 80
    assert not found.wrong, found.wrong[0][1]


def _crash(path: Path) -> None:
    import ctypes

    ctypes.string_at(0)


def _hang(path: Path) -> None:
    import time

    time.sleep(60)


def _fail(path: Path) -> None:
    raise KeyError("a defect")


def _fill(path: Path) -> None:
    bytearray(2 * fuzz.LIMIT_BYTES)


def _escape(path: Path) -> None:
    (path.parent.parent / "ran").touch()


@pytest.mark.parametrize(
    ("use", "said"),
    [
        (_crash, "it crashed (SIGSEGV)"),
        (_hang, "it took longer than"),
        (_fail, "KeyError: 'a defect'"),
        (_fill, "MemoryError"),
        (_escape, "it wrote ['ran']"),
        (lambda path: None, ""),
    ],
)
def test_what_input_may_not_do_is_seen(
    use: Callable[[Path], object],
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(fuzz, "LIMIT_S", 2.0)
    found = attempt(Target("any", ".txt", lambda folder: [b""], use), b"", tmp_path / "trial")
    assert said in found
    assert bool(found) == bool(said)


def test_a_device_is_no_file_that_is_read_to_its_end() -> None:
    from facebench.architectures.errors import BadInputError
    from facebench.harness.models.networks import resolve

    with pytest.raises(BadInputError, match="/dev/zero is no file"):
        resolve("onnx:/dev/zero")
