"""An entry is made once, appears whole or not at all, and is made again where it is damaged."""

import errno
import os
from pathlib import Path

import pytest

from facebench.architectures.errors import BadInputError
from facebench.harness.storage import cache


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("FACEBENCH_CACHE", str(tmp_path))
    return tmp_path


class Maker:
    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, folder: Path) -> None:
        self.calls += 1
        (folder / "deep").mkdir()
        (folder / "deep" / "file").write_bytes(b"x" * 1000)


def test_an_entry_is_made_once() -> None:
    make = Maker()
    folders = {cache.entry("kind", "key", make) for _ in range(3)}
    assert make.calls == 1
    assert folders == {cache.find("kind", "key")}


def test_a_flipped_bit_is_found_and_the_entry_made_again() -> None:
    make = Maker()
    path = cache.entry("kind", "key", make) / "deep" / "file"
    data = bytearray(path.read_bytes())
    data[500] ^= 1
    path.write_bytes(data)
    assert cache.find("kind", "key") is None
    assert cache.entry("kind", "key", make) / "deep" / "file" == path
    assert path.read_bytes() == b"x" * 1000


@pytest.mark.parametrize("manifest", ["", "[]", "{", '{"../../outside": "0"}'])
def test_a_damaged_manifest_means_that_the_entry_is_made_again(manifest: str) -> None:
    make = Maker()
    folder = cache.entry("kind", "key", make)
    (folder / "manifest.json").write_text(manifest)
    cache.entry("kind", "key", make)
    assert make.calls == 2


def test_an_error_leaves_nothing_behind(own_cache: Path) -> None:
    def fail(folder: Path) -> None:
        (folder / "half").write_text("x")
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        cache.entry("kind", "key", fail)
    assert list((own_cache / "kind").iterdir()) == []


def test_a_full_disk_is_one_sentence_with_the_mend() -> None:
    def full(folder: Path) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with pytest.raises(BadInputError, match="No space left.*FACEBENCH_CACHE"):
        cache.entry("kind", "key", full)


def test_digests_tell_values_apart_and_do_not_depend_on_order() -> None:
    assert cache.digest({"a": 1, "b": 2}) == cache.digest({"b": 2, "a": 1})
    assert cache.digest(["a", "b"]) != cache.digest(["ab"])


def test_a_missing_file_is_named() -> None:
    with pytest.raises(BadInputError, match="cannot read /nowhere/x: No such file"):
        cache.file_digest(Path("/nowhere/x"))


def test_a_name_that_no_file_can_have_is_one_sentence() -> None:
    with pytest.raises(BadInputError, match=r"cannot read '/nowhere\\x00': embedded null byte"):
        cache.file_digest(Path("/nowhere\0"))


def test_a_fifo_is_no_file_and_nobody_waits_for_it(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "weights.pth")
    with pytest.raises(BadInputError, match="weights.pth is no file"):
        cache.file_digest(tmp_path / "weights.pth")
