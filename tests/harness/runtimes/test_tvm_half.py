"""Half precision in TVM's code: its answers can be had anywhere, its time on ARMv8.2 alone."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from facebench.architectures.errors import RefusedError
from facebench.harness.devices.registry import require_precision
from facebench.harness.models import networks
from facebench.harness.models.export import export
from facebench.harness.runtimes.registry import RUNTIMES
from tests.harness.conftest import write_onnx

TVM = RUNTIMES["tvm"]


class Various(nn.Module):
    """Operators with a kernel, and operators that TVM fuses by itself."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 16, 3, 2, 1), nn.Hardswish())
        self.gate = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Conv2d(16, 16, 1), nn.Sigmoid())
        self.pools = nn.ModuleList([nn.MaxPool2d(3, 2, 1), nn.AvgPool2d(2)])
        self.last = nn.Linear(32, 12)

    def forward(self, image: Tensor) -> Tensor:
        x = self.stem(image)
        x = x * self.gate(x)
        joined = nn.functional.silu(torch.cat([pool(x) for pool in self.pools], 1))
        return self.last(joined.mean((2, 3)) - 0.25)


def test_a_network_of_various_operators_is_near_to_itself(
    tmp_path_factory: pytest.TempPathFactory, cache_folder: object
) -> None:
    torch.manual_seed(0)
    path = write_onnx(Various().eval(), tmp_path_factory.mktemp("half") / "various.onnx")
    exported = export(networks.resolve(f"onnx:{path}"))
    assert TVM.half is not None
    artifact = TVM.half.prepare(exported, 1, "host")
    images, expected = exported.reference()
    found = TVM.open(artifact.path, 1)(images[:1])
    assert found.dtype == np.float32
    error = np.abs(found - expected[:1]).max() / np.abs(expected).max()
    assert 1e-5 < error < 1e-2


def test_it_is_timed_on_cores_that_have_it_and_scored_anywhere() -> None:
    assert "fp16" in TVM.precisions_on("cortex-a76")
    for target in ("cortex-a72", "host", ""):
        assert "fp16" not in TVM.precisions_on(target)
    require_precision("tvm", "fp16", "local", timed=False)
    with pytest.raises(RefusedError, match="fullfp16 alone.*its accuracy can be scored here"):
        require_precision("tvm", "fp16", "local")
    with pytest.raises(RefusedError, match="ncnn computes in fp16"):
        require_precision("ncnn", "fp16", "local", timed=False)
