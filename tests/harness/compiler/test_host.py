"""Code for another level of x86-64 is refused before it crashes."""

import json
import os
from dataclasses import asdict
from pathlib import Path
from types import SimpleNamespace

import pytest

from facebench.architectures.errors import RefusedError, UnavailableError
from facebench.harness.compiler import host
from facebench.harness.compiler.targets import TARGETS, Target, tuned_as
from facebench.harness.records.artifacts import Compilation
from facebench.harness.runtimes.registry import RUNTIMES

V3, V4 = TARGETS["x86-64-v3"], TARGETS["x86-64-v4"]


@pytest.fixture
def without_avx512(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host, "_flags", lambda: frozenset({"avx", "avx2", "bmi2", "f16c", "fma"}))


def test_code_that_this_machine_lacks_features_for_is_refused(without_avx512: None) -> None:
    host.require(V3.required, "the library")
    with pytest.raises(RefusedError, match="the library is code with avx512bw, .*x86-64-v3"):
        host.require(V4.required, "the library")


def test_code_on_a_disk_that_runs_none_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    host.require_executable(tmp_path)
    flags = SimpleNamespace(f_flag=os.statvfs(tmp_path).f_flag | os.ST_NOEXEC)
    monkeypatch.setattr(os, "statvfs", lambda path: flags)
    with pytest.raises(UnavailableError, match="mounted noexec, .*set FACEBENCH_CACHE"):
        host.require_executable(tmp_path)


def test_code_of_another_architecture_is_none_of_its_business(without_avx512: None) -> None:
    host.require(("neon", "dotprod"), "the library")


def test_a_library_is_looked_at_before_it_is_loaded(without_avx512: None, tmp_path: Path) -> None:
    facts = Compilation(V4.triple, V4.elf_machine, V4.required, 1, 1.0, {})
    (tmp_path / "compilation.json").write_text(json.dumps(asdict(facts)))
    with pytest.raises(RefusedError, match="does not execute"):
        RUNTIMES["tvm"].open(tmp_path, 1)


@pytest.mark.parametrize(
    ("missing", "expected"),
    [((), "x86-64-v4"), (("avx512vl",), "x86-64-v3"), (("avx512vl", "fma"), "")],
)
def test_this_machine_is_of_the_highest_level_that_it_has_all_of(
    missing: tuple[str, ...], expected: str
) -> None:
    assert tuned_as(_host("EM_X86_64", "znver4"), set(V4.required) - set(missing)) == expected


def test_an_arm_machine_is_of_its_core_or_of_none() -> None:
    features = TARGETS["cortex-a76"].required
    assert tuned_as(_host("EM_AARCH64", "cortex-a76"), features) == "cortex-a76"
    assert tuned_as(_host("EM_AARCH64", "neoverse-n1"), features) == ""


def _host(machine: str, cpu: str) -> Target:
    return Target("host", "a triple", cpu, (), (), machine)
