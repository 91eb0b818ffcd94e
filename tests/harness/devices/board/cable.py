"""A connection that can be cut: as a program, `cable.py PORT MOST SILENTLY`.

It tells its own port, and cuts with every line that it reads. A client must not
be in the same process: TVM's holds Python's lock while it waits in a destructor.
"""

import contextlib
import socket
import sys
import threading


class Cable:
    """Leads to a port of this machine, until it is cut.

    Args:
        port: where it leads.
        most: bytes that clients may send before a connection is cut.
        silently: what comes after those is lost, and nobody told.
    """

    def __init__(self, port: int, most: int = sys.maxsize, silently: bool = False) -> None:
        self._to = port
        self._most = most
        self._silently = silently
        self._ends: list[socket.socket] = []
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listening.getsockname()[1])
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self) -> None:
        """End the connections that there are; others may come."""
        for end in self._ends:
            _shut(end)

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                near, _ = self._listening.accept()
                far = socket.create_connection(("127.0.0.1", self._to))
                self._ends += [near, far]
                for ends in ((near, far, self._most), (far, near, sys.maxsize)):
                    threading.Thread(target=self._lead, args=ends, daemon=True).start()

    def _lead(self, source: socket.socket, to: socket.socket, most: int) -> None:
        with contextlib.suppress(OSError):
            while most and (data := source.recv(min(most, 65536))):
                to.sendall(data)
                most -= len(data)
        if most or not self._silently:
            _shut(source)
            _shut(to)


def _shut(end: socket.socket) -> None:
    with contextlib.suppress(OSError):
        end.shutdown(socket.SHUT_RDWR)


if __name__ == "__main__":
    laid = Cable(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3] == "True")
    print(laid.port, flush=True)
    for _ in sys.stdin:
        laid.cut()
        print("cut", flush=True)
