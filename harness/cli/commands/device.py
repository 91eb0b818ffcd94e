"""Commands on devices: serve this machine as one, and see what there is."""

from __future__ import annotations

import signal
import sys
from dataclasses import asdict

import click

from facebench.harness.cli import options
from facebench.harness.cli.commands.device_setup import setup_emulated
from facebench.harness.cli.output import terminal
from facebench.harness.devices.board.device import address
from facebench.harness.devices.registry import DEVICES


@click.group()
def device() -> None:
    """Boards, and an emulated one: where networks run.

    \b
    facebench device setup-emulated              once, for ARM figures without a board
    facebench device serve                       on a board
    facebench device list ssh://pi@raspberrypi   what a device says of itself
    """


device.add_command(setup_emulated)


@device.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--port", type=click.IntRange(0, 65535), default=9090, show_default=True,
    help="Port to listen on; 0 for any that is free.",
)  # fmt: skip
@click.option(
    "--key", default="", envvar="FACEBENCH_BOARD_KEY",
    help="Under which the tracker lends this board; without a tracker, what clients must ask for.",
)  # fmt: skip
@click.option("--tracker", metavar="HOST:PORT", help="A tracker to offer this board to.")
@click.option("--emulated", metavar="CORE", help="Serve an emulated core instead.")
def serve(host: str, port: int, key: str, tracker: str | None, emulated: str | None) -> None:
    """Serve this machine as a board, until it is interrupted.

    It listens on this machine alone; reach it through SSH, with
    --device ssh://USER@HOST on the other side.

    \b
    facebench device serve
    facebench device serve --tracker lab:9190 --key raspberrypi-4
    facebench device serve --emulated cortex-a72 --port 9091
    """
    from facebench.harness.devices.board.launcher import HereLauncher
    from facebench.harness.devices.board.server import serve as serve_board
    from facebench.harness.devices.emulator.launcher import EmulatedLauncher

    # A server that is told to stop has not failed.
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(0))
    launcher = EmulatedLauncher(emulated) if emulated else HereLauncher()
    at = address(tracker, "--tracker") if tracker else None
    try:
        serve_board(launcher, host, port, key, at, terminal.say)
    except KeyboardInterrupt:
        sys.exit(0)


@device.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", type=click.IntRange(0, 65535), default=9190, show_default=True)
def tracker(host: str, port: int) -> None:
    """Lend a lab's boards: each is used by one run at a time.

    \b
    facebench device tracker
    facebench run --device tracker://127.0.0.1:9190/raspberrypi-4
    """
    from facebench.harness.devices.board.tracker import track

    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(0))
    try:
        track(host, port, terminal.say)
    except KeyboardInterrupt:
        sys.exit(0)


@device.command("list")
@click.argument("names", nargs=-1, metavar="[DEVICE]...")
@options.as_json
def list_(names: tuple[str, ...], as_json: bool) -> None:
    """List kinds of devices; or what devices say of themselves.

    \b
    facebench device list
    facebench device list local emulated:cortex-a72 rpc://192.168.1.7:9090 --json
    """
    if not names:
        kinds = {"local": "this machine", **DEVICES.families()}
        rows = [{"device": name, "about": about} for name, about in kinds.items()]
    else:
        rows = [{"device": n, "kind": DEVICES[n].kind, **asdict(DEVICES[n].facts())} for n in names]
    if as_json:
        terminal.as_json(rows)
    else:
        terminal.out.print(terminal.rows(rows))
