"""What can be counted exactly is what the baseline in results/baselines/ci says."""

import re
import tomllib
from pathlib import Path

import pytest

from facebench.architectures.registry import mobile_names
from facebench.harness.devices.emulator.setup import Emulated
from tests.harness.command_line import facebench
from tests.harness.devices.emulator.conftest import emulated, emulated_here  # noqa: F401
from tests.places import ROOT

Output = pytest.CaptureFixture[str]


COUNTED = tomllib.loads((ROOT / ".ci" / "instructions.toml").read_text())["networks"]


def require_unchanged(
    plan: str, networks: list[str], measures: str, folder: Path, capfd: Output
) -> None:
    """Run a plan of CI's for some of its networks and compare the records with the baseline's."""
    text = (ROOT / ".ci" / plan).read_text()
    path = folder / plan
    path.write_text(re.sub("(?m)^networks = .*$", f"networks = {networks}", text))
    assert facebench("run", path, "-o", folder / "out") == 0, capfd.readouterr().err
    compared = ("compare", "baseline:ci", folder / "out", "--measure", measures, "--any-change")
    assert facebench(*compared) == 0, capfd.readouterr().out


@pytest.mark.parametrize(
    "networks",
    [
        pytest.param(
            mobile_names()[first::12], marks=pytest.mark.slow if first else (), id=f"from {first}"
        )
        for first in range(12)
    ],
)
def test_counts_of_every_network_are_those_of_the_baseline(
    networks: list[str], tmp_path: Path, capfd: Output
) -> None:
    require_unchanged("counts.toml", networks, "cost,export", tmp_path, capfd)


@pytest.mark.parametrize(
    "network",
    [pytest.param(name, marks=pytest.mark.slow if i else ()) for i, name in enumerate(COUNTED)],
)
def test_instructions_are_those_of_the_baseline(
    network: str,
    emulated_here: Emulated,  # noqa: F811
    tmp_path: Path,
    capfd: Output,
) -> None:
    require_unchanged("instructions.toml", [network], "instructions", tmp_path, capfd)
