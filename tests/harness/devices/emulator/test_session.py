"""The session in C answers as torch does, here and on emulated ARM, and says what is wrong."""

from __future__ import annotations

import ctypes
import importlib
import json
import os
import platform
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from facebench.architectures import registry
from facebench.architectures.errors import UnavailableError
from facebench.harness.compiler import build
from facebench.harness.compiler.importing import import_network
from facebench.harness.compiler.targets import TARGETS
from facebench.harness.compiler.tvm import features_of, import_tvm, resolve
from facebench.harness.devices.emulator import crossbuild
from facebench.harness.models import export, networks
from facebench.harness.models.answers import RUNTIME_TOLERANCE, relative_error
from facebench.harness.models.export import Exported
from facebench.harness.runtimes import wire
from facebench.harness.stats.arrays import FloatArray
from tests.harness.conftest import write_onnx

# Where a C library for another machine is: what `qemu -L` wants.
SYSROOTS = {"aarch64": "/usr/aarch64-linux-gnu", "arm": "/usr/arm-linux-gnueabihf"}


def sysroot(arch: str) -> Path | None:
    """The folder of the C library for `aarch64` or `arm`, where there is one."""
    folder = Path(os.environ.get(f"FACEBENCH_SYSROOT_{arch.upper()}", SYSROOTS[arch]))
    return folder if (folder / "lib").is_dir() else None


def deploy(exported: Exported, target: str, batch: int, folder: Path) -> Path:
    """A folder with the library and the program."""
    library = build.compile_network(exported, TARGETS[target], batch)
    resolved = resolve(TARGETS[target])
    described = import_tvm().target.Target(resolved.options())
    features = features_of(resolved, described)
    module, _ = build._lower(import_network(exported, batch), resolved, described, features)
    shutil.copy(library.path, folder / "network.so")
    program = importlib.import_module("facebench.harness.compiler.program")
    program.write(module, folder / "network.program")
    return folder


class Asked:
    """A session's process."""

    def __init__(self, command: list[str]) -> None:
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def ask(self, request: bytes) -> tuple[str, bytes]:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(request)
        self.process.stdin.flush()
        message = wire.read(self.process.stdout)
        assert message is not None
        ((word,), payload) = message
        return word, payload

    def open(self, folder: Path, threads: int = 1) -> tuple[str, bytes]:
        return self.ask(wire.request(["open", "tvm", str(threads)], bytes(folder)))

    def infer(self, images: FloatArray) -> FloatArray:
        word, payload = self.ask(wire.images_request("infer", images))
        assert word == "ok", payload
        return np.frombuffer(payload, "<f4").reshape(len(images), -1)

    def close(self) -> int:
        """The process's exit status once its input has ended."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.close()
        status = self.process.wait(timeout=60)
        self.process.stdout.close()
        return status

    def kill(self) -> None:
        self.process.kill()
        self.close()


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Path:
    triple = f"{platform.machine()}-linux-gnu"
    return crossbuild.session(triple, tmp_path_factory.mktemp("session"))


@pytest.fixture
def start(here: Path) -> Iterator[Callable[[], Asked]]:
    """Starts sessions of this machine, which are ended with the test."""
    started: list[Asked] = []

    def one() -> Asked:
        started.append(Asked([str(here)]))
        return started[-1]

    yield one
    for session in started:
        session.kill()


@pytest.fixture
def session(start: Callable[[], Asked]) -> Asked:
    return start()


@pytest.fixture(scope="module")
def tiny_folder(tiny_exported: Exported, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return deploy(tiny_exported, "host", 2, tmp_path_factory.mktemp("tiny-host"))


def test_several_batches_are_answered_as_torch_does(
    session: Asked, tiny_folder: Path, tiny_exported: Exported
) -> None:
    word, payload = session.open(tiny_folder)
    assert word == "ok"
    assert json.loads(payload)["load_ms"] > 0
    images, expected = tiny_exported.reference()
    assert len(images) == 8
    assert relative_error(session.infer(images), expected) < 1e-5


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=() if name == "mobilefacenet" else pytest.mark.slow)
        for name in registry.paper_names()
    ],
)
def test_every_network_is_answered_as_torch_does(name: str, session: Asked, tmp_path: Path) -> None:
    exported = export.export(networks.resolve(name))
    session.open(deploy(exported, "host", 1, tmp_path))
    images, expected = exported.reference()
    assert relative_error(session.infer(images), expected) < RUNTIME_TOLERANCE


class Halves(nn.Module):
    """Two branches, each on half the channels: a kernel with two outputs parts them."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 8, 3)
        self.branches = nn.ModuleList(nn.Conv2d(4, 4, 3, padding=1) for _ in range(2))
        self.last = nn.Linear(8 * 14 * 14, 8)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        halves = torch.split(self.first(images), 4, 1)
        made = [branch(half) for branch, half in zip(self.branches, halves, strict=True)]
        return self.last(torch.exp(-torch.cat(made[::-1], 1)).flatten(1))


def test_a_network_that_parts_and_joins_is_answered_as_torch_does(
    session: Asked, tmp_path: Path
) -> None:
    torch.manual_seed(0)
    onnx = write_onnx(Halves().eval(), tmp_path / "halves.onnx")
    exported = export.export(networks.resolve(f"onnx:{onnx}"))
    session.open(deploy(exported, "host", 1, tmp_path))
    images, expected = exported.reference()
    assert relative_error(session.infer(images), expected) < 1e-5


@pytest.mark.parametrize(
    ("target", "triple", "arch"),
    [
        ("cortex-a72", "aarch64-linux-gnu", "aarch64"),
        ("cortex-a7", "arm-linux-gnueabihf", "arm"),
    ],
)
def test_emulated_arm_answers_as_torch_does(
    target: str, triple: str, arch: str, tiny_exported: Exported, tmp_path: Path
) -> None:
    root = sysroot(arch)
    emulator = shutil.which(f"qemu-{arch}")
    if emulator is None or root is None:
        pytest.skip(f"no qemu-{arch}, or no C library for it")
    built = crossbuild.session(triple, tmp_path)
    session = Asked([emulator, "-L", str(root), str(built)])
    word, payload = session.open(deploy(tiny_exported, target, 2, tmp_path))
    assert word == "ok", payload
    images, expected = tiny_exported.reference()
    assert relative_error(session.infer(images), expected) < 1e-5
    assert session.close() == 0


def test_threads_change_no_bit(
    start: Callable[[], Asked], tiny_folder: Path, tiny_exported: Exported
) -> None:
    images, _ = tiny_exported.reference()
    answers = []
    for threads in (1, 3):
        session = start()
        session.open(tiny_folder, threads)
        answers.append(session.infer(images))
    np.testing.assert_array_equal(*answers)


def test_counting_replies_where_the_library_lies(
    session: Asked, tiny_folder: Path, tiny_exported: Exported
) -> None:
    session.open(tiny_folder)
    images, expected = tiny_exported.reference()
    word, payload = session.ask(wire.images_request("count", images[:2]))
    assert word == "ok"
    code = [line for line in payload.decode().splitlines() if line.endswith("network.so")]
    assert any(" r-xp " in line for line in code)
    assert relative_error(session.infer(images[2:4]), expected[2:4]) < 1e-5


def test_kernels_are_run_one_by_one_to_the_same_answer(
    session: Asked, tiny_folder: Path, tiny_exported: Exported
) -> None:
    session.open(tiny_folder)
    images, expected = tiny_exported.reference()
    word, payload = session.ask(wire.images_request("kernels", images[:2], 4096))
    assert word == "ok"
    answer = np.frombuffer(payload, "<f4").reshape(2, -1)
    assert relative_error(answer, expected[:2]) < 1e-5


def test_the_stand_ends_with_its_input(session: Asked, tiny_folder: Path) -> None:
    session.open(tiny_folder)
    assert session.close() == 0


def image(*shape: int) -> FloatArray:
    return np.zeros(shape, np.float32)


@pytest.mark.parametrize(
    ("request_", "sentence"),
    [
        (wire.request(["sample", "1"]), "does not know 'sample'"),
        (wire.images_request("infer", image(3, 3, 16, 16)), r"\(2, 3, 16, 16\), not \(3, 3, 16"),
        (wire.images_request("infer", image(2, 3, 16, 12)), "not \\(2, 3, 16, 12\\)"),
        (wire.request(["infer", "2", "3", "16", "16"], b"1234"), "4 bytes are not these images"),
        (wire.images_request("count", image(4, 3, 16, 16)), "one batch is counted at a time"),
        (wire.images_request("kernels", image(4, 3, 16, 16), 64), "for one batch at a time"),
        (wire.images_request("kernels", image(2, 3, 16, 16)), "bytes the caches hold is missing"),
        (wire.request(["open", "ncnn", "1"], b"/"), "runs what TVM compiled and nothing else"),
        (wire.request(["open", "tvm", "1"], b"/"), "opened a network already"),
    ],
)
def test_a_wrong_request_is_answered_with_a_sentence_and_the_next_one_right(
    request_: bytes, sentence: str, session: Asked, tiny_folder: Path, tiny_exported: Exported
) -> None:
    session.open(tiny_folder)
    word, payload = session.ask(request_)
    assert word == "error"
    with pytest.raises(wire.SessionError, match=sentence):
        wire.answer(wire.error(payload.decode()))
    images, expected = tiny_exported.reference()
    assert relative_error(session.infer(images[:2]), expected[:2]) < 1e-5


def test_nothing_can_be_asked_before_a_network_is_open(session: Asked, tmp_path: Path) -> None:
    word, payload = session.ask(wire.images_request("infer", image(2, 3, 16, 16)))
    assert (word, payload) == ("error", b"no network is open yet")
    word, payload = session.open(tmp_path)
    assert word == "error"
    assert b"network.program: No such file" in payload


@pytest.mark.parametrize(
    ("edit", "sentence"),
    [
        (lambda held: held[:-1], "ends before its constants do"),
        (lambda held: held.replace(b"program 1", b"program 2", 1), "no program of version 1"),
        (lambda held: held.replace(b"\ncall ", b"\ncall un", 1), "has no kernel un"),
        (lambda held: held.replace(b"\ninput 0", b"\ninput 999", 1), "a tensor that it has not"),
        (lambda held: held.replace(b" 2 3 16 16\n", b" 2 3 16 99\n", 1), "outside its storage"),
    ],
)
def test_a_damaged_program_is_refused(
    edit: Callable[[bytes], bytes], sentence: str, session: Asked, tiny_folder: Path, tmp_path: Path
) -> None:
    shutil.copy(tiny_folder / "network.so", tmp_path)
    held = (tiny_folder / "network.program").read_bytes()
    (tmp_path / "network.program").write_bytes(edit(held))
    word, payload = session.open(tmp_path)
    assert word == "error"
    assert sentence in payload.decode()
    assert session.open(tiny_folder)[0] == "ok"


def test_a_kernel_that_fails_is_named_with_tvms_reason(
    session: Asked, tiny_folder: Path, tmp_path: Path
) -> None:
    shutil.copy(tiny_folder / "network.so", tmp_path)
    held = (tiny_folder / "network.program").read_bytes()
    (tmp_path / "network.program").write_bytes(held.replace(b" 2 3 16 16\n", b" 2 3 16 12\n", 1))
    assert session.open(tmp_path)[0] == "ok"
    word, payload = session.ask(wire.images_request("infer", image(2, 3, 16, 12)))
    assert word == "error"
    assert payload.startswith(b"kernel convolution")
    assert b"failed: ValueError: Mismatched" in payload


def test_a_library_for_another_machine_is_refused(
    session: Asked, tiny_exported: Exported, tmp_path: Path
) -> None:
    other = "cortex-a7" if platform.machine() != "armv7l" else "cortex-a72"
    word, payload = session.open(deploy(tiny_exported, other, 1, tmp_path))
    assert word == "error"
    assert payload.startswith(b"cannot load network.so")


def test_a_machine_without_a_stand_is_named(tmp_path: Path) -> None:
    with pytest.raises(UnavailableError, match="no session for riscv64-linux-gnu"):
        crossbuild.session("riscv64-linux-gnu", tmp_path)


@pytest.mark.parametrize("compiler", ["cc", "ziglang"])
def test_a_shared_library_may_leave_functions_to_its_program(
    compiler: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if compiler == "ziglang":
        monkeypatch.setattr(shutil, "which", lambda _: None)
    elif shutil.which("cc") is None:
        pytest.skip("no cc on PATH")
    sources = {
        "plugin": "int half(int); int quarter(int x) { return half(half(x)); }",
        "program": "int half(int x) { return x / 2; }",
    }
    for name, text in sources.items():
        (tmp_path / f"{name}.c").write_text(text + "\n")
        crossbuild.native_library(tmp_path / f"{name}.c", tmp_path / f"{name}.so")
    ctypes.CDLL(str(tmp_path / "program.so"), mode=ctypes.RTLD_GLOBAL)
    assert ctypes.CDLL(str(tmp_path / "plugin.so")).quarter(168) == 42


def test_a_file_that_does_not_compile_is_told_with_the_compilers_words(tmp_path: Path) -> None:
    source = tmp_path / "plugin.c"
    source.write_text("int x = ;\n")
    with pytest.raises(UnavailableError, match=r"building .*plugin\.so failed \(.*expected"):
        crossbuild.native_library(source, tmp_path / "plugin.so")
