"""Says which facts of an environment last, and which of them make two times comparable.

An environment is flat, by name, as records keep it. Whoever compares two asks here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

# What makes it another machine: no ratio of times across it means anything. How many CPUs a
# process sees is none of it, since one that is pinned sees fewer of the same machine.
MACHINE = ("cpu_model", "cpu_features", "cores", "machine")

SYSTEM = ("kernel", "system")

# Packages by the runtime that they belong to: cases of other runtimes don't run on them.
PACKAGES = {
    "ai-edge-litert": "litert",
    "apache-tvm": "tvm",
    "apache-tvm-ffi": "tvm",
    "executorch": "executorch",
    "ncnn": "ncnn",
    "onnxruntime": "onnxruntime",
    "mnn": "mnn",
    "openvino": "openvino",
    "pnnx": "ncnn",
}
_SHARED = ("python", "numpy", "onnx", "opencv-python-headless", "torch")

# Of an emulated machine; its other packages are loaded and left alone.
_EMULATED = ("qemu", "libc6", "libgcc-s1", "libgomp1", "libstdc++6", "python3.11-minimal")

# Names of a machine and of its room, which no figure depends on.
_IRRELEVANT = ("host", "memory_bytes")

# Readings of the moment, and settings that belong to one case: they differ between any two
# records and make no other environment. So do all numbers with a fraction. Which cores a case
# was kept on is one of them: their number and kind are facts of their own.
_MOMENTARY = (
    "load", "available", "num_threads", "denormal", "frequency", "temperature", "affinity",
)  # fmt: skip


def stays(name: str, value: Any) -> bool:
    """Return whether a fact is expected to be the same in the next record."""
    return not isinstance(value, float) and not any(word in name for word in _MOMENTARY)


def lasting(environment: Mapping[str, Any]) -> dict[str, Any]:
    """Return the facts that are expected to be the same in the next record."""
    return {name: value for name, value in environment.items() if stays(name, value)}


def relevant(environment: Mapping[str, Any]) -> dict[str, Any]:
    """Return the facts that a figure can depend on: a time depends on them all."""
    return {name: fact for name, fact in lasting(environment).items() if name not in _IRRELEVANT}


def runtime_version(environment: Mapping[str, Any], runtime: str) -> str:
    """Return the version of a runtime; empty where no runtime runs, or it is not known.

    Example:
        >>> runtime_version({"apache-tvm": "0.27", "torch": "2.14"}, "tvm")
        '0.27'
    """
    named = (package for package, owner in PACKAGES.items() if owner == runtime)
    return str(environment.get(next(named, runtime.partition("_")[0]), ""))


def kind_of(name: str) -> str:
    """Return what a fact is of: `machine`, `system`, `versions` or `settings`."""
    if name in MACHINE:
        return "machine"
    if name in SYSTEM:
        return "system"
    return "versions" if name in (*PACKAGES, *_SHARED, *_EMULATED) else "settings"
