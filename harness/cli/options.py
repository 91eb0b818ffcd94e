"""Provides options that several commands share."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any, TypeVar

import click

Command = TypeVar("Command", bound=Callable[..., Any])

as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON on standard output.")
data = click.option(
    "--data",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder of datasets and weights. Default: $FACEBENCH_DATA.",
)
threads = click.option("--threads", type=click.IntRange(1, 1024), default=1, show_default=True)
batch = click.option("--batch", type=click.IntRange(1, 1024), default=1, show_default=True)


device = click.option(
    "--device",
    default="local",
    show_default=True,
    metavar="D[,D]",
    help="Where: local, emulated:CORE, rpc://HOST:PORT, ssh://USER@HOST, tracker://HOST:PORT/KEY.",
)
target = click.option(
    "--target", default="", metavar="T", help="What TVM compiles for. Default: the device says."
)


def comma_list(text: str) -> list[str]:
    """Return the names in a comma-separated text."""
    return [name.strip() for name in text.split(",") if name.strip()]


def runtimes(text: str | None) -> list[str]:
    """Return the runtimes in a comma-separated text; none stands for all that are installed."""
    return [] if text is None or text.strip() == "all" else comma_list(text)


def gathered(
    argument: str, make: Callable[..., Any], *options: Callable[[Command], Command]
) -> Callable[[Command], Command]:
    """Return options whose values arrive as one argument, which is made of them.

    Args:
        argument: its name.
        make: makes it; its parameters are named as the options are.
        options: in the order in which help shows them.
    """
    names = list(inspect.signature(make).parameters)

    def decorate(command: Command) -> Command:
        @wraps(command)
        def call(**values: Any) -> Any:
            made = make(**{name: values.pop(name) for name in names})
            return command(**values, **{argument: made})

        decorated: Any = call
        for option in reversed(options):
            decorated = option(decorated)
        return decorated  # type: ignore[no-any-return]

    return decorate
