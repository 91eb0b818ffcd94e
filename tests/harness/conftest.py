"""A network that exports and compiles in a moment, as a user's ONNX file."""

import warnings
from pathlib import Path

import pytest
import torch
from torch import nn

from facebench.harness.models import export, networks
from facebench.harness.models.networks import Network

SIZE = 16
EMBEDDING = 8


def tiny_module(seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, stride=2, padding=1, bias=False),
        nn.BatchNorm2d(8),
        nn.PReLU(8),
        nn.Conv2d(8, 8, 3, padding=1, groups=8),
        nn.ReLU6(),
        nn.Conv2d(8, EMBEDDING, 8),
        nn.Flatten(),
    ).eval()


def write_onnx(module: nn.Module, path: Path, size: int = SIZE) -> Path:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            module, (torch.zeros(1, 3, size, size),), str(path), dynamo=False, opset_version=17
        )
    return path


@pytest.fixture(scope="session")
def tiny_onnx(tmp_path_factory: pytest.TempPathFactory, cache_folder: Path) -> Path:
    """It is exported already, here where torch is: each process that did would import it first."""
    path = write_onnx(tiny_module(), tmp_path_factory.mktemp("tiny") / "tiny.onnx")
    export.export(networks.resolve(f"onnx:{path}"))
    return path


@pytest.fixture(scope="session")
def tiny(tiny_onnx: Path) -> Network:
    return networks.resolve(f"onnx:{tiny_onnx}")


@pytest.fixture(scope="session")
def tiny_exported(tiny: Network, cache_folder: Path) -> export.Exported:
    return export.export(tiny)
