"""Checks that this machine executes code: its processor the instructions, its disk the file."""

from __future__ import annotations

import os
import platform
from collections.abc import Collection
from pathlib import Path

from facebench.architectures.errors import RefusedError, UnavailableError

# Features that hold vector code up, where LLVM and the kernel have one name for them but for
# the kernel's underscores.
_VECTORS = frozenset(
    {"avx", "avx2", "bmi2", "f16c", "fma"}
    | {"avx512bw", "avx512cd", "avx512dq", "avx512f", "avx512vl", "avx512vnni"}
)


def require(features: Collection[str], what: str) -> None:
    """See that this machine executes code made with some features.

    Args:
        features: LLVM's names; only those of x86-64's vectors are looked at.
        what: the code, for the message.

    Raises:
        RefusedError: it would end in an illegal instruction.
    """
    missing = sorted(_VECTORS & set(features) - _flags())
    if missing:
        raise RefusedError(
            f"{what} is code with {', '.join(missing)}, which this machine's processor does not "
            "execute: use --target host, or x86-64-v3 where it has AVX2"
        )


def require_executable(path: Path) -> None:
    """See that this machine runs code that lies in a file.

    Raises:
        UnavailableError: its file system is mounted `noexec`.
    """
    if os.statvfs(path).f_flag & os.ST_NOEXEC:
        raise UnavailableError(
            f"{path} lies on a file system that is mounted noexec, so that code in it does not "
            "run: set FACEBENCH_CACHE to a folder on another"
        )


def executes(features: Collection[str]) -> bool:
    """Say whether this machine's processor has features of x86-64's vectors, by LLVM's names."""
    return platform.machine() == "x86_64" and set(features) <= _flags()


def _flags() -> frozenset[str]:
    """Features that the kernel lists; of another architecture they have other names."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return _VECTORS  # nothing is known, so nothing is refused
    found = [line.partition(":")[2].split() for line in lines if line.startswith("flags")]
    return frozenset(name.replace("_", "") for name in found[0]) if found else _VECTORS
