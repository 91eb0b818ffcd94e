"""A board that means harm to whoever asks it: as a program, `hostile_board.py HOW`.

It tells its port, then each answer that it got to a call of its own: a client gives none.
"""

import contextlib
import socket
import struct
import sys

MAGIC = struct.pack("<i", 0xFF271)
NONE = struct.pack("<ii", 1, 0)

# TVM's codes: it asks for a session to be made, for a function, for bytes at an address.
INIT, CALL, RETURN, EXCEPTION, READ, ACK, FIND = 2, 3, 4, 5, 6, 8, 9


def message(code: int, body: bytes = b"") -> bytes:
    return struct.pack("<Qi", 4 + len(body), code) + body


def text(value: bytes, length: int | None = None) -> bytes:
    return struct.pack("<iQ", 8, len(value) if length is None else length) + value


_VERSION = struct.pack("<Q", 5) + b"0.8.0"
_NOTHING = struct.pack("<i", 0)

# What it says in place of an answer, by name.
ANSWERS = {
    "more than is taken": struct.pack("<Qi", 700_000_000, RETURN),
    "more than there is": struct.pack("<Qi", 2**62, RETURN),
    "a session, please": message(INIT, _VERSION + _NOTHING),
    "a function, please": message(INIT, _VERSION + _NOTHING)
    + message(FIND, struct.pack("<i", 1) + text(b"ffi.ModuleLoadFromFile")),
    "bytes at an address": message(READ, bytes(64)),
    "a call of an address": message(CALL, struct.pack("<Qi", 0x1000, 0)),
    "an unknown code": message(77),
    "a text without end": message(RETURN, struct.pack("<i", 1) + text(b"", 2**40)),
    "values without end": message(RETURN, struct.pack("<i", 2**31 - 1)),
    "no values": message(RETURN, _NOTHING),
    "fewer than none": message(RETURN, struct.pack("<i", -1)),
    "an address of a function": message(RETURN, struct.pack("<iiQ", 1, 68, 0x1000)),
    "an address of an object": message(RETURN, struct.pack("<iiIQ", 1, 115, 115, 0x1000)),
    "a tensor without end": message(
        RETURN,
        struct.pack("<iiqiQiiiBBH", 3, 1, 70, 7, 0x1000, 1, 0, 1, 2, 32, 1)
        + struct.pack("<qQiQ", 2**50, 0, 4, 0x1000),
    ),
    "an exception without a text": message(EXCEPTION, NONE),
    "a copy that nobody asked for": message(ACK, b"x"),
    "a long reason": message(EXCEPTION, struct.pack("<i", 1) + text(b"\x1b[2J" * 2**20)),
}

GREETINGS = {
    "no greeting": b"SSH-2.0-OpenSSH_9.2\r\n",
    "a key below nothing": MAGIC + struct.pack("<i", -1),
    "a key of 2 GB": MAGIC + struct.pack("<i", 2**31 - 1),
}


def receive(client: socket.socket) -> bytes:
    """One message of a client; empty where it is gone."""
    with contextlib.suppress(OSError, struct.error):
        (size,) = struct.unpack("<Q", client.recv(8, socket.MSG_WAITALL))
        return client.recv(size, socket.MSG_WAITALL)
    return b""


def harm(client: socket.socket, how: str) -> None:
    """Answer one client."""
    _, length = struct.unpack("<ii", client.recv(8, socket.MSG_WAITALL))
    client.recv(length, socket.MSG_WAITALL)
    if how in GREETINGS:
        client.sendall(GREETINGS[how])
        client.sendall(bytes(2**16))
        return
    client.sendall(MAGIC + struct.pack("<i", 6) + b"server")
    receive(client)
    client.sendall(message(RETURN, NONE))  # to its request for a session
    receive(client)
    client.sendall(ANSWERS[how])
    if how.startswith("more"):
        for _ in range(700):
            client.sendall(bytes(10**6))
    while said := receive(client):
        if said[:4] in (struct.pack("<i", RETURN), struct.pack("<i", EXCEPTION)):
            print("it obeyed", said[:40], flush=True)


def main() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        print(listening.getsockname()[1], flush=True)
        while True:
            client, _ = listening.accept()
            with contextlib.suppress(OSError, struct.error), client:
                harm(client, sys.argv[1])


if __name__ == "__main__":
    main()
