"""Code that TVM compiled for this machine, run by its virtual machine."""

from __future__ import annotations

import os
from pathlib import Path

from harness.compiler import build
from harness.compiler.targets import TARGETS
from harness.export import Exported, FloatArray
from harness.runtimes.registry import RUNTIMES, Artifact, Runtime, Session


def _prepare(exported: Exported, batch: int) -> Artifact:
    library = build.compile_network(exported, TARGETS["host"], batch)
    return Artifact(library.path, library.label)


def _open(path: Path, threads: int) -> Session:
    # Read by TVM's thread pool at its first use.
    os.environ["TVM_NUM_THREADS"] = str(threads)
    tvm = build.import_tvm()
    machine = tvm.runtime.vm.VirtualMachine(tvm.runtime.load_module(str(path)), tvm.cpu())
    main = machine["main"]

    def infer(images: FloatArray) -> FloatArray:
        embeddings: FloatArray = main(tvm.runtime.tensor(images)).numpy()
        return embeddings

    return infer


RUNTIMES.add("tvm", Runtime("tvm", ("apache-tvm",), _prepare, _open))
