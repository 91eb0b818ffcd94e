"""Commands are imported when they are asked for, and listed without that."""

import subprocess
import sys
from pathlib import Path

import click
import pytest

from facebench.harness.cli.lazy import LazyCommand
from facebench.harness.cli.main import cli


@pytest.mark.parametrize("name", sorted(cli.commands))
def test_the_list_says_of_a_command_what_its_own_help_says(name: str) -> None:
    listed = cli.commands[name]
    assert isinstance(listed, LazyCommand)
    loaded = cli.get_command(click.Context(cli), name)
    assert loaded is not None
    assert loaded.name == name
    assert listed.get_short_help_str(1000) == loaded.get_short_help_str(1000)


@pytest.mark.parametrize(
    ("arguments", "unneeded"),
    [
        (["--help"], {"numpy", "rich", "torch", "facebench.harness.cli.options"}),
        (["list"], {"cv2", "scipy", "torch", "tvm", "facebench.harness.runs"}),
        (["run", "--help"], {"matplotlib", "torch", "tvm"}),
    ],
)
def test_only_what_is_needed_is_imported(arguments: list[str], unneeded: set[str]) -> None:
    code = (
        "import sys\n"
        "from facebench.harness.cli.main import cli\n"
        f"cli.main({arguments}, standalone_mode=False)\n"
        "print(*sys.modules, file=sys.stderr)\n"
    )
    command = [sys.executable, "-c", code]
    for _ in range(2):  # the first may look up what is known from then on
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout
    assert not unneeded & set(done.stderr.split())


def test_a_file_of_onnx_is_counted_without_torch(tiny_onnx: Path) -> None:
    code = (
        "import sys\n"
        "from facebench.harness.cli.main import cli\n"
        f"cli.main(['cost', {f'onnx:{tiny_onnx}'!r}], standalone_mode=False)\n"
        "print(*sys.modules, file=sys.stderr)\n"
    )
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "tiny.onnx" in done.stdout
    assert "torch" not in done.stderr.split()


def test_a_process_that_times_waits_for_nothing_that_it_does_not_need() -> None:
    code = (
        "import sys\n"
        "import facebench.harness.runs.worker as worker\n"
        "for known in (worker.MEASURES, worker.RUNTIMES, worker.DEVICES):\n"
        "    known.names()\n"
        "print(*sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"matplotlib", "rich", "scipy", "torch", "tvm"} & set(done.stdout.split())
