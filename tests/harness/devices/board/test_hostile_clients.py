"""Clients that mean harm to a board's server, or to a tracker, and what becomes of good ones."""

import contextlib
import socket
import struct
import subprocess
import sys
import time
import zlib
from types import SimpleNamespace

import psutil
import pytest

from facebench.architectures.errors import LostError, UnavailableError
from facebench.harness.devices import emulated
from facebench.harness.devices.board import client, dialling, trackers
from facebench.harness.devices.board.client import connect
from tests.harness.devices.board.conftest import Serve, facebench_device

MAGIC, TRACKER_MAGIC = struct.pack("<i", 0xFF271), struct.pack("<i", 0x2F271)


def greeting(key: bytes, length: int | None = None) -> bytes:
    return MAGIC + struct.pack("<i", len(key) if length is None else length) + key


HOSTILE = {
    "nothing": b"",
    "one byte": b"q",
    "another protocol": b"GET / HTTP/1.1\r\n\r\n",
    "no key": greeting(b"", 0),
    "length -1": greeting(b"", -1),
    "length 2 GB": greeting(b"client:", 2**31 - 1),
    "not UTF-8": greeting(b"\xff\xfe\xfd"),
    "blank key": greeting(b"   "),
    "bad timeout": greeting(b"client: -timeout=soon"),
    "timeout that is no number": greeting(b"client: -timeout=nan"),
    "timeout without end": greeting(b"client: -timeout=1e300"),
    "another key": greeting(b"client:another"),
}


def send(port: int, data: bytes) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", port), 10)
    connection.sendall(data)
    return connection


def test_no_greeting_ends_the_server_or_keeps_a_client_out(serve: Serve) -> None:
    server = serve("serve", "--port", "0")
    for data in HOSTILE.values():
        send(server.port, data).close()
    with contextlib.ExitStack() as stack:
        # These stay, and say no more.
        for data in [*HOSTILE.values(), *[b""] * 66, *[b"q"] * 66]:
            stack.enter_context(send(server.port, data))
        # Whoever connects may hold sockets of other kinds.
        for other in socket.socketpair():
            stack.enter_context(other)
        began = time.monotonic()
        board = connect("127.0.0.1", server.port)
        assert board.describe().kind == "measured"
        assert time.monotonic() - began < 30
        board.close()
    assert server.process.poll() is None


def test_a_silent_client_is_shown_out(serve: Serve) -> None:
    server = serve("serve", "--port", "0")
    with send(server.port, b"q") as silent:
        silent.settimeout(30)
        assert silent.recv(1) == b""


def test_a_key_in_a_variable_is_demanded(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dialling, "RETURN_S", 0.0)
    monkeypatch.setenv("FACEBENCH_BOARD_KEY", "mine")
    port = serve("serve", "--port", "0").port
    with pytest.raises(UnavailableError, match="another key"):
        connect("127.0.0.1", port)
    board = connect("127.0.0.1", port, "mine")
    assert board.describe().kind == "measured"
    board.close()


def test_an_emulated_core_s_server_has_a_key_that_nobody_can_see_or_guess(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    started, asked = [], []

    class Process:
        def __init__(self, command: list[str], *, piped: bool, environment: dict[str, str]) -> None:
            started.append((command, environment["FACEBENCH_BOARD_KEY"]))

        def signal(self, number: int) -> None: ...
        def ended(self) -> None: ...
        def close(self) -> None: ...

    def connected(host: str, port: int, key: str, *rest: object, **options: object) -> None:
        asked.append(key)
        raise UnavailableError("seen")

    launcher = SimpleNamespace(require=lambda runtime: None)
    monkeypatch.setattr(emulated.EmulatedDevice, "_launcher", lambda self: launcher)
    monkeypatch.setattr(emulated, "ChildProcess", Process)
    monkeypatch.setattr(emulated, "_port", lambda server: 1)
    monkeypatch.setattr(emulated, "connect", connected)
    for _ in range(2):
        with pytest.raises(UnavailableError, match="seen"):
            emulated.EmulatedDevice("cortex-a72").open("ncnn", None, 1)
    keys = [key for _, key in started]
    assert keys == asked
    assert len(set(keys)) == 2
    assert all(len(key) == 32 and key not in " ".join(words) for words, key in started)


def test_a_tracker_outlives_what_it_is_sent_and_not_its_own_end(serve: Serve) -> None:
    tracker = serve("tracker", "--port", "0")
    messages = [b"\xff", b"[]", b"{}", b"[2]", b'[3, "k", 5]', b'[4, "k", "", "x"]', b"[" * 10_000]
    frames = [TRACKER_MAGIC + struct.pack("<i", len(m)) + m for m in messages]
    lengths = [TRACKER_MAGIC + struct.pack("<i", n) for n in (0, -1, 2**31 - 1)]
    with contextlib.ExitStack() as stack:
        for data in [b"", b"q", b"GET / HTTP/1.1\r\n\r\n", *lengths, *frames, *[b""] * 66]:
            stack.enter_context(send(tracker.port, data))
        assert trackers.boards("127.0.0.1", tracker.port) == {}
    assert psutil.Process(tracker.process.pid).children(recursive=True) == []
    tracker.kill()
    with pytest.raises(ConnectionRefusedError):
        send(tracker.port, b"")


def test_a_tracker_needs_no_cloudpickle(serve: Serve) -> None:
    code = (
        "import sys; sys.modules['cloudpickle'] = None\n"
        "sys.argv = ['facebench', 'device', 'tracker', '--port', '0']\n"
        "from facebench.harness.cli.main import main; main()"
    )
    tracker = serve(command=[sys.executable, "-c", code])
    assert trackers.boards("127.0.0.1", tracker.port) == {}


@pytest.mark.parametrize(("command", "mend"), [("serve", "--device ssh://"), ("tracker", "SSH")])
def test_both_warn_where_others_reach_them(serve: Serve, command: str, mend: str) -> None:
    started = serve(command, "--host", "0.0.0.0", "--port", "0")
    (warning,) = [line for line in started.said if line.startswith("warning: ")]
    assert "has no passwords" in warning
    assert mend in warning


def test_a_tracker_s_port_that_is_taken_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        command = facebench_device("tracker", "--port", port)
        done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 2
    assert f"cannot serve on 127.0.0.1:{port}" in done.stderr


def test_a_board_s_reply_unpacks_to_a_bounded_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "_LARGEST", 1000)
    assert client.unpacked(zlib.compress(bytes(1000)), "b") == bytes(1000)
    for hostile in (zlib.compress(bytes(1001)), zlib.compress(b"x")[:-1], b"no", b""):
        with pytest.raises(LostError, match="board b: its counters are"):
            client.unpacked(hostile, "b")
