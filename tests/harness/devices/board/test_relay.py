"""The port that leads to a board's socket lets its user through, and no other."""

import os
import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from facebench.harness.devices import ssh
from facebench.harness.devices.board import relay
from facebench.harness.machine.processes import python_module

NOBODY = 65534

# What a board may say first, and all that it says: that it has another key.
MINE = struct.pack("<i", 0xFF271 + 2)

# Sends a word to a port as another user, and ends at once or waits for the answer.
AS_ANOTHER = """
import encodings.idna, os, socket, sys  # the last chance to read the library of Python
os.setuid(int(sys.argv[2]))
with socket.create_connection(("127.0.0.1", int(sys.argv[1])), 10) as connection:
    try:
        connection.sendall(b"mine")
        if sys.argv[3] == "waits":
            print(connection.recv(4))
    except OSError:
        print(b"")
"""


@pytest.fixture
def heard(tmp_path: Path) -> Iterator[list[bytes]]:
    """What comes to the board, which repeats it, at a socket named `s`."""
    said: list[bytes] = []
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / "s"))
        listening.listen()
        threading.Thread(target=_repeat, args=(listening, said), daemon=True).start()
        yield said


def _repeat(listening: socket.socket, said: list[bytes]) -> None:
    while True:
        try:
            connection, _ = listening.accept()
        except OSError:
            return
        said.append(connection.recv(4))
        connection.sendall(said[-1])
        connection.close()


@pytest.fixture
def port(tmp_path: Path, heard: list[bytes]) -> Iterator[int]:
    command = python_module(relay.__name__, str(tmp_path / "s"), "")
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        yield int(process.stdout.readline())
        process.kill()


def say(port: int) -> bytes:
    with socket.create_connection(("127.0.0.1", port), 10) as connection:
        connection.sendall(MINE)
        return connection.recv(4)


def test_this_user_gets_through_once(port: int, heard: list[bytes]) -> None:
    assert say(port) == MINE
    assert heard == [MINE]
    with pytest.raises(OSError, match="refused"):
        say(port)


@pytest.mark.skipif(os.getuid() != 0, reason="only root can be another user")
@pytest.mark.parametrize("how", ["waits", "leaves"])
def test_another_user_does_not(port: int, heard: list[bytes], how: str) -> None:
    for _ in range(5):
        words = [sys.executable, "-c", AS_ANOTHER, str(port), str(NOBODY), how]
        done = subprocess.run(words, capture_output=True, text=True, check=True)
        assert done.stdout.strip() in ("", "b''")
    assert say(port) == MINE
    assert heard == [MINE]


def test_the_socket_s_folder_is_this_user_s_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "ssh").write_text(
        f"#!{sys.executable}\nimport socket, sys, time\n"
        "near = sys.argv[sys.argv.index('-L') + 1].partition(':')[0]\n"
        "listening = socket.socket(socket.AF_UNIX); listening.bind(near); time.sleep(600)\n"
    )
    (tmp_path / "ssh").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    tunnel = ssh._tunnel("pi@another", None, 9090)
    assert Path(tunnel.folder.name).stat().st_mode & 0o777 == 0o700
    tunnel.process.close()
