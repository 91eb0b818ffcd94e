"""Compiles an exported network into a shared library for a target."""

from __future__ import annotations

import json
import time
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from facebench.harness.compiler import library, link, records
from facebench.harness.compiler.importing import import_network
from facebench.harness.compiler.targets import Target, tuned_as
from facebench.harness.compiler.tvm import features_of, import_tvm, resolve
from facebench.harness.compiler.vectors import vectors
from facebench.harness.machine.environment import version
from facebench.harness.models.export import Exported
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


def compile_network(exported: Exported, target: Target, batch: int) -> Library:
    """Compile for a target, or find the library in the cache.

    Raises:
        UnavailableError: LLVM does not know the CPU.
        BadInputError: TVM cannot import the network.
        WrongAnswerError: the library is not what the target asks for.
    """
    resolved = resolve(target)
    key = cache.digest(
        cache.file_digest(exported.onnx),
        batch,
        asdict(resolved),
        records.digest(tuning(resolved)),
        [version(name) for name in ("apache-tvm", "apache-tvm-ffi", "ziglang")],
        fingerprints.code(__name__),
    )
    return Library(cache.entry("tvm", key, lambda folder: _write(exported, target, batch, folder)))


def tuning(target: Target) -> records.Records:
    """Return the tuning records that hold for a resolved target."""
    if target.name != "host":
        return records.load(target.name)
    described = import_tvm().target.Target(target.options())
    return records.load(tuned_as(target, features_of(target, described)))


def _write(exported: Exported, target: Target, batch: int, folder: Path) -> None:
    start = time.perf_counter()
    target = resolve(target)
    tvm = import_tvm()
    # These need TVM to be imported, and without torch.
    from facebench.harness.compiler import objects, program

    described = tvm.target.Target(target.options())
    features = features_of(target, described)
    module = import_network(exported, batch)
    module, kernels = _lower(module, target, described, features)
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
    module: Any, target: Target, described: Any, features: tuple[str, ...]
) -> tuple[Any, dict[str, int]]:
    """Operators to kernels; and how many are tuned, scheduled by rule, or plain loops."""
    tvm = import_tvm()
    # These need TVM to be imported, and without torch.
    from facebench.harness.compiler.fold import fold_constants
    from facebench.harness.compiler.graph.rewrite import rewrite
    from facebench.harness.compiler.kernels.provider import Kernels
    from facebench.harness.compiler.schedule import scheduled

    registers = vectors(target.triple, features)
    provider = Kernels(registers, records.tilings(tuning(target), registers))
    module = rewrite(fold_constants(module), provider)
    pipeline = tvm.relax.backend.cpu_generic.pipeline
    passes = pipeline.library_dispatch_passes(described) + pipeline.legalize_passes(described)
    with described:
        module = tvm.transform.Sequential(passes)(module)
    kernels = Counter(provider.schedules.values())
    for variable, function in module.functions_items():
        if isinstance(function, tvm.tirx.PrimFunc) and not _settled(function):
            blocked = scheduled(function, registers)
            kernels["plain" if blocked is None else "scheduled"] += 1
            if blocked is not None:
                module[variable] = blocked.with_attrs(function.attrs)
    return module, {kind: kernels[kind] for kind in ("tuned", "scheduled", "plain")}


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
