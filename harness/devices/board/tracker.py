"""TVM's RPC tracker, which lends a lab's boards by key."""

from __future__ import annotations

import signal
from collections.abc import Callable

from facebench.architectures.errors import UnavailableError
from facebench.harness.compiler.tvm import import_tvm


def track(host: str, port: int, tell: Callable[[str], None]) -> None:
    """Run a tracker until the process ends.

    Raises:
        UnavailableError: the address is taken.
    """
    import_tvm()
    from tvm.rpc.tracker import Tracker

    try:
        # It would take the next free port, which nobody would find.
        running = Tracker(host=host, port=port, port_end=port + 1, silent=True)
    except Exception as error:  # TVM raises what its sockets throw
        raise UnavailableError(f"cannot listen on {host}:{port}: choose another --port") from error
    tell(f"tracker listening on {host}:{running.port}")
    try:
        signal.pause()
    finally:
        running.terminate()
