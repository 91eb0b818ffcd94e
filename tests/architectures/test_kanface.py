"""KANFace's layer of splines is that of its publication, by scipy's B-splines."""

import numpy as np
import torch
from scipy.interpolate import BSpline
from torch import nn

from facebench.architectures.kanface import SplineLinear


def test_each_output_is_the_mean_of_a_silu_and_a_spline_of_each_feature() -> None:
    torch.manual_seed(0)
    features, outputs, intervals = 3, 2, 5
    layer = SplineLinear(features, outputs, intervals)
    with torch.no_grad():
        for parameter in (layer.base, layer.scale, layer.coefficients):
            parameter.uniform_(-1, 1)
    # Beyond the splines too, and at their knots.
    x = torch.cat([torch.linspace(-3, 3, 151), torch.tensor([-1.0, -0.2, 1.0])])
    x = torch.stack([x, -x, x.roll(7)], 1)
    base, scale, coefficients = (
        part.detach().double().numpy() for part in (layer.base, layer.scale, layer.coefficients)
    )
    knots = -1 + 2 / intervals * np.arange(-3, intervals + 4)
    expected = np.zeros((len(x), outputs))
    for output in range(outputs):
        for feature in range(features):
            given = x[:, feature].double()
            curve = BSpline(knots, coefficients[output, feature], 3, extrapolate=False)
            inside = np.abs(given.numpy()) <= 1
            spline = np.where(inside, np.nan_to_num(curve(given.numpy())), np.nan)
            expected[:, output] += (
                base[output, feature, 0] * nn.functional.silu(given).numpy()
                + scale[output, feature, 0] * spline
            ) / features
    with torch.no_grad():
        found, merged = layer(x).numpy(), layer.merged()(x).numpy()
    within = np.isfinite(expected)
    assert within.sum() > 50
    np.testing.assert_allclose(found[within], expected[within], atol=1e-6)
    np.testing.assert_allclose(merged, found, atol=1e-6)


def test_beyond_the_last_interval_splines_fade_to_nothing() -> None:
    layer = SplineLinear(1, 1, 4)
    with torch.no_grad():
        layer.base.zero_()
        layer.coefficients.fill_(1)
        layer.scale.fill_(1)
        found = layer(torch.tensor([[-2.0], [-1.0], [0.3], [1.0], [2.0], [2.5]])).flatten()
    assert torch.allclose(found, torch.tensor([1 / 6, 1, 1, 1, 1 / 6, 0]), atol=1e-6)
