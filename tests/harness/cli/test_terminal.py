"""What comes from outside is shown, and obeyed by no terminal."""

import io
from pathlib import Path

import pytest
from rich.table import Table

from facebench.harness.cli.output import terminal
from tests.harness.command_line import facebench

# Clears the screen; sets the title; turns the direction; a C1 control; a bell.
EVIL = "a\x1b[2J\x1b]0;t\x07\u202eb\x9b2J\r"


def obeyed(text: str) -> list[str]:
    return [one for one in text if not one.isprintable() and one != "\n"]


@pytest.mark.parametrize("colour", [False, True])
def test_no_text_that_is_printed_is_an_escape(colour: bool) -> None:
    stream = io.StringIO()
    console = type(terminal.out)(file=stream, force_terminal=colour, no_color=True, width=200)
    table = Table(EVIL, title=EVIL)
    table.add_row(EVIL)
    console.print(EVIL, markup=False, highlight=False)
    console.print(table)
    assert "\x1b[2J" not in stream.getvalue()
    assert "\x1b]" not in stream.getvalue()
    if not colour:
        assert obeyed(stream.getvalue()) == []
    assert stream.getvalue().count("\ufffd[2J") == 4


def test_styles_of_ours_still_colour() -> None:
    stream = io.StringIO()
    console = type(terminal.out)(file=stream, force_terminal=True, color_system="standard")
    console.print("[red]slower[/red]")
    assert "\x1b[31mslower\x1b[0m" in stream.getvalue()


def test_a_name_between_colons_is_no_picture() -> None:
    stream = io.StringIO()
    console = type(terminal.out)(file=stream, width=200)
    table = Table("folder:eight:")
    table.add_row("[red]folder:phone: 93.33 %[/red]")
    console.print(table)
    console.print("folder:phone: 60 images")
    printed = stream.getvalue()
    assert (printed.count("folder:phone:"), printed.count("folder:eight:")) == (2, 1)


@pytest.mark.parametrize(
    "command",
    [
        ("report", EVIL),
        ("plan", f"{EVIL}.toml"),
        ("compare", EVIL, EVIL),
        ("latency", f"onnx:{EVIL}"),
        ("cost", EVIL),
        (EVIL,),
        ("list", f"--{EVIL}"),
        ("verify", "mobilefacenet", "--dataset", EVIL),
        ("card", EVIL),
    ],
)
def test_names_in_messages_are_shown(
    command: tuple[str, ...], capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert facebench(*command) == 2
    said = capfd.readouterr()
    assert obeyed(said.out + said.err) == []
