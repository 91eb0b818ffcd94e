"""Provides the Python packages of the emulated machine: wheels for aarch64, installed by this
one's pip.
"""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

from facebench.architectures.errors import UnavailableError
from facebench.harness.devices.emulator import programs
from facebench.harness.machine import environment

# As they are here, so that both machines run the same release.
_SAME = ("numpy", "ncnn", "onnxruntime", "psutil", "platformdirs")

# What runtimes need beside these that are installed here on demand.
EXTRAS = {"litert": ("ai-edge-litert",), "openvino": ("openvino",)}

# Up to the C library of Debian 12, whose files the emulated machine has.
_PLATFORMS = (
    *(f"manylinux_2_{minor}_aarch64" for minor in range(36, 16, -1)),
    "manylinux2014_aarch64",
)


def wanted(ncnn: str = "") -> dict[str, str]:
    """Return the version of each package that the emulated machine is to have.

    Args:
        ncnn: another version of it than this machine's.

    Raises:
        UnavailableError: a package is not installed here, so its version is not known.
    """
    versions = {name: environment.version(name) or "" for name in _SAME}
    missing = [name for name, version in versions.items() if not version]
    if missing:
        raise UnavailableError(
            f"{missing[0]} is not installed: 'pip install {missing[0]}' installs it"
        )
    return versions | ({"ncnn": ncnn} if ncnn else {})


def extra(runtime: str) -> dict[str, str]:
    """Return the versions of the packages of a runtime of `EXTRAS`; empty where it is not
    installed here.
    """
    versions = {name: environment.version(name) or "" for name in EXTRAS[runtime]}
    return versions if all(versions.values()) else {}


def install(packages: dict[str, str], folder: Path) -> dict[str, str]:
    """Install packages for aarch64 and Python 3.11 into a new folder.

    pip's own settings (an index, a proxy) hold here as well.

    Returns:
        The packages' versions.

    Raises:
        UnavailableError: there is no pip, no network, or no such wheel.
    """
    if importlib.util.find_spec("pip") is None:
        raise UnavailableError(
            f"pip is not installed for {sys.executable}: '{sys.executable} -m ensurepip' "
            "installs it"
        )
    platforms = [word for platform in _PLATFORMS for word in ("--platform", platform)]
    command: list[str | Path] = [
        *(sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"),
        *("--no-deps", "--only-binary=:all:", *platforms),
        *("--python-version", "3.11", "--implementation", "cp", "--target", folder),
        *(f"{name}=={version}" for name, version in packages.items()),
    ]
    programs.run(command, "check the network, and run the same command again")
    return packages
