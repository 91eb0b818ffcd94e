"""Downloads files from their official addresses: checked, resumed, never half there."""

from __future__ import annotations

import hashlib
import http.client
import os
import shutil
import tarfile
import tempfile
import urllib.error
import urllib.request
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from email.message import Message
from pathlib import Path
from typing import IO, Any
from urllib.parse import urlsplit

from facebench.architectures.errors import BadInputError, UnavailableError
from facebench.harness.storage import writing
from facebench.harness.storage.progress import SILENT, Progress
from facebench.harness.storage.unpacking import unpack

# Of silence, in seconds: a server that still sends is waited for.
TIMEOUT_S = 30.0
# Bytes of an archive, unpacked: LFW takes a hundredth of that.
_LARGEST = 20 * 10**9
_CHUNK = 1 << 20

# Told how many bytes are there, and of how many, where the server says so.


@dataclass(frozen=True)
class Download:
    """It is a file that someone publishes.

    Attributes:
        address: URL, of http or https.
        name: of what is left in the end, below the data folder: a file, or the
            folder of what was in the archive.
        digest: `sha256:<hex>`, or `md5:<hex>` where the publisher gives no better one.
        unpack: whether it is a tar archive (which may be compressed) whose content is
            what is wanted. A single folder that holds everything is left out.
    """

    address: str
    name: str
    digest: str
    unpack: bool = False


def fetch(download: Download, folder: Path, progress: Progress = SILENT) -> Path:
    """Download a file, or go on where an interrupted download was.

    The bytes go to `<name>.part`, which gets its name when its checksum is right;
    what is there under its name already is not downloaded again.

    Args:
        download: the file.
        folder: the data folder.
        progress: told how far it is.

    Returns:
        The file, or the folder of the unpacked archive.

    Raises:
        UnavailableError: the address can't be reached, or the connection was cut.
        BadInputError: the checksum is wrong, the disk is full, or another file has
            that name.
    """
    target = folder / download.name
    if target.exists():
        _check_present(download, target)
        return target
    part = target.with_name(f"{target.name}.part")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        # Whole where it could not be unpacked, for want of room.
        if not part.is_file() or _digest(download, part) != download.digest:
            _complete(download, part, progress)
            _verify(download, part)
        if download.unpack:
            _unpack(download, part, target)
        else:
            part.rename(target)
        _tag(part).unlink(missing_ok=True)
    except OSError as error:
        raise BadInputError(
            f"cannot write {error.filename or part}: {error.strerror}; make room or choose another "
            "data folder, and run the same command again: what is there is kept"
        ) from error
    return target


def _complete(download: Download, part: Path, progress: Progress) -> None:
    """Bring what is there of a file up to its whole length.

    Raises:
        OSError: it can't be written; nothing else raises it.
    """
    tag = _tag(part)
    # Without a mark of the version nothing says that what is there belongs to what comes.
    mark = _recalled(tag) if part.is_file() else ""
    done = part.stat().st_size if mark else 0
    with _request(download.address, done, mark) as response:
        resumed = done > 0 and response.status == http.HTTPStatus.PARTIAL_CONTENT
        if resumed and not _continues(response, done, mark):
            tag.unlink()
            return _complete(download, part, progress)
        done = done if resumed else 0
        total = _total(response, done)
        _remember(tag, response.headers, mark if resumed else "")
        with writing.shared(part) as file:
            if not resumed:
                file.truncate(0)
            for chunk in _chunks(response, download.address):
                writing.write_all(file, chunk)
                done += len(chunk)
                progress.at(done, total)
    if total is not None and done < total:
        raise UnavailableError(
            f"the connection to {download.address} was cut after {done:,} of {total:,} bytes: run "
            "the same command again, which goes on from there"
        )


def _request(address: str, done: int, mark: str) -> Any:
    """Return the answer to a request for a file from byte `done` on.

    Raises:
        UnavailableError: there is none, or it is an error.
    """
    if urlsplit(address).scheme not in ("http", "https"):
        raise BadInputError(f"{address} is no address of http or https: name another")
    headers = {"User-Agent": "facebench"}
    if done:
        headers |= {"Range": f"bytes={done}-", "If-Range": mark}
    try:
        return _opener().open(urllib.request.Request(address, headers=headers), timeout=TIMEOUT_S)
    except urllib.error.HTTPError as error:
        error.close()
        # All is there, or more than there is: begin again.
        if error.code == http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE and done:
            return _request(address, 0, "")
        raise UnavailableError(
            f"{address} answers {error.code} ({error.reason}): look whether the publisher has "
            "moved it"
        ) from error
    except (OSError, http.client.HTTPException, ValueError) as error:
        reason = getattr(error, "reason", None) or str(error) or type(error).__name__
        raise UnavailableError(f"cannot reach {address} ({reason}): check the network") from error


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows redirections to http and https alone, and none from https to http."""

    def redirect_request(
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: http.client.HTTPMessage,
        newurl: str,
    ) -> urllib.request.Request | None:
        allowed = ("http", "https") if urlsplit(req.full_url).scheme == "http" else ("https",)
        if urlsplit(newurl).scheme not in allowed:
            raise UnavailableError(
                f"{req.full_url} redirects to {newurl}, which is not {' or '.join(allowed)}, so it "
                "is not followed: get the file from its publisher by hand"
            )
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _opener() -> urllib.request.OpenerDirector:
    """Return what speaks http and https and, unlike urllib's own, neither ftp nor file."""
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler(),
        urllib.request.HTTPHandler(),
        urllib.request.HTTPSHandler(),
        urllib.request.HTTPDefaultErrorHandler(),
        urllib.request.HTTPErrorProcessor(),
        _Redirects(),
    ):
        opener.add_handler(handler)
    return opener


def _continues(response: Any, done: int, mark: str) -> bool:
    """Return whether a part of a file is the part that was asked for, of the same version."""
    begins = str(response.headers.get("Content-Range", "")).startswith(f"bytes {done}-")
    # Some servers ignore If-Range and send a part of another version.
    return begins and _mark(response.headers) in ("", mark)


def _total(response: Any, done: int) -> int | None:
    length = response.headers.get("Content-Length", "")
    return done + int(length) if length.isdigit() else None


def _mark(headers: Message) -> str:
    """Return what tells versions of a file apart, fit for If-Range: a strong ETag, or the date."""
    etag = headers.get("ETag", "")
    return str(etag if etag.startswith('"') else headers.get("Last-Modified", ""))


def _remember(tag: Path, headers: Message, mark: str) -> None:
    mark = _mark(headers) or mark
    if mark:
        writing.write(tag, mark)
    else:
        tag.unlink(missing_ok=True)


def _recalled(tag: Path) -> str:
    """Return the mark that was remembered, where it is fit for a header."""
    mark = tag.read_bytes().decode("ascii", "replace") if tag.is_file() else ""
    return mark if mark.isascii() and mark.isprintable() else ""


def _tag(part: Path) -> Path:
    """Return the file that keeps the mark of the version a part belongs to."""
    return part.with_name(f"{part.name}.version")


def _chunks(response: Any, address: str) -> Iterator[bytes]:
    """Yield what comes, in pieces; an OSError of the network becomes an UnavailableError."""
    while True:
        try:
            chunk: bytes = response.read1(_CHUNK)
        except (OSError, http.client.HTTPException) as error:
            raise UnavailableError(
                f"the connection to {address} was cut ({str(error) or type(error).__name__}): run "
                "the same command again, which goes on from there"
            ) from error
        if not chunk:
            return
        yield chunk


def _check_present(download: Download, target: Path) -> None:
    """See that a file which is there is the one that is published; a folder was checked before."""
    if target.is_dir():
        return
    found = _digest(download, target)
    if found != download.digest:
        raise BadInputError(
            f"{target} is there with another checksum ({found}) than the published file "
            f"({download.digest}): move it away to download that"
        )


def _verify(download: Download, part: Path) -> None:
    found = _digest(download, part)
    if found != download.digest:
        part.unlink()
        _tag(part).unlink(missing_ok=True)
        raise BadInputError(
            f"{download.address} has the checksum {found}, not {download.digest}: it was damaged "
            "on its way or changed by its publisher; run the same command again, and if that does "
            "not help get the file from elsewhere"
        )


def _digest(download: Download, path: Path) -> str:
    algorithm = download.digest.partition(":")[0]
    with path.open("rb") as file:
        return f"{algorithm}:{hashlib.file_digest(file, algorithm).hexdigest()}"


def _unpack(download: Download, archive: Path, target: Path) -> None:
    """Unpack beside the target, which appears whole; the archive is removed."""
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".unpacking-") as temporary:
        try:
            with tarfile.open(archive) as packed:
                unpack(packed, Path(temporary), _LARGEST)
        except (tarfile.TarError, EOFError, zlib.error) as error:
            raise BadInputError(
                f"{download.address} cannot be unpacked ({error}): get the file from its "
                "publisher by hand"
            ) from error
        inside = list(Path(temporary).iterdir())
        single = len(inside) == 1 and inside[0].is_dir() and not inside[0].is_symlink()
        made = inside[0] if single else Path(temporary) / "content"
        if not single:
            made.mkdir()
            for path in inside:
                shutil.move(path, made)
        os.rename(made, target)
    archive.unlink()
