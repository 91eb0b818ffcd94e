"""What archives of others may hold."""

import io
import os
import tarfile
from pathlib import Path

import pytest

from facebench.harness.storage.unpacking import unpack

Member = tuple[tarfile.TarInfo, bytes]


def file(name: str, content: bytes = b"x") -> Member:
    member = tarfile.TarInfo(name)
    member.size = len(content)
    return member, content


def other(name: str, kind: bytes, target: str = "") -> Member:
    member = tarfile.TarInfo(name)
    member.type, member.linkname = kind, target
    return member, b""


def opened(*members: Member) -> tarfile.TarFile:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for member, content in members:
            archive.addfile(member, io.BytesIO(content))
    packed.seek(0)
    return tarfile.open(fileobj=packed)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "into" / "here"
    made.mkdir(parents=True)
    return made


def test_files_and_folders_come_as_they_are(folder: Path) -> None:
    members = other("a", tarfile.DIRTYPE), file("a/b.txt", b"text"), file("./c/d.txt", b"deep")
    unpack(opened(*members), folder, 100)
    assert (folder / "a/b.txt").read_bytes() == b"text"
    assert (folder / "c/d.txt").read_bytes() == b"deep"


@pytest.mark.parametrize(
    "members",
    [
        [file("../out")],
        [file("a/../../out")],
        [file("/tmp/facebench-test-out")],
        [other("link", tarfile.SYMTYPE, "file"), file("link")],
        [other("link", tarfile.SYMTYPE, ".."), file("link/out")],
        [other("link", tarfile.LNKTYPE, "../../secret")],
        [other("pipe", tarfile.FIFOTYPE)],
        [other("device", tarfile.CHRTYPE)],
    ],
)
def test_all_else_is_refused(members: list[Member], folder: Path) -> None:
    with pytest.raises(tarfile.TarError):
        unpack(opened(*members), folder, 100)
    assert os.listdir(folder.parent) == ["here"]
    assert not any(path.is_symlink() for path in folder.rglob("*"))


def test_what_it_unpacks_to_is_bounded(folder: Path) -> None:
    with pytest.raises(tarfile.TarError, match="more than 100 bytes"):
        unpack(opened(file("a", bytes(60)), file("b", bytes(60))), folder, 100)


def test_a_chain_of_links_that_escapes_tarfile_s_filter_does_not(
    folder: Path, tmp_path: Path
) -> None:
    """As in CVE-2025-4517: links whose target is too long for `realpath` to follow."""
    long, steps, inner = "d" * 247, "abcdefghijklmnop", []
    path = ""
    for step in steps:
        inner.append(other(f"{path}{long}", tarfile.DIRTYPE))
        inner.append(other(f"{path}{step}", tarfile.SYMTYPE, long))
        path += f"{step}/"
    inner.append(other(f"{'/'.join(steps)}/{'l' * 254}", tarfile.SYMTYPE, "../" * len(steps)))
    target = f"{'/'.join(steps)}/{'l' * 254}/../../.."
    inner.append(other("escape", tarfile.SYMTYPE, target))
    inner.append(file("escape/out"))
    with pytest.raises(tarfile.TarError):
        unpack(opened(*inner), folder, 100)
    assert not list(tmp_path.rglob("out"))
