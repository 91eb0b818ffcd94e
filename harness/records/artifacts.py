"""Defines the results of making artifacts: an exported network, and a compiled one."""

from __future__ import annotations

from dataclasses import dataclass

from facebench.harness.records.results import Result


@dataclass(frozen=True)
class Export(Result):
    """It is an ONNX file made from a network.

    Attributes:
        opset: version of ONNX's operators.
        size_bytes: of the file.
        output_error: largest difference from torch's outputs over random and
            extreme inputs, relative to their largest element.
    """

    opset: int
    size_bytes: int
    output_error: float


@dataclass(frozen=True)
class Compilation(Result):
    """It is a shared library made by TVM.

    Attributes:
        triple: LLVM's name of the target.
        elf_machine: architecture that the library's ELF header names.
        features: CPU features that the code was generated with.
        size_bytes: of the library.
        seconds: of lowering, code generation and linking.
        kernels: counts by how their schedule was found: `tuned`, `scheduled`, `plain`.
    """

    triple: str
    elf_machine: str
    features: tuple[str, ...]
    size_bytes: int
    seconds: float
    kernels: dict[str, int]
