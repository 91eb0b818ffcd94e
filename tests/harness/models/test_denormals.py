"""Denormal numbers against torch's, on a network that was made to have them."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from facebench.harness.comparison import denormals_advice
from facebench.harness.machine import flushing
from facebench.harness.models import networks
from facebench.harness.models.denormals import count, is_denormal
from facebench.harness.models.export import export
from facebench.harness.records.denormals import DenormalCount, Denormals, worst_first
from tests.harness.conftest import write_onnx

TINY = torch.finfo(torch.float32).tiny


def with_denormals() -> nn.Module:
    """The first of eight channels is denormal in the first layer, and stays so in the second."""
    torch.manual_seed(0)
    module = nn.Sequential(
        nn.Conv2d(3, 8, 3, bias=False),
        nn.ReLU(),
        nn.Conv2d(8, 8, 1, groups=8, bias=False),
        nn.Conv2d(8, 4, 14, bias=False),
        nn.Flatten(),
    ).eval()
    first, second = module[0].weight.data, module[2].weight.data
    first[0] = first[0].abs() * 1e-39  # 27 weights
    second.fill_(0.5)
    return module


@given(st.lists(st.floats(width=32, allow_nan=False), min_size=1))
def test_a_number_is_denormal_as_numpy_has_it(values: list[float]) -> None:
    array = np.array(values, np.float32)
    expected = (array != 0) & (np.abs(array) < np.float32(TINY))
    assert (is_denormal(array) == expected).all()


@pytest.mark.parametrize("mode", [flushing.KEPT, flushing.FLUSHED])
def test_weights_and_layers_are_counted_as_torch_computes_them(tmp_path: Path, mode: str) -> None:
    module = with_denormals()
    path = write_onnx(module, tmp_path / "network.onnx")
    image = torch.rand(2, 3, 16, 16, generator=torch.manual_seed(1)) + 0.5
    expected, value = [], image
    with torch.no_grad():
        for layer in module:
            value = layer(value)
            expected.append(int(((value != 0) & (value.abs() < TINY)).sum()))
    with flushing.held(mode):
        found = count(path, image.numpy())
        assert flushing.mode() == mode
    assert [one.denormals for one in found.activations] == expected
    assert expected[0] == expected[2] == 2 * 14 * 14
    assert [(one.elements, one.denormals) for one in found.weights] == [
        (216, 27),
        (8, 0),
        (6272, 0),
    ]
    assert worst_first(found.weights)[0].share == 0.125


def test_a_registered_network_with_random_weights_has_none(tiny_onnx: Path) -> None:
    exported = export(networks.resolve(f"onnx:{tiny_onnx}"))
    found = count(exported.onnx, exported.reference()[0])
    assert found.none
    assert "nothing to do" in denormals_advice.of_counts("tiny", found)


def test_advice_names_the_worst_layer() -> None:
    layers = (DenormalCount("good", 100, 1), DenormalCount("bad", 10, 9))
    sentence = denormals_advice.of_counts("n", Denormals(1, (), layers))
    assert "9.1 % of what its layers compute" in sentence
    assert "bad (90.0 %)" in sentence
