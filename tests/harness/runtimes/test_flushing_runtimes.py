"""Every runtime that says so does with denormal numbers what the thread does that opens it."""

import json
import subprocess
import sys
import warnings
from pathlib import Path

import pytest
import torch
from torch import nn

from facebench.architectures.errors import RefusedError
from facebench.harness.models import networks
from facebench.harness.models.export import Exported, export
from facebench.harness.runtimes.registry import RUNTIMES, Artifact, Runtime
from tests.sampling import today

# Prints the share of the outputs that came through the denormal range: 1 where it is kept.
PROBE = """
import json, sys
from pathlib import Path
import numpy as np
from facebench.harness.runtimes.registry import RUNTIMES
from facebench.harness.machine import flushing
runtime, path, threads, wanted = sys.argv[1:]
with flushing.held(wanted):
    session = RUNTIMES[runtime].open(Path(path), int(threads))
    outputs = session(np.ones((1, 3, 64, 64), np.float32))
    print(json.dumps([float((outputs != 0).mean()), flushing.mode()]))
"""


class Probe(nn.Module):
    """Scales by 2**-65 twice, into the denormal range, and by 2**130 back."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Conv2d(n, 32, 1, bias=False) for n in (3, 32, 32, 32))
        for layer, exponent in zip(self.layers, (-65, -65, 100, 30), strict=True):
            nn.init.zeros_(layer.weight)
            layer.weight.data[:, 0] = 2.0**exponent

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        for layer in self.layers:
            image = torch.relu(layer(image))
        return image.flatten(1)


@pytest.fixture(scope="module")
def probe(tmp_path_factory: pytest.TempPathFactory, cache_folder: Path) -> Exported:
    path = tmp_path_factory.mktemp("probe") / "probe.onnx"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        image = (torch.zeros(1, 3, 64, 64),)
        torch.onnx.export(Probe(), image, str(path), dynamo=False, opset_version=17)
    return export(networks.resolve(f"onnx:{path}"))


@pytest.mark.parametrize("name", today([one.name for one in RUNTIMES if one.flushing], 3))
def test_a_runtime_keeps_and_flushes_as_it_is_told(name: str, probe: Exported) -> None:
    runtime = RUNTIMES[name]
    if not runtime.installed():
        pytest.skip(f"{name} is not installed: {runtime.install}")
    path = runtime.prepare(probe, 1, "host" if name == "tvm" else "").path
    # By itself, each keeps them: so does the thread that opens it.
    shares = {wanted: _probed(name, path, 2, wanted) for wanted in ("", "flushed")}
    assert shares == {"": [1.0, "kept"], "flushed": [0.0, "flushed"]}


def _probed(name: str, path: Path, threads: int, wanted: str) -> object:
    command = [sys.executable, "-c", PROBE, name, str(path), str(threads), wanted]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def test_a_runtime_that_does_not_say_so_is_refused() -> None:
    silent = Runtime("silent", (), lambda *made: Artifact(Path()), lambda *opened: _never)
    with pytest.raises(RefusedError, match="silent is not known .* use .*onnxruntime"):
        silent.require_flushing()


def _never(*arguments: object) -> None:  # type: ignore[misc]
    raise AssertionError
