"""The machine and the versions that a figure was obtained with."""

from __future__ import annotations

import importlib.metadata
import os
import platform
from functools import cache
from pathlib import Path
from typing import Any

import psutil

from harness.cache import digest

# What a figure can depend on. A package that is not installed is left out.
PACKAGES = (
    "apache-tvm",
    "apache-tvm-ffi",
    "ncnn",
    "numpy",
    "onnx",
    "onnxruntime",
    "opencv-python-headless",
    "openvino",
    "pnnx",
    "torch",
)

_THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")

_SIMD = {
    "asimd", "asimddp", "asimdhp", "avx", "avx2", "avx512_bf16", "avx512_vnni", "avx512bw",
    "avx512f", "avx512vl", "avx_vnni", "f16c", "fma", "i8mm", "neon", "sse4_2", "sve", "vfpv4",
}  # fmt: skip


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0))


def capture() -> dict[str, Any]:
    """The environment now, flat, by name.

    Loads and frequencies are of the moment; everything in `identity` is
    expected to stay.
    """
    load = os.getloadavg()[0]
    return {
        **identity(),
        "host": platform.node(),
        "load_1min": round(load, 2),
        "memory_available_bytes": psutil.virtual_memory().available,
        "governor": _governor(),
        **{name.lower(): os.environ[name] for name in _THREAD_VARIABLES if name in os.environ},
    }


def identity() -> dict[str, Any]:
    """The part of the environment that must agree between compared records."""
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
    """Versions of the packages a figure can depend on, where they are installed."""
    return {name: found for name in PACKAGES if (found := version(name)) is not None}


@cache
def version(package: str) -> str | None:
    """The installed version of a package, found without importing it."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def machine_key() -> str:
    """Hash of what makes a time on this machine comparable with another one on it."""
    kept = identity()
    return digest([kept[name] for name in ("cpu_model", "cpu_features", "cores", "python")])


def _cpuinfo() -> dict[str, str]:
    """First value of each key of /proc/cpuinfo, keys in lower case."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return {}
    found: dict[str, str] = {}
    for line in lines:
        name, _, value = line.partition(":")
        found.setdefault(name.strip().lower(), value.strip())
    return found


def _governor() -> str:
    path = Path("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor")
    try:
        return path.read_text().strip()
    except OSError:
        return "not readable"
