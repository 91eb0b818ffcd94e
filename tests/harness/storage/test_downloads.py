"""Downloads from a server on this machine that behaves as badly as servers do."""

import hashlib
import http.client
import io
import os
import socket
import tarfile
import threading
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from facebench.architectures.errors import BadInputError, UnavailableError
from facebench.harness.storage import downloads, writing
from facebench.harness.storage.downloads import Download, fetch
from tests.progress import Told

BODY = bytes(range(256)) * 2000


class Site:
    """A server's content and its faults.

    Attributes:
        body: of the one file.
        etag: of the file; empty for none.
        ranges: whether it sends parts.
        if_range: whether it minds If-Range.
        cut: bytes after which it closes the connection, once; none for never.
        status: what it answers.
        location: where it redirects to.
        asked: the Range of each request.
    """

    def __init__(self):
        self.body = BODY
        self.etag = '"1"'
        self.ranges = self.if_range = True
        self.cut = None
        self.length = True
        self.status = 200
        self.location = ""
        self.asked = []


@pytest.fixture
def site():
    return Site()


@pytest.fixture
def address(site):
    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_):
            pass

        def do_GET(self):
            asked = self.headers.get("Range")
            site.asked.append(asked)
            if site.status != 200:
                self.send_response(site.status)
                if site.location:
                    self.send_header("Location", site.location)
                self.end_headers()
                return
            if self.path == "/moved":
                self.send_response(302)
                self.send_header("Location", "/file")
                self.end_headers()
                return
            same = not site.if_range or self.headers.get("If-Range") == site.etag
            begin = int(asked[6:-1]) if asked and site.ranges and same else 0
            if begin and begin >= len(site.body):
                self.send_response(416)
                self.end_headers()
                return
            self.send_response(206 if begin else 200)
            if begin:
                self.send_header("Content-Range", f"bytes {begin}-{len(site.body) - 1}/*")
            if site.etag:
                self.send_header("ETag", site.etag)
            if site.length:
                self.send_header("Content-Length", str(len(site.body) - begin))
            self.end_headers()
            cut, site.cut = site.cut, None
            self.wfile.write(site.body[begin:] if cut is None else site.body[begin:][:cut])

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/file"
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")


def wanted(address, body=BODY, **more):
    return Download(address, "sub/file.bin", f"sha256:{hashlib.sha256(body).hexdigest()}", **more)


def left(folder):
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file())


def sentence(refusal):
    assert "\n" not in str(refusal.value)
    return str(refusal.value)


def test_a_file_comes_whole_and_is_not_downloaded_twice(site, address, tmp_path):
    told = Told()
    path = fetch(wanted(address), tmp_path, told)
    assert path.read_bytes() == BODY
    assert left(tmp_path) == ["sub/file.bin"]
    assert told.reached[-1] == (len(BODY), len(BODY), "")
    assert fetch(wanted(address), tmp_path) == path
    assert len(site.asked) == 1


def test_an_md5_will_do_where_there_is_no_better_digest(address, tmp_path):
    download = Download(address, "x", f"md5:{hashlib.md5(BODY).hexdigest()}")
    assert fetch(download, tmp_path).read_bytes() == BODY


@pytest.mark.parametrize("cut", [0, 1, 100_000, len(BODY) - 1])
def test_a_connection_that_is_cut_is_a_sentence_and_the_next_goes_on(site, address, cut, tmp_path):
    site.cut = cut
    with pytest.raises(UnavailableError, match="was cut after") as refusal:
        fetch(wanted(address), tmp_path)
    assert address in sentence(refusal)
    assert left(tmp_path) == ["sub/file.bin.part", "sub/file.bin.part.version"]
    assert fetch(wanted(address), tmp_path).read_bytes() == BODY
    assert site.asked == [None, f"bytes={cut}-" if cut else None]
    assert left(tmp_path) == ["sub/file.bin"]


def interrupted(site, address, folder):
    site.cut = 1000
    with pytest.raises(UnavailableError):
        fetch(wanted(address), folder)


@pytest.mark.parametrize("ranges", [True, False])
def test_a_file_that_changed_meanwhile_begins_anew(site, address, ranges, tmp_path):
    interrupted(site, address, tmp_path)
    site.body, site.etag, site.ranges = BODY[::-1], '"2"', ranges
    got = fetch(wanted(address, BODY[::-1]), tmp_path)
    assert got.read_bytes() == BODY[::-1]


def test_a_server_that_sends_parts_of_another_version_is_asked_again(site, address, tmp_path):
    interrupted(site, address, tmp_path)
    site.body, site.etag, site.if_range = BODY[::-1], '"2"', False
    assert fetch(wanted(address, BODY[::-1]), tmp_path).read_bytes() == BODY[::-1]
    assert site.asked == [None, "bytes=1000-", None]


def test_a_server_without_parts_begins_anew(site, address, tmp_path):
    interrupted(site, address, tmp_path)
    site.ranges = False
    assert fetch(wanted(address), tmp_path).read_bytes() == BODY


@pytest.mark.parametrize("etag", ["", 'W/"1"'])
def test_without_a_mark_of_the_version_nothing_is_resumed(site, address, etag, tmp_path):
    site.etag = etag
    interrupted(site, address, tmp_path)
    assert fetch(wanted(address), tmp_path).read_bytes() == BODY
    assert site.asked == [None, None]


def test_a_damaged_mark_is_not_sent(site, address, tmp_path):
    interrupted(site, address, tmp_path)
    (tmp_path / "sub/file.bin.part.version").write_bytes(b"\xff\nx: y\n")
    assert fetch(wanted(address), tmp_path).read_bytes() == BODY
    assert site.asked == [None, None]


def test_a_part_that_is_longer_than_the_file_begins_anew(site, address, tmp_path):
    interrupted(site, address, tmp_path)
    (tmp_path / "sub/file.bin.part").write_bytes(BODY + b"more")
    assert fetch(wanted(address), tmp_path).read_bytes() == BODY


def test_a_wrong_checksum_is_a_sentence_and_nothing_is_kept(site, address, tmp_path):
    site.body = b"something else"
    with pytest.raises(BadInputError, match="has the checksum sha256:.*, not sha256:") as refusal:
        fetch(wanted(address), tmp_path)
    assert address in sentence(refusal)
    assert left(tmp_path) == []


def test_a_file_that_is_there_and_another_is_not_touched(site, address, tmp_path):
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub/file.bin").write_text("mine")
    with pytest.raises(BadInputError, match=r"file\.bin is there with another checksum"):
        fetch(wanted(address), tmp_path)
    assert (tmp_path / "sub/file.bin").read_text() == "mine"
    assert site.asked == []


@pytest.mark.parametrize(("status", "words"), [(404, "Not Found"), (500, ""), (403, "Forbidden")])
def test_an_error_of_the_server_is_a_sentence_and_the_part_is_kept(
    site, address, status, words, tmp_path
):
    interrupted(site, address, tmp_path)
    site.status = status
    with pytest.raises(UnavailableError, match=rf"answers {status} .*{words}") as refusal:
        fetch(wanted(address), tmp_path)
    assert address in sentence(refusal)
    assert (tmp_path / "sub/file.bin.part").stat().st_size == 1000


def test_a_server_that_is_not_there_is_a_sentence(tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(UnavailableError, match=r"cannot reach http.*refused") as refusal:
        fetch(wanted(f"http://127.0.0.1:{port}/file"), tmp_path)
    sentence(refusal)


def test_a_server_that_falls_silent_is_a_sentence(tmp_path, monkeypatch):
    monkeypatch.setattr(downloads, "TIMEOUT_S", 0.1)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"http://127.0.0.1:{silent.getsockname()[1]}/file"
        with pytest.raises(UnavailableError, match="cannot reach .*timed out"):
            fetch(wanted(address), tmp_path)


def test_an_answer_that_is_no_http_is_a_sentence(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer():
            connection, _ = server.accept()
            with connection:
                connection.recv(1000)
                connection.sendall(b"SSH-2.0-OpenSSH\r\n\r\n")

        thread = threading.Thread(target=answer)
        thread.start()
        address = f"http://127.0.0.1:{server.getsockname()[1]}/file"
        with pytest.raises(UnavailableError, match="cannot reach"):
            fetch(wanted(address), tmp_path)
        thread.join()


@pytest.mark.parametrize("address", ["file:///etc/passwd", "ftp://host/file", "data:,x", "x", ""])
def test_only_addresses_of_the_web_are_asked(address, tmp_path):
    with pytest.raises(BadInputError, match="is no address of http or https"):
        fetch(wanted(address), tmp_path)


@pytest.mark.parametrize("location", ["file:///etc/passwd", "ftp://127.0.0.1/x", "gopher://x/"])
def test_a_redirection_elsewhere_is_not_followed(site, address, location, tmp_path):
    site.status, site.location = 302, location
    with pytest.raises(UnavailableError) as refusal:
        fetch(wanted(address), tmp_path)
    assert "redirect" in sentence(refusal).lower()


def test_a_redirection_from_https_to_http_is_not_followed():
    asked = urllib.request.Request("https://publisher.example/file")
    headers = http.client.HTTPMessage()
    with pytest.raises(UnavailableError, match="redirects to http://.*, which is not https"):
        downloads._Redirects().redirect_request(
            asked, io.BytesIO(), 302, "Found", headers, "http://publisher.example/file"
        )


def test_a_redirection_on_the_web_is_followed_and_resumed(site, address, tmp_path):
    moved = wanted(address.replace("/file", "/moved"))
    site.cut = 1000
    with pytest.raises(UnavailableError):
        fetch(moved, tmp_path)
    assert fetch(moved, tmp_path).read_bytes() == BODY
    assert site.asked[-1] == "bytes=1000-"


class Full(io.FileIO):
    """A file on a disk that has room for a thousand bytes more."""

    room = 1000

    def write(self, data):
        if len(data) > self.room:
            super().write(data[: self.room])
            raise OSError(28, os.strerror(28))
        return super().write(data)


def test_a_full_disk_is_a_sentence_and_the_next_goes_on(site, address, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(writing, "FileIO", Full)
        with pytest.raises(BadInputError, match=r"file\.bin\.part: No space left.*make room"):
            fetch(wanted(address), tmp_path)
    assert (tmp_path / "sub/file.bin.part").stat().st_size == 1000
    assert fetch(wanted(address), tmp_path).read_bytes() == BODY
    assert site.asked[-1] == "bytes=1000-"


def packed(members, mode="w:gz"):
    """A tar archive of names and contents; a content of type TarInfo stands for itself."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=mode) as archive:
        for name, content in members.items():
            info = tarfile.TarInfo(name) if isinstance(content, bytes) else content
            info.size = len(content) if isinstance(content, bytes) else 0
            archive.addfile(info, io.BytesIO(content) if isinstance(content, bytes) else None)
    return buffer.getvalue()


@pytest.mark.parametrize("mode", ["w", "w:gz"])
@pytest.mark.parametrize("prefix", ["lfw/", ""])
def test_an_archive_is_unpacked_under_its_name(site, address, mode, prefix, tmp_path):
    site.body = packed({f"{prefix}Ann/1.jpg": b"1", f"{prefix}Bob/1.jpg": b"2"}, mode)
    folder = fetch(wanted(address, site.body, unpack=True), tmp_path)
    assert left(tmp_path) == ["sub/file.bin/Ann/1.jpg", "sub/file.bin/Bob/1.jpg"]
    assert fetch(wanted(address, site.body, unpack=True), tmp_path) == folder
    assert len(site.asked) == 1


def link(kind, target):
    info = tarfile.TarInfo("lfw/link")
    info.type, info.linkname = kind, target
    return info


@pytest.mark.parametrize(
    "hostile",
    [
        {"../outside": b"1"},
        {"lfw/../../outside": b"1"},
        {"lfw/link": link(tarfile.SYMTYPE, "/etc/passwd")},
        {"lfw/link": link(tarfile.SYMTYPE, "../../outside")},
        {"lfw/link": link(tarfile.LNKTYPE, "../outside")},
        {"lfw/link": link(tarfile.CHRTYPE, "")},
    ],
)
def test_an_archive_that_leads_outside_is_refused_and_leaves_nothing(
    site, address, hostile, tmp_path
):
    site.body = packed({"lfw/1.jpg": b"1", **hostile})
    with pytest.raises(BadInputError, match="cannot be unpacked") as refusal:
        fetch(wanted(address, site.body, unpack=True), tmp_path)
    sentence(refusal)
    assert left(tmp_path) == ["sub/file.bin.part", "sub/file.bin.part.version"]


def test_what_is_no_archive_is_a_sentence(address, tmp_path):
    with pytest.raises(BadInputError, match="cannot be unpacked"):
        fetch(wanted(address, unpack=True), tmp_path)


def test_an_archive_that_found_no_room_is_not_downloaded_again(
    site, address, tmp_path, monkeypatch
):
    site.body = packed({"lfw/1.jpg": b"1"})

    def full(*_, **__):
        raise OSError(28, os.strerror(28), "1.jpg")

    with monkeypatch.context() as patch:
        patch.setattr(tarfile.TarFile, "extractfile", full)
        with pytest.raises(BadInputError, match="No space left"):
            fetch(wanted(address, site.body, unpack=True), tmp_path)
    assert left(tmp_path) == ["sub/file.bin.part", "sub/file.bin.part.version"]
    fetch(wanted(address, site.body, unpack=True), tmp_path)
    assert left(tmp_path) == ["sub/file.bin/1.jpg"]
    assert len(site.asked) == 1
