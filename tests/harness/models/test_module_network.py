"""A module of torch is a network that is known by what it computes."""

from __future__ import annotations

import importlib.util
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from facebench.architectures.errors import BadInputError, UnknownNameError
from facebench.harness.measures.job import Job
from facebench.harness.models import kept_modules
from facebench.harness.models.export import export
from facebench.harness.models.module_network import of_module
from facebench.harness.models.networks import Network, resolve
from facebench.harness.records.case import Case
from facebench.harness.runs.jobs import with_fingerprint
from facebench.harness.storage import cache, remote
from facebench.harness.storage.serialization import convert

SIZE = (8, 8)


class Block(nn.Module):
    """Small, with what makes two modules of one class differ."""

    def __init__(self, seed: int = 0, stride: int = 2, shift: float = 1.0, act: Any = nn.ReLU):
        super().__init__()
        torch.manual_seed(seed)
        self.conv = nn.Conv2d(3, 4, 3, stride, 1, bias=False)
        self.bn = nn.BatchNorm2d(4)
        self.act = act()
        self.out = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
        self.shift = torch.full((1, 4, 1, 1), shift)  # no buffer: in no state dict

    def forward(self, x: Tensor) -> Tensor:
        embedding: Tensor = self.out(self.act(self.bn(self.conv(x))) * self.shift)
        return embedding


def key(network: Network) -> tuple[str, str]:
    job = with_fingerprint(Job(Case("cost", network.name, network.weights), network))
    return job.case.key, job.fingerprint


def test_what_computes_the_same_is_the_same_and_all_else_is_another() -> None:
    same = of_module(Block(), SIZE)
    assert of_module(Block(), SIZE) == same
    others = [Block(seed=1), Block(stride=1), Block(shift=2.0), Block(act=nn.ReLU6)]
    found = [of_module(one, SIZE) for one in others] + [of_module(Block(), (16, 16))]
    keys = [key(one) for one in (same, *found)]
    assert len({case for case, _ in keys}) == len({mark for _, mark in keys}) == len(keys)


def test_modules_that_differ_in_weights_alone_share_a_name() -> None:
    one, other = of_module(Block(), SIZE), of_module(Block(seed=1), SIZE)
    assert one.name == other.name
    assert one.weights != other.weights
    assert one.name.startswith("module:Block@")
    assert of_module(Block(), SIZE, name="mine").name.startswith("module:mine@")


def test_folded_by_hand_is_another_network_than_folded_by_us() -> None:
    """Both deploy as one graph; torch in eager mode runs one operator more of the first."""
    block = Block().eval()
    with torch.no_grad():
        folded = Block().eval()
        scale = block.bn.weight / (block.bn.running_var + block.bn.eps).sqrt()
        folded.conv.weight.copy_(block.conv.weight * scale.view(-1, 1, 1, 1))
    folded.bn = nn.Identity()  # type: ignore[assignment]
    assert key(of_module(block, SIZE))[0] != key(of_module(folded, SIZE))[0]


class Deploying(Block):
    """It says nothing of the stride that it has as deployed."""

    then = 2

    def deployed(self) -> nn.Module:
        return Block(stride=self.then)


def test_what_a_module_deploys_as_is_part_of_what_it_is() -> None:
    one, other = Deploying(), Deploying()
    assert of_module(one, SIZE) == of_module(other, SIZE)
    other.then = 1
    assert of_module(one, SIZE).name != of_module(other, SIZE).name


def test_drawn_weights_are_the_same_again_and_say_that_they_are_untrained() -> None:
    one, other = (of_module(Block(seed), SIZE, "random:3") for seed in (0, 1))
    assert one == other
    assert (one.weights, one.trained) == ("random:3", False)
    assert of_module(Block(), SIZE).trained
    assert of_module(Block(), SIZE, "random:4").name != one.name


def test_a_module_is_left_as_it_is() -> None:
    block = Block().train()
    before = {name: tensor.clone() for name, tensor in block.state_dict().items()}
    of_module(block, SIZE, "random:0")
    assert block.training
    assert all(torch.equal(before[name], tensor) for name, tensor in block.state_dict().items())
    assert all(one.requires_grad for one in block.parameters())


def test_another_process_runs_the_module_itself_though_it_is_in_no_file(tmp_path: Path) -> None:
    source = "from torch import nn\nclass Local(nn.Module):\n"
    source += "    def __init__(self):\n        super().__init__()\n        self.f = nn.Flatten()\n"
    source += "    def forward(self, x):\n        return self.f(twice(x))\n"
    source += "def twice(x):\n    return 2 * x\n"
    (tmp_path / "beside.py").write_text(source)
    spec = importlib.util.spec_from_file_location("beside", tmp_path / "beside.py")
    assert spec is not None
    assert spec.loader is not None
    beside = importlib.util.module_from_spec(spec)
    sys.modules["beside"] = beside
    spec.loader.exec_module(beside)
    try:
        network = of_module(beside.Local(), (2, 2))
    finally:
        del sys.modules["beside"]
    (tmp_path / "beside.py").unlink()
    folder = export(network).folder
    code = (
        "import torch; from pathlib import Path\n"
        "from facebench.harness.models.export import Exported\n"
        f"module = Exported(Path({str(folder)!r})).module()\n"
        "print(float(module(torch.ones(1, 3, 2, 2)).sum()))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert float(done.stdout) == 24.0


def test_its_export_answers_as_the_module_does() -> None:
    block = Block().eval()
    network = of_module(block, SIZE)
    exported = export(network)
    inputs, outputs = exported.reference()
    with torch.no_grad():
        expected = block(torch.from_numpy(inputs)).numpy()
    assert np.allclose(outputs, expected, atol=1e-6)
    assert exported.facts()["embedding_size"] == network.architecture().embedding_size == 4


def test_a_job_of_a_module_reaches_another_process_whole() -> None:
    network = of_module(Block(), SIZE)
    job = Job(Case("cost", network.name, network.weights), network)
    assert convert(job.to_json(), Job).network == network


def test_no_pickle_leaves_the_user_s_own_cache() -> None:
    network = of_module(Block(), SIZE)
    assert kept_modules.KIND not in remote.KINDS
    held = [path.name for path in export(network).folder.iterdir()]
    assert sorted(held) == [
        "facts.json", cache.MANIFEST, "network.onnx", "network.pt", "reference.npz"
    ]  # fmt: skip


def test_nothing_is_unpickled_but_what_was_kept(tmp_path: Path) -> None:
    class Harm:
        def __reduce__(self) -> tuple[Any, ...]:
            return Path(tmp_path / "touched").touch, ()

    network = of_module(Block(), SIZE)
    assert network.path is not None
    kept = network.path.read_bytes()
    try:
        network.path.write_bytes(pickle.dumps(Harm()))
        with pytest.raises(BadInputError, match="pass the module itself again"):
            network.module()
    finally:
        network.path.write_bytes(kept)
    assert not (tmp_path / "touched").exists()


@pytest.mark.parametrize(
    ("module", "said"),
    [
        (nn.Conv2d(4, 4, 1), r"Conv2d does not run on images \(2, 3, 8, 8\) \(Runtime.*size="),
        (nn.Conv2d(3, 4, 1), r"Conv2d gives \(2, 4, 8, 8\) of torch.float32 .*flattening"),
        (nn.Flatten(0), r"Flatten gives \(384,\)"),
        (nn.Sequential(nn.Flatten(), nn.LSTM(192, 4)), "gives tuple for images .*alone"),
    ],
)  # fmt: skip
def test_a_module_that_is_no_network_is_one_sentence(module: nn.Module, said: str) -> None:
    with pytest.raises(BadInputError, match=said):
        of_module(module, SIZE)


class Deciding(nn.Module):
    """Its flow depends on its data."""

    def forward(self, x: Tensor) -> Tensor:
        return x.flatten(1) if x.sum() > 0 else -x.flatten(1)


def test_a_module_that_cannot_be_exported_is_one_sentence() -> None:
    with pytest.raises(BadInputError, match="Deciding cannot be traced"):
        of_module(Deciding(), SIZE)


def test_the_name_in_a_record_says_what_to_pass() -> None:
    with pytest.raises(UnknownNameError, match="pass the module itself again"):
        resolve("module:Block@0123abcd")


def test_no_file_s_weights_go_into_a_module() -> None:
    with pytest.raises(BadInputError, match="load them into it"):
        of_module(Block(), SIZE, "shipped")
