"""The commands that the page and the workflow name are commands that there are."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import click
import pytest

from facebench.harness.cli.main import cli
from tests.places import ROOT

DOCS = ROOT / "docs"
PAGES = (DOCS / "regressions.md", DOCS / "workflows" / "facebench.yml")


def commands(page: Path) -> list[str]:
    # A folded line of YAML goes on until the next key.
    text = re.sub(r"run: >\n\s+(.*)\n\s+(--.*)\n", r"\1 \2\n", page.read_text())
    return re.findall(r"(?:^|[`(]| )(facebench [a-z][^`\n|;&)>]*)", text)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_command_parses(page: Path) -> None:
    found = [one for one in commands(page) if one.split()[1] in cli.commands]
    assert len(found) >= 3
    for text in found:
        command: click.Command = cli
        words = shlex.split(text)[1:]
        while isinstance(command, click.Group):
            # Asked for as a user does: a group imports the commands that it lists by then.
            found_one = command.get_command(click.Context(command), words.pop(0))
            assert found_one is not None
            command = found_one
        command.make_context(str(command.name), words)
