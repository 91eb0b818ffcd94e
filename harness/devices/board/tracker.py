"""Provides TVM's RPC tracker, which lends a lab's boards by key."""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Callable

from facebench.harness.compiler.tvm import import_tvm
from facebench.harness.devices.board.server import is_loopback, listen


def track(host: str, port: int, tell: Callable[[str], None]) -> None:
    """Run a tracker, in this process, until it ends.

    Raises:
        BadInputError: the address cannot be had.
    """
    import_tvm()
    # Not its `Tracker`, whose process outlives a killed parent and needs cloudpickle.
    from tvm.rpc import tracker

    # What it says of connections that it closes are tracebacks.
    tracker.logger.setLevel(logging.CRITICAL)
    logging.getLogger("tornado").setLevel(logging.CRITICAL)
    logging.getLogger("asyncio").setLevel(logging.CRITICAL)
    listening = listen(host, port)
    address = "{}:{}".format(*listening.getsockname()[:2])
    if not is_loopback(host):
        tell(
            f"warning: whoever reaches {address} can lend boards and offer one of theirs, as "
            "TVM's tracker has no passwords: listen on 127.0.0.1 and reach it through SSH"
        )
    asyncio.set_event_loop(asyncio.new_event_loop())
    running = tracker.TrackerServerHandler(listening, secrets.token_hex())
    tell(f"tracker listening on {address}")
    running.run()
