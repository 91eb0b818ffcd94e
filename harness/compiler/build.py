"""Compiles an exported network into a shared library for a target."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from facebench.architectures.errors import RefusedError
from facebench.harness.compiler import library, link, records
from facebench.harness.compiler.importing import import_network
from facebench.harness.compiler.targets import Target, tuned_as
from facebench.harness.compiler.tvm import features_of, import_tvm, resolve
from facebench.harness.compiler.vectors import (
    BYTE_FEATURES,
    Registers,
    Vectors,
    byte_vectors,
    half_vectors,
    in_words,
    vectors,
)
from facebench.harness.compiler.workload import Workload
from facebench.harness.machine.environment import version
from facebench.harness.models.export import Exported
from facebench.harness.models.integer_network import network as integer_network
from facebench.harness.records.artifacts import Compilation
from facebench.harness.storage import cache, fingerprints


@dataclass(frozen=True)
class Library:
    """It is a compiled network in the cache."""

    folder: Path

    @property
    def path(self) -> Path:
        """Return the shared library; TVM's virtual machine runs its function `main`."""
        return self.folder / "network.so"

    def compilation(self) -> Compilation:
        """Return what was made, and how."""
        facts = json.loads((self.folder / "compilation.json").read_text())
        return Compilation(**facts | {"features": tuple(facts["features"])})

    @property
    def label(self) -> str:
        """Return `untuned` where a kernel is plain loops: its time is shown, never ranked."""
        return "untuned" if self.compilation().kernels["plain"] else ""


def compile_network(exported: Exported, target: Target, batch: int, half: bool = False) -> Library:
    """Compile for a target, or find the library in the cache.

    Args:
        exported: the network, in single precision.
        target: the CPU.
        batch: images of an inference.
        half: all but the network's input and output is in half precision, which a CPU that has
            none computes in single precision, slowly and with the same bits.

    Raises:
        RefusedError: the network cannot be put in half precision.
        UnavailableError: LLVM does not know the CPU.
        BadInputError: TVM cannot import the network.
        WrongAnswerError: the library is not what the target asks for.
    """
    resolved = resolve(target)
    key = cache.digest(
        cache.file_digest(exported.onnx),
        batch,
        half,
        asdict(resolved),
        records.digest(tuning(resolved, half_vectors if half else vectors)),
        [version(name) for name in ("apache-tvm", "apache-tvm-ffi", "ziglang")],
        fingerprints.code(__name__),
    )

    def module(described: Any, features: tuple[str, ...]) -> tuple[Any, dict[str, int]]:
        return _lower(import_network(exported, batch), resolved, described, features, half)

    return Library(cache.entry("tvm", key, lambda folder: _write(module, resolved, folder)))


# Registers of a target in some precision, by its triple, LLVM's features of it, and its core.
_RegistersOf = Callable[[str, tuple[str, ...], str], Registers]


def tuning(target: Target, registers: _RegistersOf = vectors) -> records.Records:
    """Return the tuning records that hold for a resolved target, in the registers' precision."""
    name, features = target.name, target.required
    if name == "host":
        features = features_of(target, import_tvm().target.Target(target.options()))
        name = tuned_as(target, features)
    found = registers(target.triple, features, target.cpu)
    if isinstance(found, Vectors) and found.in_single:
        return {}  # half precision that is computed in single is slow whatever its tiling
    return records.load(records.kept_as(name, found))


def _byte_vectors(triple: str, features: tuple[str, ...], cpu: str) -> Registers:
    return byte_vectors(features)


def compile_integers(folder: Path, target: Target, batch: int) -> Library:
    """Compile the network of integers in a folder for a target, or find the library in the cache.

    Raises:
        RefusedError: the target lacks the instructions that its kernels are written in, or a
            step has no kernel.
        UnavailableError: LLVM does not know the CPU.
        WrongAnswerError: the library is not what the target asks for.
    """
    resolved = resolve(target)
    key = cache.digest(
        integer_network.digest(folder),
        batch,
        asdict(resolved),
        records.digest(tuning(resolved, _byte_vectors)),
        [version(name) for name in ("apache-tvm", "apache-tvm-ffi", "ziglang")],
        fingerprints.code(__name__),
    )

    def module(described: Any, features: tuple[str, ...]) -> tuple[Any, dict[str, int]]:
        return _integers(folder, batch, resolved, described, features)

    return Library(cache.entry("tvm", key, lambda made: _write(module, resolved, made)))


# Makes a module of kernels for TVM's description of a target and LLVM's features of it; and says
# how many are tuned, scheduled by rule, or plain loops.
_Lowered = Callable[[Any, tuple[str, ...]], tuple[Any, dict[str, int]]]


def _write(lowered: _Lowered, target: Target, folder: Path) -> None:
    start = time.perf_counter()
    tvm = import_tvm()
    # These need TVM to be imported, and without torch.
    from facebench.harness.compiler import functions, objects, program

    functions.register()
    described = tvm.target.Target(target.options())
    features = features_of(target, described)
    module, kernels = lowered(described, features)
    calling, kernel_objects = objects.separated(module, target, described)
    executable = tvm.relax.build(calling, described, relax_pipeline=_finish(described))
    path = folder / "network.so"
    executable.export_library(
        str(path), fcompile=link.shared_library, addons=list(map(str, kernel_objects))
    )
    library.check(path, target)
    if target.elf_machine != library.host_machine():
        # An emulated device has no TVM that could run the library.
        program.write(module, folder / "network.program")
    compilation = Compilation(
        triple=target.triple,
        elf_machine=library.machine(path),
        features=features,
        size_bytes=path.stat().st_size,
        seconds=round(time.perf_counter() - start, 3),
        kernels=kernels,
    )
    (folder / "compilation.json").write_text(json.dumps(asdict(compilation), indent=1))


def _lower(
    module: Any, target: Target, described: Any, features: tuple[str, ...], half: bool = False
) -> tuple[Any, dict[str, int]]:
    """Return a network as kernels of ours, and loops with a schedule for the rest."""
    import_tvm()
    # These need TVM to be imported, and without torch.
    from facebench.harness.compiler.fold import fold_constants
    from facebench.harness.compiler.graph.rewrite import rewrite
    from facebench.harness.compiler.kernels.provider import Kernels
    from facebench.harness.compiler.schedule import scheduled

    registers_of = half_vectors if half else vectors
    registers = registers_of(target.triple, features, target.cpu)
    provider = Kernels(registers, records.tilings(tuning(target, registers_of), registers))
    module = rewrite(fold_constants(module), provider, registers.element)
    module = _legalised(module, described)
    kernels = Counter(provider.schedules.values())
    for variable, function in module.functions_items():
        if _is_loops(function):
            blocked = scheduled(function, registers)
            kernels["plain" if blocked is None else "scheduled"] += 1
            if blocked is not None:
                module[variable] = blocked.with_attrs(function.attrs)
    return module, {kind: kernels[kind] for kind in ("tuned", "scheduled", "plain")}


def _integers(
    folder: Path, batch: int, target: Target, described: Any, features: tuple[str, ...]
) -> tuple[Any, dict[str, int]]:
    """Return the kernels of a network of integers."""
    tvm = import_tvm()
    from facebench.harness.compiler.integers.module import module
    from facebench.harness.compiler.kernels.provider import is_kernel

    if not any(set(one) <= set(features) for one in BYTE_FEATURES):
        raise RefusedError(
            f"runtime tvm computes int8 on CPUs that have {in_words(BYTE_FEATURES)}, and target "
            f"{target.name} has not: use fp32, or another runtime"
        )
    registers, tuned = byte_vectors(features), set()
    known = records.tilings(tuning(target, _byte_vectors), registers)

    def find(work: Workload) -> Any:
        found = known(work)
        if found is not None:
            tuned.add(work)
        return found

    made = module(integer_network.load(folder), batch, registers, find)
    lowered = _legalised(made, described)
    functions = (function for _, function in lowered.functions_items())
    count = sum(isinstance(one, tvm.tirx.PrimFunc) and is_kernel(one) for one in functions)
    return lowered, {"tuned": len(tuned), "scheduled": count - len(tuned), "plain": 0}


def _legalised(module: Any, described: Any) -> Any:
    """Return a module whose operators have become functions of loops."""
    tvm = import_tvm()
    pipeline = tvm.relax.backend.cpu_generic.pipeline
    passes = pipeline.library_dispatch_passes(described) + pipeline.legalize_passes(described)
    with described:
        return tvm.transform.Sequential(passes)(module)


def _is_loops(function: Any) -> bool:
    """Return whether a function is loops that have no schedule yet."""
    return isinstance(function, import_tvm().tirx.PrimFunc) and not _settled(function)


def _settled(function: Any) -> bool:
    """Return whether a function needs no schedule: a kernel of ours, or a reshape, which is a
    view.
    """
    tvm = import_tvm()
    from facebench.harness.compiler.kernels.provider import is_kernel

    return is_kernel(function) or bool(tvm.relax.analysis.has_reshape_pattern(function))


def _finish(described: Any) -> Any:
    """Return what remains of TVM's default pipeline after `_lower`."""
    tvm = import_tvm()
    pipeline = tvm.relax.backend.cpu_generic.pipeline
    return tvm.transform.Sequential(
        pipeline.dataflow_lower_passes(described) + pipeline.finalize_passes(described)
    )
