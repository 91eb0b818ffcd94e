"""A kernel is compiled once for all networks, and its object is what TVM makes unasked."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest
from torch import nn

from facebench.harness.compiler import build
from facebench.harness.compiler.importing import import_network
from facebench.harness.compiler.targets import TARGETS
from facebench.harness.compiler.tvm import features_of, import_tvm, resolve
from facebench.harness.models import export, networks
from facebench.harness.models.export import Exported
from tests.harness.conftest import tiny_module, write_onnx


def exported(module: nn.Module, path: Path) -> Exported:
    return export.export(networks.resolve(f"onnx:{write_onnx(module, path)}"))


@pytest.fixture
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("FACEBENCH_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_networks_that_differ_in_weights_alone_share_every_kernel(
    own_cache: Path, tmp_path: Path
) -> None:
    target = TARGETS["cortex-a72"]
    counts = []
    for seed in (0, 1):
        build.compile_network(exported(tiny_module(seed), tmp_path / f"{seed}.onnx"), target, 1)
        counts.append(len(list((own_cache / "kernels").iterdir())))
    assert counts == [3, 3]
    build.compile_network(exported(tiny_module(), tmp_path / "0.onnx"), TARGETS["cortex-a76"], 1)
    assert len(list((own_cache / "kernels").iterdir())) == 6


@pytest.mark.parametrize("name", ["host", "cortex-a7"])
def test_the_pass_that_is_left_out_would_change_no_byte(
    name: str, tiny_exported: Exported, own_cache: Path, tmp_path: Path
) -> None:
    tvm = import_tvm()
    objects = importlib.import_module("facebench.harness.compiler.objects")
    target = resolve(TARGETS[name])
    described = tvm.target.Target(target.options())
    features = features_of(target, described)
    given = import_network(tiny_exported, 1)
    module, _ = build._lower(given, target, described, features)
    _, made = objects.separated(module, target, described)
    functions = {variable.name_hint: function for variable, function in module.functions_items()}
    kernels = sorted(name for name in functions if name not in ("main", "reshape"))
    assert len(kernels) == len(made) == 3
    for kernel, path in zip(kernels, made, strict=True):
        named = functions[kernel].with_attr("global_symbol", kernel)
        whole = tvm.tirx.build(tvm.IRModule({kernel: named}), described)
        whole.write_to_file(str(tmp_path / "whole.o"), "o")
        assert path.read_bytes() == (tmp_path / "whole.o").read_bytes()
