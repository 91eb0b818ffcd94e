"""Provides a board whose server listens on the network: `rpc://host:port`."""

from __future__ import annotations

from functools import cache, partial

from facebench.harness.devices.board.client import connect
from facebench.harness.devices.board.device import BoardDevice, address
from facebench.harness.devices.registry import DEVICES, Device


@DEVICES.family("rpc", "a board that runs 'facebench device serve', or TVM's RPC server")
@cache
def _rpc(rest: str) -> Device:
    host, port = address(rest.removeprefix("//"), "device rpc://")
    return BoardDevice(f"rpc:{rest}", partial(connect, host, port))
