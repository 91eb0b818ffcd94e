"""The large systems of the paper's tables, counted by their shapes alone: no weights are made.

Multiply-adds are those of torch's own counter, which knows nothing of ours.
"""

from __future__ import annotations

import functools
import re

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from facebench.architectures import registry
from facebench.architectures.initialise import create
from facebench.architectures.registry import find
from facebench.harness.records.store import paper_table
from tests.places import ROOT

LARGE = [name for name in registry.names() if find(name).large]
# As publications say them: few say whether a megabyte is 10^6 or 2^20 bytes.
MEGABYTES = (10**6, 2**20)


@functools.cache
def built(name: str, as_published: bool = False) -> tuple[nn.Module, int]:
    """A network without memory for its weights, and its multiply-adds."""
    architecture = find(name)
    published = architecture.published
    other = published.build if as_published and published else None
    with torch.device("meta"), FlopCounterMode(display=False) as counter:
        network = (other or architecture.build)().eval()
        embeddings = network(torch.zeros(2, 3, *architecture.input_size))
    assert other or embeddings.shape == (2, architecture.embedding_size)
    return network, counter.get_total_flops() // 4


def parameters(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


@pytest.mark.parametrize("name", LARGE)
def test_a_large_network_is_as_published(name: str) -> None:
    published = find(name).published
    assert published is not None
    network, madds = built(name, as_published=True)
    count = parameters(network)
    if published.parameters:
        apart = 0.01 if published.differs else 0.006
        assert count == pytest.approx(float(published.parameters) * 1e6, rel=apart)
    if published.madds:
        assert madds == pytest.approx(float(published.madds) * 1e6, rel=0.003)
    if published.flops:
        # Theirs count an operation for each element of activations and sums too.
        assert madds <= float(published.flops) * 1e6 / 2 <= 1.005 * madds
    if published.megabytes:
        sizes = [4 * count / unit for unit in MEGABYTES]
        assert any(size == pytest.approx(float(published.megabytes), rel=0.025) for size in sizes)
    assert published.source


def test_what_the_paper_says_of_their_size_is_what_is_published() -> None:
    sizes = {row["method"]: row["model_size"] for row in paper_table(3)}
    for name, method in {
        "resnet_ir_100": "ArcFace (LResNet100E-IR)", "lmobilenet_e": "ArcFace (LMobileNetE)",
        "center_face": "Center Face", "facenet_nn2": "FaceNet", "vgg_face": "DeepFR",
    }.items():  # fmt: skip
        published = find(name).published
        assert published is not None
        assert sizes[method] in (
            f"{published.megabytes}MB",
            f"{float(published.megabytes) / 1e3}GB",
        )


def test_nn2_has_the_parameters_of_each_row_of_its_table() -> None:
    from facebench.architectures.facenet import MODULES, Inception

    network, _ = built("facenet_nn2")
    rows = [module for module in network.children() if isinstance(module, Inception)]
    # Thousands, from arXiv 1503.03832, table 2.
    thousands = (164, 228, 398, 545, 595, 654, 722, 717, 1600, 1600)
    assert len(rows) == len(MODULES) == len(thousands)
    for module, published in zip(rows, thousands, strict=True):
        assert parameters(module) / 1e3 == pytest.approx(published, rel=0.01)


def test_deepface_has_the_layers_of_its_figure() -> None:
    from facebench.architectures.locally_connected import LocallyConnected

    network, _ = built("deepface")
    local = [module for module in network.children() if isinstance(module, LocallyConnected)]
    # Height and width of the maps, channels, and weights of a place (CVPR 2014, figure 2).
    figure = ((55, 16, 9 * 9 * 16), (25, 16, 7 * 7 * 16), (21, 16, 5 * 5 * 16))
    for module, (side, channels, read) in zip(local, figure, strict=True):
        assert parameters(module) == side * side * channels * (read + 1)


def test_deepid2_plus_has_the_maps_of_deepid2_with_128_channels() -> None:
    from facebench.architectures.locally_connected import LocallyConnected

    network, _ = built("deepid2_plus")
    third, fourth = (module for module in network.modules() if isinstance(module, LocallyConnected))
    # Weights are shared in squares of 2x2 places of 10x8, and by none of 4x3.
    assert parameters(third) == 5 * 4 * 128 * (9 * 128 + 1)
    assert parameters(fourth) == 4 * 3 * 128 * (4 * 128 + 1)


def test_mobileid_has_the_published_size_of_one_of_its_teacher_s_two_images() -> None:
    network, _ = built("mobileid")
    linear = next(module for module in network.children() if isinstance(module, nn.Linear))
    wider = parameters(network) + linear.out_features * 64 * 4  # a map of 5x4 of 55x47 pixels
    assert 4 * parameters(network) / 2**20 == pytest.approx(4.0, abs=0.05)
    assert 4 * wider / 2**20 == pytest.approx(4.5, abs=0.05)


def test_lmobilenet_e_is_mobilenet_v1_with_one_layer_that_outweighs_it() -> None:
    # Imported before anything is looked up, it would be registered before MobileFaceNet.
    from facebench.architectures.mobilenet_v1 import CHANNELS_AND_STRIDE

    channels, expected = 32, 3 * 9 * 32 + 2 * 32
    for channels_out, _ in CHANNELS_AND_STRIDE:
        expected += channels * 9 + 2 * channels + channels * channels_out + 2 * channels_out
        channels = channels_out
    expected += 2 * channels + (49 * channels + 1) * 512 + 2 * 512
    assert parameters(built("lmobilenet_e")[0]) == expected


def test_depths_are_those_that_the_names_say() -> None:
    def depth(name: str) -> int:
        layers = [m for m in built(name)[0].modules() if isinstance(m, nn.Conv2d | nn.Linear)]
        return sum(layer.weight.shape[-1] != 1 or layer.weight.dim() == 2 for layer in layers)

    # The fully connected layer is not among SphereFace's; a shortcut is a layer of nobody's.
    assert depth("sphereface_20") == 20 + 1
    assert depth("sphereface_64") == 64 + 1
    assert depth("resnet_ir_50") == 50
    assert depth("resnet_ir_100") == 100
    assert depth("vgg_face") == 15


def test_sphereface_counts_what_a_closed_form_does() -> None:
    def expected(units: tuple[int, ...]) -> int:
        total, channels = 0, 3
        for width, count in zip((64, 128, 256, 512), units, strict=True):
            total += 9 * channels * width + 2 * width
            total += count * 2 * (9 * width * width + 2 * width)
            channels = width
        return total + (7 * 6 * 512 + 1) * 512

    assert parameters(built("sphereface_20")[0]) == expected((1, 2, 4, 1))
    assert parameters(built("sphereface_64")[0]) == expected((3, 8, 16, 3))


def test_the_page_of_networks_holds_the_large_as_counted() -> None:
    text = (ROOT / "docs" / "networks.md").read_text()
    rows = dict(re.findall(r"^\| `(\w+)`[^|]* \| ([^|]+ \| [^|]+ \| [^|]+) \|", text, re.MULTILINE))
    for name in LARGE:
        network, madds = built(name)
        count = parameters(network)
        assert rows[name] == f"{count / 1e6:.2f} M | {4 * count / 1e6:.1f} MB | {madds / 1e6:.0f} M"


class Doubling(nn.Module):
    """A residual without BN, as SphereFace's, but small."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Conv2d(3, 3, 3, padding=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.layer(x)


def test_residuals_that_would_add_up_are_scaled_layer_by_layer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def build() -> nn.Module:
        layers = [layer for _ in range(30) for layer in (Doubling(), nn.ReLU())]
        return nn.Sequential(*layers, nn.Flatten(), nn.Linear(3 * 64, 8))

    one = registry.Architecture("deep", build, (8, 8), 8, "made up")
    monkeypatch.setattr("facebench.architectures.initialise.find", lambda name: one)
    module = create("deep")
    spreads: list[float] = []
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            layer.register_forward_hook(lambda m, given, output: spreads.append(output.std()))
    module(torch.rand(4, 3, 8, 8) * 2 - 1)
    assert 0.1 < min(spreads) < max(spreads) < 10
