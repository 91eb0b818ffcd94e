"""People's folders in an uncompressed tar file, which is indexed once and never unpacked."""

from __future__ import annotations

import tarfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from facebench.architectures.errors import BadInputError
from facebench.harness.storage.reading import regular
from facebench.harness.training.data.formats.registry import FORMATS, Format
from facebench.harness.training.data.source import Source, Span, from_spans, people_of
from facebench.harness.verification.files import is_image
from facebench.harness.verification.layout import read_landmarks

_BLOCK = 512


def _open(path: Path) -> Source:
    beside = path.parent / f"{path.name.removesuffix('.tar')}-landmarks.csv"
    landmarks = read_landmarks(beside) if beside.is_file() else {}
    return from_spans(path, lambda: _index(path), landmarks=landmarks)


def _index(path: Path) -> list[Span]:
    places = dict(_members(path))
    keys = people_of(sorted(name for name in places if is_image(name)), path)
    return [Span(*places[name], key.partition("/")[0], key) for name, key in keys.items()]


def _members(path: Path) -> Iterator[tuple[str, tuple[int, int]]]:
    """Name, offset and size of each regular file in an archive."""
    try:
        with tarfile.open(regular(path), "r:") as archive:
            before = -1
            while (member := archive.next()) is not None:
                # A damaged size can lead backwards, and so round for ever.
                if member.offset <= before or member.size < 0:
                    raise tarfile.ReadError("its headers lead backwards")
                before = member.offset
                # They would be kept: a gigabyte for a million images.
                archive.members.clear()  # type: ignore[attr-defined]
                yield from _place(member, path)
            _require_end(archive, path)
    except (tarfile.TarError, ValueError, OverflowError, RecursionError) as error:
        raise BadInputError(
            f"{path} is truncated or no uncompressed tar archive ({error}): copy it anew, "
            "or decompress it"
        ) from error
    except OSError as error:
        raise BadInputError(f"cannot read {path}: {error.strerror}; check the path") from error


def _place(member: tarfile.TarInfo, path: Path) -> Iterator[tuple[str, tuple[int, int]]]:
    name = PurePosixPath(member.name)
    if name.is_absolute() or ".." in name.parts or not member.name.isprintable():
        raise BadInputError(
            f"{path} names a file outside itself, or not in plain text ({member.name!a}): make "
            "the archive anew with relative names"
        )
    if member.isdir():
        return
    if not member.isreg() or member.issparse():
        raise BadInputError(
            f"{path} holds a link or a special file ({member.name!a}): make the archive anew with "
            "plain files, such as with tar --dereference"
        )
    yield str(name), (member.offset_data, member.size)


def _require_end(archive: tarfile.TarFile, path: Path) -> None:
    """See that what ended the list is the end: tarfile takes a damaged header for it."""
    with path.open("rb") as file:
        file.seek(archive.offset)
        rest = file.read(_BLOCK)
    if rest.strip(b"\0") or 0 < len(rest) < _BLOCK:
        raise tarfile.ReadError(f"damaged at byte {archive.offset:,}")


FORMATS.add(
    "tar",
    Format(
        "tar",
        "an uncompressed tar of such folders",
        lambda path: path if path.is_file() and path.suffix.lower() == ".tar" else None,
        _open,
    ),
)
