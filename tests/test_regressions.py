"""What can be counted exactly is what the baseline in results/baselines/ci says."""

from pathlib import Path

import pytest

from facebench.harness.devices.emulator.setup import Emulated
from tests.harness.command_line import facebench
from tests.harness.devices.emulator.conftest import emulated, emulated_here  # noqa: F401
from tests.places import ROOT

Output = pytest.CaptureFixture[str]


def require_unchanged(plan: str, measures: str, folder: Path, capfd: Output) -> None:
    assert facebench("run", ROOT / ".ci" / plan, "-o", folder) == 0, capfd.readouterr().err
    compared = ("compare", "baseline:ci", folder, "--measure", measures, "--any-change")
    assert facebench(*compared) == 0, capfd.readouterr().out


def test_counts_of_every_network_are_those_of_the_baseline(tmp_path: Path, capfd: Output) -> None:
    require_unchanged("counts.toml", "cost,export", tmp_path, capfd)


def test_instructions_are_those_of_the_baseline(
    emulated_here: Emulated,  # noqa: F811
    tmp_path: Path,
    capfd: Output,
) -> None:
    require_unchanged("instructions.toml", "instructions", tmp_path, capfd)
