"""Folded networks compute the same, and hold no BN that could have been folded."""

import functools
import io
import math
import subprocess
import sys
import warnings

import onnx
import onnx2torch
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from facebench.architectures.errors import BadInputError
from facebench.architectures.initialise import create
from facebench.architectures.registry import find, mobile_names
from facebench.harness.models.bn_folding import fold_batch_norm, inference_form
from tests.sampling import sixth

TIMM = ["timm:mobilenetv3_small_100:fc", "timm:ghostnet_100:gap", "timm:resnet18:gdconv"]

network = functools.cache(create)


def norms(module):
    return [m for m in module.modules() if isinstance(m, _BatchNorm)]


def size(module):
    return sum(p.numel() for p in module.parameters())


def relative_error(found, expected):
    return ((found - expected).abs().max() / expected.abs().max()).item()


def lively(*layers):
    """The layers in eval mode, BN with statistics that are not those of a new one."""
    module = nn.Sequential(*layers).eval()
    for norm in norms(module):
        nn.init.normal_(norm.running_mean)
        nn.init.uniform_(norm.running_var, 0.5, 2.0)
        if norm.affine:
            nn.init.uniform_(norm.weight, 0.5, 2.0)
            nn.init.normal_(norm.bias)
    return module


# What these normalize is pooled, or a sum: no layer before takes it.
BEHIND_NO_LAYER = {"facelivt_s": 1, "facelivt_m": 1, "swiftfaceformer_s": 5}

# Channels of BN behind layers that have biases themselves.
BIASED = {"swiftfaceformer_s": 4232}


@pytest.mark.parametrize("name", sixth(mobile_names() + TIMM, 1))
def test_every_bn_behind_a_layer_goes_and_the_outputs_stay(name):
    x = torch.rand(2, 3, *find(name).input_size, generator=torch.Generator().manual_seed(3)) * 2 - 1
    folded = fold_batch_norm(network(name))
    assert relative_error(folded(x), network(name)(x)) < 1e-5
    left = norms(folded)
    assert len(left) == BEHIND_NO_LAYER.get(name, 0)
    # Weight and bias of each channel give way to one bias.
    channels = sum(norm.num_features for norm in norms(network(name)))
    channels -= sum(norm.num_features for norm in left)
    assert size(folded) == size(network(name)) - channels - BIASED.get(name, 0)


def test_the_original_is_left_as_it_was():
    module = lively(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)).train()
    before = {name: value.clone() for name, value in module.state_dict().items()}
    folded = fold_batch_norm(module)
    assert module.training
    assert not folded.training
    assert len(norms(module)) == 1
    assert all(torch.equal(before[name], v) for name, v in module.state_dict().items())


@given(
    groups=st.integers(1, 3),
    width=st.integers(1, 4),
    kernel=st.integers(1, 3),
    bias=st.booleans(),
    affine=st.booleans(),
    seed=st.integers(0, 99),
)
@settings(deadline=None, max_examples=40)
def test_any_convolution_takes_its_bn(groups, width, kernel, bias, affine, seed):
    torch.manual_seed(seed)
    channels = groups * width
    module = lively(
        nn.Conv2d(3 * groups, channels, kernel, groups=groups, bias=bias),
        nn.BatchNorm2d(channels, affine=affine),
    )
    folded = fold_batch_norm(module)
    x = torch.randn(2, 3 * groups, 5, 4)
    assert norms(folded) == []
    assert relative_error(folded(x), module(x)) < 1e-5


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("affine", [True, False])
def test_a_linear_layer_takes_its_bn(bias, affine):
    module = lively(nn.Flatten(), nn.Linear(12, 5, bias=bias), nn.BatchNorm1d(5, affine=affine))
    folded = fold_batch_norm(module)
    x = torch.randn(3, 3, 2, 2)
    assert norms(folded) == []
    assert relative_error(folded(x), module(x)) < 1e-5


class Branches(nn.Module):
    """One convolution with two BN after it, called once or twice."""

    def __init__(self, calls):
        super().__init__()
        self.calls = calls
        self.conv = nn.Conv2d(3, 3, 1)
        self.left, self.right = nn.BatchNorm2d(3), nn.BatchNorm2d(3)

    def forward(self, x):
        y = self.conv(x)
        z = self.conv(x) if self.calls == 2 else y
        return self.left(y) - 2 * self.right(z)


@pytest.mark.parametrize("calls", [1, 2])
def test_a_layer_with_two_readers_keeps_its_bn_and_its_outputs(calls):
    module = lively(Branches(calls))
    folded = fold_batch_norm(module)
    x = torch.randn(2, 3, 4, 4)
    assert len(norms(folded)) == 2
    assert relative_error(folded(x), module(x)) < 1e-5


def test_bn_that_follows_no_layer_stays():
    module = lively(nn.BatchNorm2d(3), nn.Conv2d(3, 4, 1), nn.ReLU(), nn.BatchNorm2d(4))
    folded = fold_batch_norm(module)
    x = torch.randn(2, 3, 4, 4)
    assert len(norms(folded)) == 2
    assert relative_error(folded(x), module(x)) < 1e-5


class Standardised(nn.Conv2d):
    """Computes with other weights than it holds."""

    def forward(self, x):
        return nn.functional.conv2d(x, self.weight - self.weight.mean())


def test_a_class_derived_from_a_layer_keeps_its_bn_and_its_outputs():
    module = lively(Standardised(3, 4, 1), nn.BatchNorm2d(4))
    folded = fold_batch_norm(module)
    x = torch.randn(2, 3, 4, 4)
    assert relative_error(folded(x), module(x)) < 1e-5


class Branching(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Conv2d(3, 3, 1)

    def forward(self, x):
        return self.layer(x) if x.sum() > 0 else x


def test_a_network_whose_flow_depends_on_its_data_is_refused():
    with pytest.raises(BadInputError, match="Branching cannot be traced"):
        fold_batch_norm(Branching())


@pytest.mark.parametrize("name", ["mobilefacenet_s", "shufflenet_v1"])
def test_a_network_read_from_onnx_folds_too(name):
    x = torch.rand(1, 3, *find(name).input_size, generator=torch.Generator().manual_seed(3)) * 2 - 1
    file = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            network(name),
            (x,),
            file,
            dynamo=False,
            opset_version=13,
            do_constant_folding=False,
            training=torch.onnx.TrainingMode.PRESERVE,
        )
    read = onnx2torch.convert(onnx.load_from_string(file.getvalue())).eval()
    folded = fold_batch_norm(read)
    assert norms(read)
    assert norms(folded) == []
    assert relative_error(folded(x), network(name)(x)) < 1e-5


class Doubled(nn.Module):
    """Two branches that deploy as one layer."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.two = nn.Linear(4, 4), nn.Linear(4, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.one(x) + self.two(x)

    def deployed(self) -> nn.Module:
        joined = nn.Linear(4, 4)
        with torch.no_grad():
            joined.weight.copy_(self.one.weight + self.two.weight)
            joined.bias.copy_(self.one.bias + self.two.bias)
        return joined


def test_what_deploys_as_another_module_is_that_and_computes_the_same() -> None:
    network = nn.Sequential(Doubled(), nn.ReLU(), nn.Sequential(Doubled()))
    made = inference_form(network)
    assert sum(p.numel() for p in made.parameters()) == 40
    assert sum(p.numel() for p in network.parameters()) == 80, "the original is left alone"
    x = torch.randn(3, 4)
    torch.testing.assert_close(made(x), network(x))
    torch.testing.assert_close(fold_batch_norm(network)(x), network(x))


class Windows(nn.Module):
    """Works with the sizes of its map, as windowed attention does."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.bn = nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        batch, _, height, width = x.shape
        padded = math.ceil(height / 4) * 4
        if padded != height:
            x = nn.functional.pad(x, (0, 0, 0, padded - height))
        y = self.bn(self.conv(x))
        windows = y.reshape(batch * 4, padded // 4, 4, width).transpose(1, 2)
        queries, keys = windows.reshape(batch, 2, -1, width).unbind(1)
        return (queries - keys).view(batch, -1)


@pytest.mark.parametrize("height", [5, 8])
def test_sizes_of_maps_are_constants_and_the_batch_stays_free(height: int) -> None:
    network = lively(Windows())
    folded = fold_batch_norm(network, (height, 6))
    assert norms(folded) == []
    assert not [n for n in folded.graph.nodes if n.target in ("size", "view")]
    for batch in (1, 2, 5):
        x = torch.randn(batch, 3, height, 6)
        torch.testing.assert_close(folded(x), network(x), atol=1e-5, rtol=1e-5)


class Extents(nn.Module):
    """Writes down the shapes of its maps, as a reshape with numbers does."""

    def __init__(self, *layers: nn.Module) -> None:
        super().__init__()
        self.layers = nn.ModuleList(layers)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for layer in self.layers:
            x = layer(x)
            x = x.reshape(-1, math.prod(x.shape[1:])).reshape(-1, *x.shape[1:])
        return x


@pytest.mark.parametrize(
    "layer",
    [
        nn.Conv2d(3, 6, (3, 2), (2, 1), (1, 0), groups=3),
        nn.Conv2d(3, 4, 3, padding=2, dilation=(2, 3)),
        nn.Conv2d(3, 4, 5, stride=4, padding=1, padding_mode="reflect"),
        nn.Conv2d(3, 4, 4, padding="same", dilation=2),
        nn.ConvTranspose2d(3, 4, 3, stride=2),
    ],
)
def test_shapes_behind_convolutions_are_those_that_torch_gives(layer: nn.Module) -> None:
    network = Extents(layer, nn.Linear(layer(torch.zeros(1, 3, 13, 11)).shape[-1], 7))
    folded = fold_batch_norm(network, (13, 11))
    assert not [n for n in folded.graph.nodes if n.target == "size"]
    for batch in (1, 3):
        x = torch.randn(batch, 3, 13, 11)
        torch.testing.assert_close(folded(x), network(x))


@pytest.mark.parametrize("layer", [nn.Conv2d(4, 4, 1), nn.Conv2d(3, 4, 20), nn.Linear(7, 2)])
def test_a_layer_that_does_not_fit_its_map_is_refused_where_shapes_are_known(
    layer: nn.Module,
) -> None:
    with pytest.raises(BadInputError, match="Extents cannot be traced"):
        fold_batch_norm(Extents(layer), (13, 11))


def test_a_trace_leaves_the_compiler_of_torch_alone() -> None:
    code = """
import sys
from facebench.architectures.initialise import create
from facebench.harness.models.bn_folding import fold_batch_norm
for name in ("mobilefacenet", "shufflenet_v1"):
    fold_batch_norm(create(name), (112, 112))
print([one for one in ("torch._dynamo", "sympy") if one in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.split() == ["[]"], done.stderr


def test_flow_that_depends_on_data_or_on_the_batch_is_refused_with_shapes_known() -> None:
    class ByBatch(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x if x.shape[0] > 1 else 2 * x

    for network in (Branching(), ByBatch()):
        with pytest.raises(BadInputError, match="cannot be traced"):
            fold_batch_norm(network, (8, 6))


class Heads(nn.Module):
    """Attention whose queries, keys and values come of one product."""

    def __init__(self, by_index: bool) -> None:
        super().__init__()
        self.by_index = by_index
        self.qkv = nn.Linear(6, 3 * 2 * 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        batch, length, _ = (tokens := x.flatten(1, 2)).shape
        qkv = self.qkv(tokens).reshape(batch, length, 3, 2, 4).permute(2, 0, 3, 1, 4)
        q, k, v = (qkv[0], qkv[1], qkv[2]) if self.by_index else qkv.unbind(0)
        made = (q @ k.transpose(-2, -1)).softmax(-1) @ v
        return made.transpose(1, 2).reshape(batch, length, 8)


@pytest.mark.parametrize("by_index", [True, False])
def test_attention_is_taken_apart_in_four_dimensions_and_computes_the_same(by_index: bool) -> None:
    network = Heads(by_index).eval()
    folded = fold_batch_norm(network, (5, 6))
    assert not [node for node in folded.graph.nodes if node.target == "unbind"]
    for batch in (1, 3):
        x = torch.randn(batch, 3, 5, 6)
        torch.testing.assert_close(folded(x), network(x))


def test_what_is_not_taken_apart_by_its_first_axis_stays_as_it_is() -> None:
    class Mixed(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            batch = x.shape[0]
            inner = x.reshape(batch, 3, 5, 2, 3).permute(4, 0, 1, 2, 3)
            return (inner[0] - inner[2]).reshape(batch, -1)

    x = torch.randn(2, 3, 5, 6)
    torch.testing.assert_close(fold_batch_norm(Mixed(), (5, 6))(x), Mixed()(x))


class Cells(nn.Module):
    """Takes the cells of a map apart and joins them again, as MobileViT does."""

    def __init__(self, height: int, width: int) -> None:
        super().__init__()
        self.height, self.width = height, width
        self.conv = nn.Conv2d(3, 4, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.conv(x)
        batch, channels, height, width = x.shape
        rows, columns = height // self.height, width // self.width
        cells = x.reshape(batch, channels, rows, self.height, columns, self.width)
        apart = cells.permute(0, 1, 3, 5, 2, 4).reshape(batch, channels, -1, rows * columns)
        mixed = apart.softmax(-1) * torch.arange(self.height * self.width).view(-1, 1)
        joined = mixed.reshape(batch, channels, self.height, self.width, rows, columns)
        return joined.permute(0, 1, 4, 2, 5, 3).reshape(batch, channels, height, width)


@pytest.mark.parametrize("cell", [(2, 2), (3, 3), (2, 3)])
def test_cells_of_a_map_are_taken_apart_and_joined_in_four_dimensions(
    cell: tuple[int, int],
) -> None:
    network = Cells(*cell).eval()
    folded = fold_batch_norm(network, (6, 12))
    deep = [n for n in folded.graph.nodes if n.target == "permute" and len(n.args) > 5]
    assert len(deep) == (0 if cell[0] == cell[1] else 2)
    for batch in (1, 3):
        x = torch.randn(batch, 3, 6, 12)
        torch.testing.assert_close(folded(x), network(x))


@pytest.mark.parametrize(("order", "axis"), [(2.0, -1), (2.0, 1), (1.0, 2)])
def test_normalizing_is_a_division_whose_shape_nobody_works_out(order: float, axis: int) -> None:
    class Normalized(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return nn.functional.normalize(x, order, dim=axis)

    folded = fold_batch_norm(Normalized(), (5, 6))
    x = torch.randn(2, 3, 5, 6)
    x[0, :, 2] = 0
    torch.testing.assert_close(folded(x), Normalized()(x))
    assert not [n for n in folded.graph.nodes if n.target is nn.functional.normalize]
