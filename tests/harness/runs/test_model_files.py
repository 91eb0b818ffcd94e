"""Libraries in fewer bits are what the target computes in, near to the network, or refused."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import facebench
from facebench.architectures.errors import BadInputError, RefusedError
from facebench.harness.api import making
from facebench.harness.compiler import build
from facebench.harness.compiler.targets import TARGETS
from facebench.harness.compiler.tvm import import_tvm
from facebench.harness.models.answers import cosines
from facebench.harness.models.export import Exported, export
from facebench.harness.runs.model_files import ModelFile
from facebench.harness.runtimes.registry import RUNTIMES
from facebench.harness.stats.arrays import FloatArray
from tests.harness import command_line

Output = pytest.CaptureFixture[str]


def small() -> nn.Module:
    """A network of the faces' size that costs nothing."""
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, stride=4, padding=1),
        nn.PReLU(8),
        nn.Conv2d(8, 8, 3, stride=2, padding=1, groups=8),
        nn.ReLU6(),
        nn.Conv2d(8, 16, 14),
        nn.Flatten(),
    ).eval()


def answers(library: Path, images: FloatArray) -> FloatArray:
    """What a library of this machine answers, by TVM alone."""
    tvm = import_tvm()
    machine = tvm.runtime.vm.VirtualMachine(tvm.runtime.load_module(str(library)), tvm.cpu())
    return np.concatenate(
        [machine["main"](tvm.runtime.tensor(one[None])).numpy() for one in images]
    )


@pytest.mark.skipif(
    "int8" not in RUNTIMES["tvm"].precisions_on("host"), reason="the processor has no AVX2"
)
def test_a_library_in_int8_is_near_the_network(tmp_path: Path) -> None:
    network = facebench.network(small())
    exact, lowered = facebench.compile(network, "host", tmp_path, precision="fp32,int8")
    assert exact.path.name.endswith(".host.so")
    assert lowered.path.name.endswith(".host.int8.so")
    assert (exact.facts["precision"], lowered.facts["precision"]) == ("fp32", "int8")
    assert (lowered.facts["calibration"], lowered.facts["images"]) == ("synthetic", 150)
    assert 0.9 < lowered.facts["lowest_cosine"] <= lowered.facts["median_cosine"] < 1
    images, expected = export(network).reference()
    assert cosines(answers(exact.path, images), expected).min() > 0.99999
    found = answers(lowered.path, images)
    assert np.abs(found - expected).max() > 0
    assert np.median(cosines(found, expected)) > 0.9


def test_a_library_in_half_precision_is_that_of_the_kernels(
    tiny_onnx: Path, tiny_exported: Exported, tmp_path: Path, capfd: Output
) -> None:
    command = ("compile", f"onnx:{tiny_onnx}", "--target", "cortex-a76", "-o", tmp_path, "--json")
    assert command_line.facebench(*command, "--precision", "fp16") == 0
    (file,) = json.loads(capfd.readouterr().out)
    assert (file["target"], file["precision"]) == ("cortex-a76", "fp16")
    assert "fullfp16" in file["features"]
    assert file["path"].endswith(".cortex-a76.fp16.so")
    target = TARGETS["cortex-a76"]
    half, single = (build.compile_network(tiny_exported, target, 1, half) for half in (True, False))
    written = Path(file["path"]).read_bytes()
    assert written == half.path.read_bytes() != single.path.read_bytes()


def scaled(first: float, then: nn.Module, last: float) -> nn.Module:
    """A network whose first layer's sums are so much larger than those of `small`."""
    made = small()
    assert isinstance(made[0], nn.Conv2d)
    assert isinstance(made[4], nn.Conv2d)
    with torch.no_grad():
        made[0].weight *= first
        made[4].weight *= last
    made[1] = made[3] = then
    return made


def test_what_overflows_in_half_precision_is_refused_by_the_layer(tmp_path: Path) -> None:
    overflowing = scaled(3e5, nn.ReLU(), 1e-5)
    said = r"overflows in fp16.*layer Conv \S+ reaches \d\S*e\+0[56];"
    with pytest.raises(RefusedError, match=said):
        facebench.compile(overflowing, "cortex-a76", tmp_path, precision="fp16")
    assert not list(tmp_path.iterdir())


def test_what_overflows_and_is_bounded_is_not(tmp_path: Path) -> None:
    (file,) = facebench.compile(
        scaled(3e5, nn.ReLU6(), 1.0), "cortex-a76", tmp_path, precision="fp16"
    )
    assert file.path.exists()


@pytest.mark.parametrize(
    ("target", "precision", "use"),
    [
        ("cortex-a72", "fp16", "cortex-a55, cortex-a76"),
        ("x86-64-v4", "fp16", "cortex-a55, cortex-a76"),
        ("cortex-a7", "fp16", "cortex-a55, cortex-a76"),
    ],
)
def test_what_a_target_lacks_is_refused_before_anything_is_made(
    target: str, precision: str, use: str, tiny_onnx: Path, tmp_path: Path, capfd: Output
) -> None:
    command = ("compile", f"onnx:{tiny_onnx}", "--target", f"cortex-a76,{target}", "-o", tmp_path)
    assert command_line.facebench(*command, "--precision", precision) == 2
    (said,) = capfd.readouterr().err.splitlines()
    assert (
        f"the CPU of target {target} is not known to have the instructions for {precision}" in said
    )
    assert use in said
    assert not list(tmp_path.iterdir())


def test_calibration_faces_that_are_not_there_are_one_sentence(tmp_path: Path) -> None:
    faces = f"folder:{tmp_path / 'nowhere'}"
    with pytest.raises(BadInputError, match="nowhere") as caught:
        facebench.compile(small(), "cortex-a76", tmp_path, precision="int8", calibration=faces)
    assert "\n" not in str(caught.value)


def test_a_doubtful_library_is_a_warning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    doubtful = ModelFile("tiny", tmp_path / "tiny.so", {}, "host", "tiny.so may be wrong: why")
    monkeypatch.setattr(making, "write_libraries", lambda *given: [doubtful])
    with pytest.warns(facebench.CaseWarning, match=r"tiny\.so may be wrong: why"):
        assert facebench.compile("mobilefacenet", out=tmp_path) == [doubtful]


@pytest.mark.parametrize("command", [("export",), ("compile", "--target", "host")])
def test_networks_of_which_one_file_would_replace_the_other_s_are_refused(
    command: tuple[str, ...], tiny_onnx: Path, tmp_path: Path, capfd: Output
) -> None:
    data = tiny_onnx.read_bytes()
    for name in ("my net.onnx", "my_net.onnx"):
        # Equal weights are one network.
        (tmp_path / name).write_bytes(data)
        data = data.replace(b"pytorch", b"pytorcH")
    networks = [str(tmp_path / name) for name in ("my net.onnx", "my_net.onnx")]
    assert command_line.facebench(*command, *networks, "-o", tmp_path / "out") == 2
    assert "would both be written to onnx_my_net.onnx: write one" in capfd.readouterr().err
    assert not (tmp_path / "out").exists()
