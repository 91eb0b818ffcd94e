"""The faster layers compute what torch's do, in double precision and in bfloat16."""

from __future__ import annotations

import copy
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from facebench.architectures import registry
from facebench.harness.training.kernels.layers import faster_layers
from facebench.harness.training.kernels.library import lacking

pytestmark = pytest.mark.skipif(lacking() is not None, reason=str(lacking()))

RECTIFIERS: dict[str, Callable[[int], nn.Module]] = {
    "none": lambda channels: nn.Identity(),
    "prelu": lambda channels: nn.PReLU(channels, init=0.3),
    "one slope": lambda channels: nn.PReLU(init=-0.2),
    "relu": lambda channels: nn.ReLU(),
    "relu6": lambda channels: nn.ReLU6(),
}


def block(rectifier: str, channels: int) -> nn.Sequential:
    torch.manual_seed(1)
    made = nn.Sequential(nn.BatchNorm2d(channels), RECTIFIERS[rectifier](channels))
    nn.init.normal_(made[0].weight, 2.0, 1.0)
    nn.init.normal_(made[0].bias, 1.0, 2.0)
    return made.train()


def gradients(network: nn.Module, x: Tensor, gradient: Tensor) -> list[Tensor]:
    """Output, the gradients of the input and of the parameters, and BN's running statistics."""
    x = x.detach().clone().requires_grad_()
    y = network(x)
    y.backward(gradient.to(y.dtype))
    assert x.grad is not None
    found = [y.detach(), x.grad, *(p.grad for p in network.parameters()), *network.buffers()]
    return [one.double() for one in found if one is not None]


@pytest.mark.parametrize("rectifier", RECTIFIERS)
@pytest.mark.parametrize("shape", [(3, 5, 7, 6), (9, 64, 1, 1), (5, 130, 16, 9)], ids=str)
def test_normalization_with_its_rectifier_is_torchs_in_double_precision(
    rectifier: str, shape: tuple[int, ...]
) -> None:
    network = block(rectifier, shape[1])
    # A mean far from 0 takes digits from whoever subtracts squares; where there is a bend, an
    # element that rounding brings over it has another gradient altogether.
    mean = 40 if rectifier == "none" else 0
    x, gradient = mean + 3 * torch.randn(shape), torch.randn(shape)
    true = gradients(copy.deepcopy(network).double(), x.double(), gradient.double())
    with faster_layers(network, half=False):
        assert type(network[0]) is not nn.BatchNorm2d
        found = gradients(network, x, gradient)
    for mine, its in zip(found, true, strict=True):
        torch.testing.assert_close(mine, its, rtol=2e-5, atol=2e-5)


@pytest.mark.parametrize("rectifier", RECTIFIERS)
def test_in_bfloat16_it_rounds_its_maps_alone(rectifier: str) -> None:
    shape = (4, 32, 14, 14)
    network = block(rectifier, shape[1])
    x, gradient = torch.randn(shape).bfloat16(), torch.randn(shape).bfloat16()
    true = gradients(copy.deepcopy(network).double(), x.double(), gradient.double())
    with faster_layers(network, half=True):
        found = gradients(network, x, gradient)
    for number, (mine, its) in enumerate(zip(found, true, strict=True)):
        rounded = number < 2  # output and gradient are maps; all else stays in single precision
        torch.testing.assert_close(
            mine, its, rtol=2**-8 if rounded else 1e-4, atol=1e-4 if rounded else 1e-3
        )


@pytest.mark.parametrize(
    ("kernel", "stride", "padding", "size"),
    [(3, 1, 1, (9, 8)), (3, 2, 1, (9, 8)), (3, 1, 1, (1, 1)), ((7, 6), 1, 0, (7, 6))],
    ids=["plain", "strided", "one place", "global"],
)
def test_depthwise_convolution_in_bfloat16_is_torchs_within_its_rounding(
    kernel: int | tuple[int, int], stride: int, padding: int, size: tuple[int, int]
) -> None:
    torch.manual_seed(2)
    network = nn.Sequential(
        nn.Conv2d(16, 16, kernel, stride, padding, groups=16, bias=False)
    ).train()
    x = torch.randn(6, 16, *size)
    gradient = torch.randn_like(network(x)).bfloat16()
    with torch.no_grad():
        network[0].weight.copy_(network[0].weight.bfloat16())
    x = x.bfloat16()
    true = gradients(copy.deepcopy(network).double(), x.double(), gradient.double())
    with faster_layers(network, half=True):
        found = gradients(network, x, gradient)
    for mine, its in zip(found, true, strict=True):
        torch.testing.assert_close(mine, its, rtol=2**-7, atol=2**-7 * float(its.abs().max()))


def test_a_network_has_its_own_layers_back_and_kept_its_names() -> None:
    network = registry.find("mobilefacenet_s").build().train()
    kinds, names = [type(layer) for layer in network.modules()], list(network.state_dict())
    with faster_layers(network, half=True):
        changed = [type(layer) for layer in network.modules()]
        # 17 depthwise convolutions, 48 BN, 32 PReLU.
        assert sum(a is not b for a, b in zip(kinds, changed, strict=True)) == 97
        assert list(network.state_dict()) == names
    assert [type(layer) for layer in network.modules()] == kinds


def test_a_rectifier_is_left_alone_where_something_lies_between_or_it_is_used_twice() -> None:
    shared = nn.PReLU(4)
    network = nn.Sequential(
        nn.BatchNorm2d(4), nn.Dropout(0.0), nn.PReLU(4), nn.BatchNorm2d(4), shared,
        nn.BatchNorm2d(4), shared,
    ).train()  # fmt: skip
    x, gradient = torch.randn(3, 4, 5, 5), torch.randn(3, 4, 5, 5)
    true = gradients(copy.deepcopy(network).double(), x.double(), gradient.double())
    with faster_layers(network, half=False):
        found = gradients(network, x, gradient)
    for mine, its in zip(found, true, strict=True):
        torch.testing.assert_close(mine, its, rtol=1e-4, atol=1e-4)


def test_outside_of_training_a_network_is_scored_as_ever() -> None:
    network = block("prelu", 8)
    x = torch.randn(2, 8, 3, 3)
    expected = network.eval()(x)
    with faster_layers(network, half=True):
        assert torch.equal(network.eval()(x), expected)
