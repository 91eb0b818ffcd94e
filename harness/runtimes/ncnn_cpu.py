"""Provides ncnn, which the paper timed with; converted by pnnx."""

from __future__ import annotations

import importlib.util
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from facebench.architectures.errors import BadInputError, WrongAnswerError
from facebench.harness.machine import flushing
from facebench.harness.machine.environment import version
from facebench.harness.models.export import Exported
from facebench.harness.runtimes import ncnn_half
from facebench.harness.runtimes.registry import (
    RUNTIMES,
    Artifact,
    Infer,
    OwnHalfPrecision,
    Runtime,
)
from facebench.harness.stats.arrays import FloatArray
from facebench.harness.storage import cache, fingerprints

_UNKNOWN_LAYER = re.compile(r"layer (\S+) not exists or registered")


def _prepare(exported: Exported, batch: int, target: str) -> Artifact:
    key = cache.digest(
        cache.file_digest(exported.onnx if exported.from_onnx else exported.torchscript),
        version("pnnx"),
        fingerprints.code(__name__),
    )
    return Artifact(cache.entry("ncnn", key, lambda folder: _convert(exported, folder)))


def _prepare_half(exported: Exported, batch: int, target: str) -> Artifact:
    single = _prepare(exported, batch, target).path
    height, width = exported.facts()["input_size"]
    digests = [cache.file_digest(single / name) for name in ncnn_half.NETWORK]
    key = cache.digest(digests, version("ncnn"), fingerprints.code(ncnn_half.__name__))

    def make(folder: Path) -> None:
        ncnn_half.write(single, folder, (height, width))

    return Artifact(cache.entry("ncnn", key, make))


def _convert(exported: Exported, folder: Path) -> None:
    height, width = exported.facts()["input_size"]
    # pnnx writes a dozen files beside its input, under names it derives from it.
    with tempfile.TemporaryDirectory() as temporary:
        source = _source(exported, Path(temporary))
        done = subprocess.run(
            [_pnnx(), source, f"inputshape=[1,3,{height},{width}]", "fp16=0"],
            cwd=temporary,
            capture_output=True,
            text=True,
        )
        made = [Path(temporary) / name for name in ncnn_half.NETWORK]
        if done.returncode or not all(path.exists() for path in made):
            last = (done.stderr or done.stdout).strip().splitlines()[-1:] or ["no output"]
            raise WrongAnswerError(f"pnnx cannot convert this network to ncnn: {last[0]}")
        _require_layers(made[0])
        for path in made:
            shutil.copy(path, folder)
    _require_no_crash(folder, height, width)


def _source(exported: Exported, folder: Path) -> Path:
    """Return what pnnx is given: TorchScript, or a user's own graph in plain operators."""
    if not exported.from_onnx:
        return Path(shutil.copy(exported.torchscript, folder))
    import onnx

    from facebench.harness.models.onnx_network.plain import plain

    onnx.save(plain(onnx.load(exported.onnx), 1), folder / "network.onnx")
    return folder / "network.onnx"


def _require_layers(param: Path) -> None:
    """Refuse operators that pnnx left as torch's, such as torch.unbind; ncnn's have no dot."""
    kinds = {line.split()[0] for line in param.read_text().splitlines()[2:] if line.strip()}
    if foreign := sorted(kind for kind in kinds if "." in kind):
        raise _without_layers(", ".join(foreign))


def _without_layers(kinds: str) -> BadInputError:
    return BadInputError(
        f"ncnn has no layer for {kinds}: time this network in another runtime, such as onnxruntime"
    )


def _require_no_crash(folder: Path, height: int, width: int) -> None:
    """Run it once elsewhere: on some graphs ncnn ends its process, and says nothing."""
    code = (
        "import sys, numpy; from pathlib import Path; "
        "from facebench.harness.runtimes.ncnn_cpu import _open; "
        f"_open(Path(sys.argv[1]), 1)(numpy.zeros((1, 3, {height}, {width}), numpy.float32))"
    )
    done = subprocess.run(
        [sys.executable, "-P", "-c", code, folder], capture_output=True, text=True, errors="replace"
    )
    if done.returncode < 0:
        raise WrongAnswerError(
            f"ncnn crashes on this network (signal {-done.returncode}): time it in another "
            "runtime, such as onnxruntime"
        )
    # Such a network it does not load, and says so there alone.
    if unknown := _UNKNOWN_LAYER.search(done.stderr):
        raise _without_layers(unknown[1])


def _pnnx() -> Path:
    """Return the converter's program; importing its package would import torch."""
    spec = importlib.util.find_spec("pnnx")
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent / "pnnx"


def _open(folder: Path, threads: int) -> Infer:
    import ncnn

    half = (folder / ncnn_half.MARK).exists()
    net = ncnn.Net()
    net.opt.num_threads = threads
    # As the case says; by itself ncnn takes half precision where the CPU has it.
    net.opt.use_fp16_packed = net.opt.use_fp16_storage = net.opt.use_fp16_arithmetic = half
    net.opt.use_bf16_storage = False
    net.load_param(str(folder / "network.ncnn.param"))
    net.load_model(str(folder / "network.ncnn.bin"))

    def embed(image: FloatArray) -> FloatArray:
        extractor = net.create_extractor()
        extractor.input("in0", ncnn.Mat(image))
        status, embedding = extractor.extract("out0")
        if status:
            raise WrongAnswerError(f"ncnn failed to run {folder} (status {status})")
        return np.array(embedding).reshape(-1)

    # ncnn infers one image at a time.
    return lambda images: np.stack([embed(image) for image in images])


RUNTIMES.add(
    "ncnn",
    Runtime(
        "ncnn",
        ("ncnn", "pnnx"),
        _prepare,
        _open,
        half=OwnHalfPrecision("fullfp16", _prepare_half, ncnn_half.TOLERANCE),
        flushing=flushing.OF_THREAD,
        batches=False,
        converts=True,
    ),
)
