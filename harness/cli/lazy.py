"""A group of commands whose modules are imported only when one of them is asked for."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import click


class LazyCommand(click.Command):
    """What is known of a command before its module is imported.

    Args:
        name: as it is typed.
        where: the module and the command in it, `package.module:command`.
        about: the first sentence of its help, which a group's help shows.
    """

    def __init__(self, name: str, where: str, about: str) -> None:
        super().__init__(name, help=about)
        self._where = where

    def load(self) -> click.Command:
        """Import the command."""
        module, _, name = self._where.partition(":")
        command: click.Command = getattr(import_module(module), name)
        return command


class PipeClosed(BaseException):
    """Whoever read our output reads no more, such as `head`; like SystemExit, it is no error."""


class LazyGroup(click.Group):
    """Lists its commands without importing them, and imports the one that runs."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command; click would leave with exit code 1 where nobody reads its output."""
        try:
            return super().invoke(ctx)
        except BrokenPipeError as error:
            raise PipeClosed from error

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Find a command by its name, loaded."""
        found = super().get_command(ctx, cmd_name)
        return found.load() if isinstance(found, LazyCommand) else found

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands as a plain group does, which loads none of them."""
        click.Group(commands=self.commands).format_commands(ctx, formatter)
