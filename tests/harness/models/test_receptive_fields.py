"""Receptive fields against closed forms: of one convolution, and of a mean over all pixels."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from facebench.architectures.embedding import gap, gdconv
from facebench.architectures.errors import RefusedError
from facebench.harness.models.receptive_fields import compute
from facebench.harness.records.receptive_fields import Fields


class Net(nn.Sequential):
    """A linear map, then a head: gradients are the same for all images."""

    def __init__(self, stride: int, head: nn.Module) -> None:
        convolution = nn.Conv2d(3, 8, stride, stride, bias=False)
        nn.init.constant_(convolution.weight, 0.5)
        super().__init__(convolution, head)


def test_units_of_a_patchwork_see_their_own_patch_alone() -> None:
    found = compute(Net(16, gap(8, (7, 7), 4)).eval(), (112, 112))
    assert found.map_size == (7, 7)
    assert found.weights is None
    assert found.centre_emphasis is None
    assert found.corner_share == pytest.approx(1.0)
    for seen, (row, column) in ((found.centre, (3, 3)), (found.corner, (0, 0))):
        expected = np.zeros((7, 7))
        expected[row, column] = 1
        np.testing.assert_allclose(np.asarray(seen), expected.repeat(4, 0).repeat(4, 1))


def test_gdconv_weights_are_those_of_the_kernel() -> None:
    head = gdconv(8, (7, 7), 4)
    kernel = torch.arange(1.0, 50.0).view(7, 7)
    with torch.no_grad():
        head[0].conv.weight.copy_(-kernel.expand(8, 1, 7, 7))
    found = compute(Net(16, head).eval(), (112, 112))
    assert found.weights is not None
    np.testing.assert_allclose(np.asarray(found.weights), (kernel / kernel.mean()).numpy(), 1e-4)
    assert found.centre_emphasis == pytest.approx(1.0)


def test_corners_of_a_padded_convolution_see_less() -> None:
    padded = nn.Sequential(
        nn.Conv2d(3, 4, 16, 16, bias=False), nn.Conv2d(4, 4, 3, padding=1, bias=False),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(),
    )  # fmt: skip
    for convolution in list(padded)[:2]:
        nn.init.constant_(convolution.weight, 0.1)
    found = compute(padded.eval(), (112, 112))
    assert found.corner_share == pytest.approx(4 / 9), "four of nine places are inside"


def test_without_a_map_there_is_nothing_to_look_at() -> None:
    with pytest.raises(RefusedError, match="no map"):
        compute(nn.Sequential(nn.Flatten(), nn.Linear(48, 4)), (4, 4))


def test_emphasis_is_inner_places_over_the_ring() -> None:
    weights = np.ones((7, 7))
    weights[1:-1, 1:-1] = 3
    plain = tuple(tuple(row) for row in weights.tolist())
    assert Fields((7, 7), ((1.0,),), ((1.0,),), plain, 16).centre_emphasis == pytest.approx(3.0)
