"""FaceLiVT's parts compute what its papers write."""

import numpy as np
import pytest
import torch
from torch import nn

from facebench.architectures.facelivt import Affine, LinearAttention, Scale, Shortcut, rep_mix


def test_a_rep_mix_is_the_sum_of_its_branches() -> None:
    wide = nn.Conv2d(4, 4, 3, padding=1, groups=4, bias=False)
    narrow = nn.Conv2d(4, 4, 1, groups=4, bias=False)
    norm = nn.BatchNorm2d(4).eval()
    x = torch.rand(2, 4, 7, 7)
    made = rep_mix(4).eval()
    with torch.no_grad():
        kernel = wide.weight.clone()
        kernel[:, :, 1, 1] += narrow.weight[:, :, 0, 0] + 1
        made.conv.weight.copy_(kernel)
        expected = norm(wide(x) + narrow(x) + x)
        assert torch.allclose(made(x), expected, atol=1e-6)


def test_a_rep_mix_begins_near_the_identity() -> None:
    torch.manual_seed(0)
    middle = rep_mix(64).conv.weight[:, 0, 1, 1]
    assert float(middle.mean()) == pytest.approx(1, abs=0.1)


def test_lite_attention_mixes_the_places_of_each_share_of_the_channels() -> None:
    torch.manual_seed(0)
    heads: list[nn.Module] = [nn.Linear(9, 9) for _ in range(2)]
    block = Shortcut(LinearAttention(4, 3, Affine(4), heads), Scale(4))
    with torch.no_grad():
        for parameter in block.parameters():
            parameter.uniform_(-1, 1)
        x = torch.rand(2, 4, 3, 3)
        found = block(x).numpy()
    state = {name: value.numpy() for name, value in block.state_dict().items()}
    expected = np.empty((2, 4, 9), np.float32)
    for channel in range(4):
        tokens = x.numpy().reshape(2, 4, 9)[:, channel]
        weight, bias = state["layers.0.norm.weight"], state["layers.0.norm.bias"]
        normed = tokens * weight[channel, 0, 0] + bias[channel, 0, 0]
        head = f"layers.0.heads.{channel // 2}"
        mixed = normed @ state[f"{head}.weight"].T + state[f"{head}.bias"]
        expected[:, channel] = tokens + state["layers.1.weight"][channel, 0, 0] * mixed
    np.testing.assert_allclose(found.reshape(2, 4, 9), expected, rtol=1e-5, atol=1e-5)
