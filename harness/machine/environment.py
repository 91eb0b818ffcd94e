"""Captures the machine and the versions that a figure is obtained with."""

from __future__ import annotations

import importlib.metadata
import os
import platform
from collections import Counter
from functools import cache
from pathlib import Path
from typing import Any

import psutil

from facebench.harness.machine.facts import MACHINE
from facebench.harness.machine.processes import THREAD_VARIABLES
from facebench.harness.storage.cache import digest

# What a figure can depend on. A package that is not installed is left out.
PACKAGES = (
    "ai-edge-litert",
    "apache-tvm",
    "apache-tvm-ffi",
    "executorch",
    "ncnn",
    "numpy",
    "onnx",
    "onnxruntime",
    "opencv-python-headless",
    "mnn",
    "openvino",
    "pnnx",
    "torch",
)

_CPUS = Path("/sys/devices/system/cpu")
_UNREADABLE = "not readable"

_SIMD = {
    "asimd", "asimddp", "asimdhp", "avx", "avx2", "avx512_bf16", "avx512_vnni", "avx512bw",
    "avx512f", "avx512vl", "avx_vnni", "f16c", "fma", "i8mm", "neon", "sse4_2", "sve", "vfpv4",
}  # fmt: skip


def cores() -> int:
    """Return cores that this process may use."""
    return len(os.sched_getaffinity(0))


def capture() -> dict[str, Any]:
    """Return the environment now, flat, by name.

    Loads and frequencies are of the moment; everything in `identity` is
    expected to stay.
    """
    load = os.getloadavg()[0]
    return {
        **identity(),
        "host": platform.node(),
        "load_1min": round(load, 2),
        "memory_available_bytes": psutil.virtual_memory().available,
        "affinity": _ranges(os.sched_getaffinity(0)),
        **_core_kinds(os.sched_getaffinity(0)),
        "governor": _sysfs("cpu0/cpufreq/scaling_governor"),
        "turbo": _turbo(),
        "smt": _sysfs("smt/control"),
        **{name.lower(): os.environ[name] for name in THREAD_VARIABLES if name in os.environ},
    }


def identity() -> dict[str, Any]:
    """Return the part of the environment that must agree between compared records."""
    info = _cpuinfo()
    features = sorted(_SIMD & set(info.get("flags", info.get("features", "")).split()))
    return {
        "cpu_model": info.get("model name", platform.processor() or platform.machine()),
        "cpu_features": " ".join(features),
        "cores": psutil.cpu_count(logical=False) or os.cpu_count(),
        "threads_visible": cores(),
        "memory_bytes": psutil.virtual_memory().total,
        "machine": platform.machine(),
        "kernel": platform.release(),
        "python": platform.python_version(),
        **versions(),
    }


def versions() -> dict[str, str]:
    """Return versions of the packages a figure can depend on, where they are installed."""
    return {name: found for name in PACKAGES if (found := version(name)) is not None}


@cache
def version(package: str) -> str | None:
    """Return the installed version of a package, found without importing it."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def machine_key() -> str:
    """Hash of what makes a time on this machine comparable with another one on it."""
    kept = identity()
    return digest([kept[name] for name in (*MACHINE, "python")])


def _cpuinfo() -> dict[str, str]:
    """Return the first value of each key of /proc/cpuinfo, keys in lower case."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return {}
    found: dict[str, str] = {}
    for line in lines:
        name, _, value = line.partition(":")
        found.setdefault(name.strip().lower(), value.strip())
    return found


def _ranges(numbers: set[int]) -> str:
    """Numbers as the kernel lists them: `0-2,8`."""
    runs: list[list[int]] = []
    for number in sorted(numbers):
        if runs and number == runs[-1][-1] + 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    return ",".join(f"{run[0]}-{run[-1]}" if len(run) > 1 else f"{run[0]}" for run in runs)


def _core_kinds(cpus: set[int]) -> dict[str, str]:
    """Cores by the capacity that the kernel tells, `4 x 446, 4 x 1024`; or nothing."""
    found = Counter(_sysfs(f"cpu{number}/cpu_capacity") for number in cpus)
    found.pop(_UNREADABLE, None)
    kinds = sorted(found.items(), key=lambda one: int(one[0]))
    return {"core_kinds": ", ".join(f"{count} x {kind}" for kind, count in kinds)} if kinds else {}


def _turbo() -> str:
    """Return whether clocks may rise above the nominal one: `on`, `off` or `not readable`."""
    for name, on in (("intel_pstate/no_turbo", "0"), ("cpufreq/boost", "1")):
        value = _sysfs(name)
        if value in ("0", "1"):
            return "on" if value == on else "off"
    return _UNREADABLE


def _sysfs(name: str) -> str:
    try:
        return (_CPUS / name).read_text().strip()
    except OSError:
        return _UNREADABLE
