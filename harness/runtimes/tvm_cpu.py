"""Code that TVM compiled, run by its virtual machine."""

from __future__ import annotations

import os
from pathlib import Path

from facebench.harness.compiler.vectors import BYTE_FEATURES, HALF_FEATURE
from facebench.harness.machine import flushing
from facebench.harness.models import answers
from facebench.harness.models.export import Exported
from facebench.harness.models.integer_network import network as integer_network
from facebench.harness.models.quantize import Quantizer
from facebench.harness.runtimes.registry import (
    RUNTIMES,
    Artifact,
    Infer,
    OwnHalfPrecision,
    Runtime,
)
from facebench.harness.stats.arrays import FloatArray
from facebench.harness.storage import fingerprints

# How far fp16's answers may be off, relative to the largest element: every sum is rounded after
# each addition, as ncnn's are.
_HALF_TOLERANCE = 6e-2

# What a network in int8 and its embeddings of calibration faces depend on.
_INTEGERS = "facebench.harness.models.integer_network"


def _prepare(exported: Exported, batch: int, target: str) -> Artifact:
    from facebench.harness.compiler.build import compile_integers, compile_network
    from facebench.harness.compiler.targets import TARGETS

    if integer_network.is_in(exported.folder):
        library = compile_integers(exported.folder, TARGETS[target], batch)
    else:
        library = compile_network(exported, TARGETS[target], batch)
    return Artifact(library.folder, library.label)


def _prepare_half(exported: Exported, batch: int, target: str) -> Artifact:
    from facebench.harness.compiler.build import compile_network
    from facebench.harness.compiler.targets import TARGETS

    library = compile_network(exported, TARGETS[target], batch, half=True)
    return Artifact(library.folder, library.label)


def _import() -> None:
    from facebench.harness.compiler.tvm import import_tvm

    import_tvm()


def _open(folder: Path, threads: int) -> Infer:
    from facebench.harness.compiler import host
    from facebench.harness.compiler.build import Library
    from facebench.harness.compiler.tvm import import_tvm

    path = folder / "network.so"
    host.require(Library(folder).compilation().features, str(path))
    host.require_executable(path)
    # Read by TVM's thread pool at its first use.
    os.environ["TVM_NUM_THREADS"] = str(threads)
    tvm = import_tvm()
    library = tvm.runtime.load_module(str(path))
    machine = tvm.runtime.vm.VirtualMachine(library, tvm.cpu())
    main = machine["main"]

    def infer(images: FloatArray) -> FloatArray:
        embeddings: FloatArray = main(tvm.runtime.tensor(images)).numpy()
        return embeddings

    return infer


def _tuned(target: str) -> str:
    from facebench.harness.compiler import records

    return records.stored(target)


def _quantize(exported: Exported, images: FloatArray, folder: Path) -> FloatArray:
    """Put a network in integers from end to end, as `Quantizer.write` does."""
    from facebench.harness.models.integer_network import quantizing, reference

    made = quantizing.integer_network(exported, images)
    made.save(folder)
    # What its kernels give is the same to the last bit.
    return answers.of_each(images, lambda image: reference.embed(made, image))


def _depends_on() -> object:
    return fingerprints.code(_INTEGERS)


RUNTIMES.add(
    "tvm",
    Runtime(
        "tvm",
        ("apache-tvm",),
        _prepare,
        _open,
        half=OwnHalfPrecision(HALF_FEATURE, _prepare_half, _HALF_TOLERANCE, same_bits=True),
        int8=Quantizer(_quantize, _depends_on, BYTE_FEATURES),
        flushing=flushing.OF_THREAD,
        importing=_import,
        survives_fork=True,
        depends_on=_tuned,
    ),
)
