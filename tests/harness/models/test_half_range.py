"""What half precision would have to hold is what numpy finds, and no sum goes further."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import nn

from facebench.harness.models import networks
from facebench.harness.models.export import Exported, export
from facebench.harness.models.half_range import reaches
from tests.harness.conftest import write_onnx


def exported(layers: nn.Module, folder: Path) -> Exported:
    return export(networks.resolve(f"onnx:{write_onnx(layers.eval(), folder / 'network.onnx')}"))


def test_layers_reach_what_numpy_finds(tmp_path: Path, cache_folder: Path) -> None:
    torch.manual_seed(1)
    first, last = nn.Conv2d(3, 4, 1), nn.Linear(4, 5)
    mean = nn.AdaptiveAvgPool2d(1)
    made = exported(nn.Sequential(first, mean, nn.Flatten(), last), tmp_path)
    images, _ = made.reference()
    weights = first.weight.detach().numpy()[:, :, 0, 0]
    assert first.bias is not None
    bias = first.bias.detach().numpy()
    products = weights[None, :, :, None, None] * images[:, None].astype(np.float64)
    maps = products.sum(axis=2) + bias[None, :, None, None]
    found = {one.layer.split()[0]: one for one in reaches(made)}
    np.testing.assert_allclose(found["Conv"].largest, np.abs(maps).max(), rtol=1e-5)
    assert found["Conv"].bound >= np.abs(products).sum(axis=2).max() + np.abs(bias).max() - 1e-5
    pool = found["GlobalAveragePool"]
    assert pool.bound >= np.abs(maps.sum(axis=(2, 3))).max()
    means = maps.mean(axis=(2, 3))
    np.testing.assert_allclose(pool.largest, np.abs(means).max(), rtol=1e-5)
    terms = last.weight.detach().numpy() * means[:, None]
    assert found["Gemm"].bound >= np.abs(terms).sum(axis=2).max()
