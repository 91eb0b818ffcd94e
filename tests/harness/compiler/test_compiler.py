"""Every registered target gives a library that is what the target says, and right."""

import importlib
import struct
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from facebench.architectures import registry
from facebench.architectures.errors import UnavailableError, UnknownNameError, WrongAnswerError
from facebench.harness.compiler import build, library, link
from facebench.harness.compiler.importing import import_network
from facebench.harness.compiler.targets import TARGETS, Target
from facebench.harness.compiler.tvm import import_tvm
from facebench.harness.compiler.tvm import resolve as resolve_target
from facebench.harness.models import export
from facebench.harness.models.answers import relative_error
from facebench.harness.models.export import Exported
from facebench.harness.models.networks import resolve
from facebench.harness.runtimes.registry import RUNTIMES
from tests.sampling import today

# Of the ELF specification: class (32 or 64 bits) and e_machine.
ELF = {
    "aarch64-linux-gnu": (2, 183),
    "armv7l-linux-gnueabihf": (1, 40),
    "x86_64-linux-gnu": (2, 62),
}


@pytest.fixture(params=TARGETS.names())
def target(request: pytest.FixtureRequest) -> Target:
    return TARGETS[request.param]


def test_a_library_is_for_its_target(target: Target, tiny_exported: Exported) -> None:
    made = build.compile_network(tiny_exported, target, 1)
    header = made.path.read_bytes()[:20]
    assert header[:4] == b"\x7fELF"
    kind, machine = struct.unpack("<HH", header[16:20])
    assert kind == 3  # a shared object
    if target.name != "host":
        assert (header[4], machine) == ELF[target.triple]
    compilation = made.compilation()
    assert compilation.elf_machine == resolve_target(target).elf_machine
    assert set(target.required) <= set(compilation.features)
    assert compilation.size_bytes == made.path.stat().st_size


def test_how_each_kernel_got_its_schedule_is_said(target: Target, tiny_exported: Exported) -> None:
    made = build.compile_network(tiny_exported, target, 1)
    assert made.compilation().kernels == {"tuned": 0, "scheduled": 3, "plain": 0}
    assert made.label == ""


def test_code_with_plain_loops_is_untuned(
    tiny_exported: Exported, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("FACEBENCH_CACHE", str(tmp_path))
    rewrite = importlib.import_module("facebench.harness.compiler.graph.rewrite")
    schedule = importlib.import_module("facebench.harness.compiler.schedule")
    monkeypatch.setattr(rewrite, "rewrite", lambda module, provider, element: module)
    monkeypatch.setattr(schedule, "scheduled", lambda function, vectors: None)
    made = build.compile_network(tiny_exported, TARGETS["host"], 1)
    assert made.compilation().kernels["plain"] > 0
    assert made.label == "untuned"


@pytest.mark.slow
def test_a_network_compiles_for_every_target(target: Target) -> None:
    made = build.compile_network(export.export(resolve("mobilefacenet_s")), target, 1)
    library.check(made.path, resolve_target(target))


# One target for each kind of vector registers: kernels differ by these alone.
# The quick tests compile these for two of them; one network of each base is among them.
REGISTERS = {
    "x86-64-v3": "mobilefacenet_s",
    "x86-64-v4": "mobilenet_v1",
    "cortex-a72": "mobilenet_v2",
    "cortex-a7": "shufflenet_v1",
}


@pytest.mark.parametrize(
    ("name", "of"),
    [
        *today([(name, of) for of, name in REGISTERS.items()], 2),
        *(
            pytest.param(name, of, marks=pytest.mark.slow)
            for of, quick in REGISTERS.items()
            for name in registry.paper_names()
            if name != quick
        ),
    ],
)
def test_every_network_compiles_for_all_registers(name: str, of: str) -> None:
    made = build.compile_network(export.export(resolve(name)), TARGETS[of], 1)
    library.check(made.path, TARGETS[of])
    assert made.compilation().kernels["plain"] == 0


def test_a_library_of_another_target_is_refused(tiny_exported: Exported) -> None:
    made = build.compile_network(tiny_exported, TARGETS["cortex-a72"], 1)
    with pytest.raises(WrongAnswerError, match="EM_AARCH64 where EM_ARM"):
        library.check(made.path, TARGETS["cortex-a7"])


def test_soft_float_code_is_refused_where_the_target_is_hard(
    tiny_exported: Exported, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("FACEBENCH_CACHE", str(tmp_path))
    made = build.compile_network(tiny_exported, replace(TARGETS["cortex-a7"], hard_float=False), 1)
    with pytest.raises(WrongAnswerError, match="does not pass floating-point arguments"):
        library.check(made.path, TARGETS["cortex-a7"])


def test_a_symbol_that_nothing_provides_is_named(
    tiny_exported: Exported, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = build.compile_network(tiny_exported, TARGETS["cortex-a72"], 1)
    monkeypatch.setattr(library, "_PROVIDED_PREFIXES", ())
    with pytest.raises(WrongAnswerError, match="nothing there provides TVMFFI"):
        library.check(made.path, TARGETS["cortex-a72"])


def test_a_cpu_that_llvm_does_not_know_is_named(tiny_exported: Exported) -> None:
    odd = replace(TARGETS["cortex-a72"], name="cortex-z9", cpu="cortex-z9")
    with pytest.raises(UnavailableError, match="does not know the CPU 'cortex-z9'"):
        build.compile_network(tiny_exported, odd, 1)


def test_a_core_without_the_features_of_its_name_is_refused(tiny_exported: Exported) -> None:
    odd = replace(TARGETS["cortex-a53"], required=("neon", "dotprod"))
    with pytest.raises(UnavailableError, match="gives target cortex-a53 no dotprod"):
        build.compile_network(tiny_exported, odd, 1)


def test_an_unknown_target_is_answered_with_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match="did you mean cortex-a7"):
        TARGETS["cortex-a77"]


def test_a_linker_that_fails_says_how_to_get_one(tmp_path: Path) -> None:
    (tmp_path / "x.o").write_bytes(b"no object")
    with pytest.raises(UnavailableError, match="pip install ziglang"):
        link.shared_library(str(tmp_path / "x.so"), [str(tmp_path / "x.o")])


def test_constants_folded_with_numpy_are_those_that_tvm_folds(tiny_exported: Exported) -> None:
    tvm = import_tvm()
    fold = importlib.import_module("facebench.harness.compiler.fold")
    module = import_network(tiny_exported, 1)
    folded = fold.fold_constants(module)
    text = folded["main"].script()
    assert "R.reshape(metadata" not in text
    assert "R.isnan" not in text
    answers = [_run(tvm, one, tiny_exported) for one in (module, folded)]
    np.testing.assert_array_equal(*answers)


def _run(tvm: object, module: object, exported: Exported) -> np.ndarray:
    executable = tvm.compile(module, tvm.target.Target("llvm"))  # type: ignore[attr-defined]
    machine = tvm.runtime.vm.VirtualMachine(executable, tvm.cpu())  # type: ignore[attr-defined]
    images = exported.reference()[0][:1]
    return np.asarray(machine["main"](tvm.runtime.tensor(images)).numpy())  # type: ignore[attr-defined]


def test_the_library_for_this_machine_answers_as_torch_does(tiny_exported: Exported) -> None:
    made = build.compile_network(tiny_exported, TARGETS["host"], 2)
    session = RUNTIMES["tvm"].open(made.folder, 1)
    inputs, expected = tiny_exported.reference()
    assert relative_error(session(inputs[:2]), expected[:2]) < 1e-5


@pytest.mark.skipif(library.host_machine() != "EM_X86_64", reason="x86-64 runs it")
@pytest.mark.parametrize("cpu", ["nehalem", "sandybridge"])
def test_older_x86_64_without_avx2_gets_code_that_answers_as_torch_does(
    cpu: str, tiny_exported: Exported
) -> None:
    """What LLVM would detect there: SSE alone, and AVX without multiply-adds."""
    older = Target("host", "x86_64-linux-gnu", cpu, (), (), "EM_X86_64")
    made = build.compile_network(tiny_exported, older, 2)
    assert not {"avx2", "fma"} & set(made.compilation().features)
    inputs, expected = tiny_exported.reference()
    session = RUNTIMES["tvm"].open(made.folder, 1)
    assert relative_error(session(inputs[:2]), expected[:2]) < 1e-5
