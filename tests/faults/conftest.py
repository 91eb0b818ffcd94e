"""The tiny network of the harness's tests, and a run of it that measures nothing."""

from pathlib import Path

import pytest

from facebench.harness.models import export, networks
from facebench.harness.runs import worker_pool
from tests.faults.pretence import Pretence, pretend
from tests.harness.conftest import tiny_module, write_onnx


@pytest.fixture(scope="session")
def tiny_onnx(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_onnx(tiny_module(), tmp_path_factory.mktemp("tiny") / "tiny.onnx")


@pytest.fixture(scope="session")
def tiny_exported(tiny_onnx: Path, cache_folder: Path) -> export.Exported:
    return export.export(networks.resolve(f"onnx:{tiny_onnx}"))


@pytest.fixture
def pretence(
    tmp_path: Path, tiny_exported: export.Exported, monkeypatch: pytest.MonkeyPatch
) -> Pretence:
    """A run of two timed cases and an exact one, with a cache of its own."""
    monkeypatch.setenv("FACEBENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(worker_pool, "execute", pretend(tmp_path / "executed"))
    monkeypatch.setattr(export, "find", lambda network: tiny_exported)
    return Pretence(tmp_path)
