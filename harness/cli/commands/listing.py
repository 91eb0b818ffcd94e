"""The command that lists what there is to choose from: list."""

from __future__ import annotations

from pathlib import Path

import click

from facebench.harness.cli import catalogue, options
from facebench.harness.cli.output import terminal


@click.command("list")
@click.argument(
    "kind",
    type=click.Choice(list(catalogue.KINDS)),
    required=False,
)
@options.data
@options.as_json
def list_(kind: str | None, data: Path | None, as_json: bool) -> None:
    """List what there is to choose from.

    \b
    facebench list
    facebench list runtimes --json
    """
    found = catalogue.entries(kind, data)
    if as_json:
        terminal.as_json(found[kind] if kind else found)
    else:
        terminal.catalogue(found)
