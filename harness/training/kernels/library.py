"""Builds the C code of this package for this machine, once, and loads it."""

from __future__ import annotations

import ctypes
from functools import cache as once
from pathlib import Path

from facebench.architectures.errors import UnavailableError
from facebench.harness.devices.emulator.crossbuild import native_library
from facebench.harness.machine.environment import identity
from facebench.harness.storage import cache

_SOURCE = Path(__file__).with_name("normalization.c")
_NAME = "kernels.so"
# Vectors of this machine's width; a product and a sum may round once.
_OPTIONS = ("-O3", "-ffp-contract=fast")
_WHOSE = {"x86_64": "-march=native", "aarch64": "-mcpu=native"}


@once
def kernels() -> ctypes.CDLL:
    """Return the library, whose functions the C file describes.

    Raises:
        UnavailableError: no compiler works here, or torch has no OpenMP that the code knows.
    """
    machine = identity()
    options = (*_OPTIONS, _WHOSE.get(machine["machine"], ""))
    if options[-1] == "":
        raise UnavailableError(f"training has no kernels of its own for {machine['machine']}")
    key = cache.digest(_SOURCE.read_text(), options, machine["cpu_model"], machine["cpu_features"])
    folder = cache.entry(
        "kernels", key, lambda made: native_library(_SOURCE, made / _NAME, options)
    )
    try:
        return ctypes.CDLL(str(folder / _NAME))
    except OSError as error:
        raise UnavailableError(f"the training kernels cannot be loaded: {error}") from error


@once
def lacking() -> str | None:
    """Return why there are no kernels here; None where there are."""
    try:
        kernels()
    except UnavailableError as error:
        return str(error)
    return None
