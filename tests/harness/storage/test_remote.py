"""Machines that share a store build nothing twice, and take nothing damaged or hostile from it."""

import io
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from facebench.architectures.errors import UnavailableError
from facebench.harness.storage import cache

KIND = "ncnn"


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Be the machine of a name, with a cache of its own."""
    monkeypatch.setenv("FACEBENCH_STORE", str(tmp_path / "store"))

    def be(name: str) -> None:
        monkeypatch.setenv("FACEBENCH_CACHE", str(tmp_path / name))

    return be


def making(text: str) -> Callable[[Path], None]:
    def make(folder: Path) -> None:
        (folder / "sub").mkdir()
        (folder / "sub" / "file").write_text(text)

    return make


def never(folder: Path) -> None:
    raise AssertionError("it was built twice")


def test_what_one_machine_made_another_finds(machine: Callable[[str], None]) -> None:
    machine("one")
    cache.entry(KIND, "key", making("built"))
    machine("two")
    assert (cache.entry(KIND, "key", never) / "sub" / "file").read_text() == "built"
    found = cache.find(KIND, "key")
    assert found is not None
    assert found.is_relative_to(cache.root())


@pytest.mark.parametrize("address", ["memory://facebench-test", "file"])
def test_any_address_of_fsspec_will_do(
    machine: Callable[[str], None], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, address: str
) -> None:
    store = f"file://{tmp_path}/elsewhere" if address == "file" else address
    monkeypatch.setenv("FACEBENCH_STORE", store)
    machine("one")
    cache.entry(KIND, "any", making("built"))
    machine("two")
    assert cache.find(KIND, "any") is not None


def test_a_damaged_entry_of_the_store_is_built_here(
    machine: Callable[[str], None], tmp_path: Path
) -> None:
    machine("one")
    cache.entry(KIND, "key", making("built"))
    (packed,) = (tmp_path / "store" / KIND).glob("*.tar")
    data = packed.read_bytes()
    packed.write_bytes(data.replace(b"built", b"bu1lt"))
    machine("two")
    assert (cache.entry(KIND, "key", making("again")) / "sub" / "file").read_text() == "again"
    packed.write_bytes(data[: len(data) // 3])
    machine("three")
    assert cache.find(KIND, "key") is None


@pytest.mark.parametrize("name", ["../../outside", "/tmp/outside-of-all", "link"])
def test_an_archive_that_reaches_outside_writes_nothing_there(
    machine: Callable[[str], None], tmp_path: Path, name: str
) -> None:
    folder = tmp_path / "store" / KIND
    folder.mkdir(parents=True)
    with tarfile.open(folder / "key.tar", "w") as archive:
        member = tarfile.TarInfo(name)
        if name == "link":
            member.type = tarfile.SYMTYPE
            member.linkname = "/etc/passwd"
            archive.addfile(member)
        else:
            member.size = 3
            archive.addfile(member, io.BytesIO(b"bad"))
    machine("one")
    assert cache.find(KIND, "key") is None
    assert not list(tmp_path.rglob("outside*"))
    assert not Path("/tmp/outside-of-all").exists()


def test_a_store_that_is_none_is_named(
    machine: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    machine("one")
    monkeypatch.setenv("FACEBENCH_STORE", "no-such-protocol://bucket")
    with pytest.raises(UnavailableError, match="cannot use the shared store no-such-protocol://"):
        cache.entry(KIND, "key", making("built"))


def test_what_is_of_one_machine_is_not_shared(
    machine: Callable[[str], None], tmp_path: Path
) -> None:
    machine("one")
    cache.entry("peak", "key", making("built"))
    assert not (tmp_path / "store").exists()
