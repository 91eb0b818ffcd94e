"""Offers the command that sets the emulated device up."""

from __future__ import annotations

from pathlib import Path

import click

from facebench.harness.cli import options
from facebench.harness.cli.output import terminal
from facebench.harness.cli.output.progress import Bar
from facebench.harness.devices.emulator import setup


@click.command("setup-emulated")
@click.option(
    "--sysroot", type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="Folder with an aarch64 Linux and its usr/bin/python3.11. Default: Debian's packages.",
)  # fmt: skip
@click.option(
    "--ncnn", default="", metavar="VERSION",
    help="Count another ncnn than this machine's, such as 1.0.20230816: any with a wheel for "
    "aarch64 and Python 3.11, from 1.0.20221128 on.",
)  # fmt: skip
@options.as_json
def setup_emulated(sysroot: Path | None, ncnn: str, as_json: bool) -> None:
    """Set the emulated ARM device up: sysroots, aarch64 wheels, QEMU's plugin.

    No root is needed. What is there already stays; what was interrupted goes on.

    \b
    facebench device setup-emulated
    facebench device setup-emulated --sysroot /srv/debian-arm64
    facebench device setup-emulated --ncnn 1.0.20230816
    facebench device setup-emulated --json
    """
    emulated = setup.run(sysroot, Bar(), ncnn)
    if as_json:
        terminal.as_json({"folder": str(emulated.folder), "versions": emulated.versions})
    else:
        line = f"the emulated device is ready: {emulated.folder}"
        terminal.out.print(line, markup=False, highlight=False, soft_wrap=True)
