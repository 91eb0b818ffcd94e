"""The command that says what facebench finds here and what it lacks."""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path

import click

from facebench.harness.cli import options
from facebench.harness.cli.commands.runs import DEFAULT_OUT
from facebench.harness.cli.output import doctor_table, terminal
from facebench.harness.runs.doctor.checks import examine
from facebench.harness.runs.doctor.observation import Place


@click.command()
@options.data
@click.option(
    "--devices", metavar="DEVICE[,DEVICE]", default="",
    help="Devices to connect to; without it nothing outside this machine is asked.",
)  # fmt: skip
@options.as_json
def doctor(data: Path | None, devices: str, as_json: bool) -> None:
    """Say what is installed, what is missing for what, and what mends it.

    The exit code is 1 where facebench cannot run without what is missing. An issue is best
    reported with what this prints.

    \b
    facebench doctor
    facebench doctor --devices ssh://pi@raspberrypi,emulated:cortex-a72
    facebench doctor --json | jq '.[] | select(.state != "ok")'
    """
    found = examine(Place(data, DEFAULT_OUT, tuple(options.comma_list(devices))))
    if as_json:
        terminal.as_json(
            [
                {"group": one.check.group, **asdict(one.seen), "serves": one.check.serves}
                | {"required": one.check.required}
                for one in found
            ]
        )
    else:
        doctor_table.show(found)
    if any(one.fatal for one in found):
        sys.exit(1)
