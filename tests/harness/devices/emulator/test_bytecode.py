"""Byte code that is written ahead of emulated sessions."""

import importlib.util
import os
import sys
from pathlib import Path

import pytest

from facebench.harness.devices.emulator import bytecode


def bytecode_of(source: Path) -> Path:
    return Path(importlib.util.cache_from_source(str(source)))


@pytest.fixture(autouse=True)
def writing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever this machine's Python was told."""
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    if sys.version_info[:2] != (3, 11):
        pytest.skip("byte code of this Python is none of the emulated one's")


def test_a_folder_has_that_of_all_its_modules(tmp_path: Path) -> None:
    for name in ("one.py", "below/two.py", "below/wrong.py"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("x = 1\n" if "wrong" not in name else "x = = 1\n")
    bytecode.of_folder(tmp_path)
    made = {path.name.partition(".")[0] for path in tmp_path.rglob("*.pyc")}
    assert made == {"one", "two"}
    assert bytecode_of(tmp_path / "one.py").read_bytes()[:4] == importlib.util.MAGIC_NUMBER


def test_what_is_linked_is_left_alone(tmp_path: Path) -> None:
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    (theirs / "one.py").touch()
    (tmp_path / "ours").mkdir()
    (tmp_path / "ours" / "root").symlink_to(theirs)
    bytecode.of_folder(tmp_path / "ours")
    assert not [*theirs.rglob("*.pyc")]


def test_our_own_is_that_of_what_a_session_imports(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = tmp_path / "facebench" / "harness" / "runtimes" / "session_process.py"
    session.parent.mkdir(parents=True)
    session.write_text("x = 1\n")
    monkeypatch.setattr(bytecode, "PACKAGES", tmp_path)
    bytecode.of_session()
    assert bytecode_of(session).exists()
    before = bytecode_of(session).stat().st_mtime_ns
    bytecode.of_session()
    assert bytecode_of(session).stat().st_mtime_ns == before
    session.write_text("x = 2\n")
    os.utime(session, (1e9, 1e9))  # a time of its own: seconds are compared
    bytecode.of_session()
    assert bytecode_of(session).stat().st_mtime_ns > before


def test_none_is_written_where_python_is_told_to_write_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "one.py").touch()
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    bytecode.of_folder(tmp_path)
    assert not [*tmp_path.rglob("*.pyc")]
