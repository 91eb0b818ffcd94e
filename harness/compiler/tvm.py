"""Imports TVM, and asks its LLVM what it knows of a target."""

from __future__ import annotations

import importlib
import sys
from typing import Any

from facebench.architectures.errors import UnavailableError
from facebench.harness.compiler import library
from facebench.harness.compiler.targets import Target


def import_tvm() -> Any:
    """Return the `tvm` package, without torch.

    TVM imports torch where it is installed, for exchanging tensors that are
    not exchanged here. That takes four seconds of each process, and torch's
    threads and allocator would sit beside the code that is timed.

    Raises:
        UnavailableError: TVM went on without its compiler, whose library it could not load.
    """
    if "tvm" not in sys.modules and "torch" not in sys.modules:
        sys.modules["torch"] = None  # type: ignore[assignment]
        try:
            _import("tvm.relax")
        finally:
            del sys.modules["torch"]
    return _import("tvm")


def _import(module: str) -> Any:
    try:
        return importlib.import_module(module)
    except AttributeError as error:
        raise UnavailableError(
            f"TVM cannot load its compiler ({error}): give it more memory, unset "
            "TVM_USE_RUNTIME_LIB where that is set, or install apache-tvm anew"
        ) from error


def resolve(target: Target) -> Target:
    """Return the target with `host` replaced by what LLVM detects of this machine."""
    if target.triple:
        return target
    codegen = _codegen()
    return Target(
        target.name,
        triple=str(codegen.llvm_get_system_triple()),
        cpu=str(codegen.llvm_get_system_cpu()),
        features=(),
        required=(),
        elf_machine=library.host_machine(),
        description=target.description,
    )


def features_of(target: Target, described: Any) -> tuple[str, ...]:
    """Return the CPU features that LLVM generates code with.

    Raises:
        UnavailableError: LLVM does not know the CPU, or gives it other features.
    """
    codegen = _codegen()
    if not codegen.llvm_is_valid_cpu(target.cpu, target.triple):
        raise UnavailableError(
            f"this LLVM does not know the CPU {target.cpu!r} of target {target.name}; "
            "install another apache-tvm or choose another target"
        )
    features = tuple(sorted(str(name) for name in codegen.llvm_get_cpu_features(described)))
    missing = set(target.required) - set(features)
    if missing:
        raise UnavailableError(
            f"LLVM gives target {target.name} no {', '.join(sorted(missing))}, which its core "
            "has; the code would not be what the name says"
        )
    return features


def _codegen() -> Any:
    import_tvm()
    return importlib.import_module("tvm.target.codegen")
