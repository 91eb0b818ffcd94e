"""Provides a lab of boards behind TVM's RPC tracker: `tracker://host:port/key`."""

from __future__ import annotations

from functools import cache

from facebench.architectures.errors import BadInputError
from facebench.harness.compiler.tvm import import_tvm
from facebench.harness.devices.board import trackers
from facebench.harness.devices.board.client import connect
from facebench.harness.devices.board.device import Board, BoardDevice, address
from facebench.harness.devices.registry import DEVICES, Device


@DEVICES.family("tracker", "a lab: all boards that a tracker of TVM's lends under one key")
@cache
def _tracker(rest: str) -> Device:
    where, slash, key = rest.removeprefix("//").partition("/")
    if not slash or not key:
        raise BadInputError(f"device tracker:{rest} is not valid: write tracker://HOST:PORT/KEY")
    host, port = address(where, "device tracker://")

    def lend() -> Board:
        # It takes a while, and a board that is lent and not used within seconds is taken back.
        import_tvm()
        board = trackers.request(host, port, key)
        return connect(board.host, board.port, board.key, f"{key} at {board.host}:{board.port}")

    return BoardDevice(f"tracker:{rest}", lend, lambda: trackers.boards(host, port)[key])
