"""Networks of many forms, rewritten: the same answers, with kernels of ours wherever they fit."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from facebench.architectures.errors import RefusedError
from facebench.architectures.shiftnet import Shift
from facebench.harness.compiler import build
from facebench.harness.compiler.importing import import_network
from facebench.harness.compiler.targets import TARGETS
from facebench.harness.compiler.tvm import features_of, import_tvm, resolve
from facebench.harness.models import export, networks
from facebench.harness.models.answers import relative_error
from facebench.harness.models.export import Exported
from facebench.harness.runtimes.registry import RUNTIMES
from tests.harness.conftest import write_onnx
from tests.sampling import covering

SIZE = 16


class Residual(nn.Module):
    """A block whose output is added to its input, between two convolutions."""

    def __init__(self, *body: nn.Module, after: nn.Module | None = None) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 12, 3, stride=2, padding=1)
        self.body = nn.Sequential(*body)
        self.after = after or nn.Identity()
        self.head = nn.Conv2d(12, 8, 8)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        maps = functional.relu(self.stem(images))
        return self.head(self.after(maps + self.body(maps))).flatten(1)


class Shuffled(nn.Module):
    """Grouped convolutions around a channel shuffle and what stands behind it."""

    def __init__(self, groups: int, *behind: nn.Module, channels: int = 24) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, channels, 3, stride=2, padding=1)
        self.first = nn.Conv2d(channels, channels, 1, groups=groups)
        self.behind = nn.Sequential(*behind)
        self.groups = groups

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        maps = functional.relu(self.first(self.stem(images)))
        channels, height, width = maps.shape[1:]
        maps = maps.reshape(-1, self.groups, channels // self.groups, height, width)
        maps = maps.transpose(1, 2).reshape(-1, channels, height, width)
        return self.behind(maps).mean((2, 3))


class SqueezeExcite(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.down, self.up = nn.Conv2d(channels, 4, 1), nn.Conv2d(4, channels, 1)

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        weights = functional.adaptive_avg_pool2d(maps, 1)
        return maps * torch.sigmoid(self.up(functional.relu(self.down(weights))))


class Branches(nn.Module):
    """Two branches, one of them a pool, joined along channels."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 10, 3, padding=1)
        self.branch = nn.Conv2d(10, 6, 3, stride=2, padding=1)
        self.head = nn.Linear(16 * 8 * 8, 8)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        maps = self.stem(images)
        pooled = functional.avg_pool2d(maps, 3, 2, 1)
        return self.head(functional.relu(torch.cat([pooled, self.branch(maps)], 1)).flatten(1))


class Cut(nn.Module):
    """Nearly a shift: padded by ones and its channels in another order, or cut before."""

    def __init__(self, first: bool = False) -> None:
        super().__init__()
        self.first = first

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        if self.first:
            cut = [functional.pad(one[:, :, 2:, :], (0, 0, 1, 1)) for one in maps.split(6, 1)]
            return torch.cat(cut, 1)
        padded = functional.pad(maps, (0, 1, 0, 1), value=1.0)
        return torch.cat([padded[:, 6:, 1:, :-1], padded[:, :6, :-1, 1:]], 1)


class Rows(nn.Module):
    """A transformer's two layers, on a map as (N, H, W, C), or on its pixels as (N, H * W, C)."""

    def __init__(self, flat: bool) -> None:
        super().__init__()
        self.flat = flat
        self.norm, self.up, self.down = nn.LayerNorm(12), nn.Linear(12, 20), nn.Linear(20, 12)

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        rows = maps.flatten(2).transpose(1, 2) if self.flat else maps.permute(0, 2, 3, 1)
        rows = rows + self.down(functional.gelu(self.up(self.norm(rows))))
        rows = functional.prelu(rows, torch.tensor([0.5]))
        if self.flat:
            return rows.transpose(1, 2).reshape(-1, *maps.shape[1:])
        return rows.permute(0, 3, 1, 2)


def steep() -> nn.Module:
    activation = nn.PReLU(12)
    nn.init.uniform_(activation.weight, -2, 2)
    return activation


FORMS: dict[str, Callable[[], nn.Module]] = {
    "residual": lambda: Residual(nn.Conv2d(12, 12, 1)),
    "activated residual": lambda: Residual(nn.Conv2d(12, 12, 1), after=nn.ReLU()),
    "residual of an activation": lambda: Residual(nn.Conv2d(12, 12, 3, padding=1), nn.ReLU6()),
    "steep slopes": lambda: Residual(nn.Conv2d(12, 12, 1), steep()),
    "one slope": lambda: Residual(nn.Conv2d(12, 12, 1), nn.PReLU()),
    "depthwise": lambda: Residual(nn.Conv2d(12, 12, 5, padding=2, groups=12), steep()),
    "dilated": lambda: Residual(nn.Conv2d(12, 12, 3, padding=2, dilation=2)),
    "one channel added to all": lambda: Residual(nn.Conv2d(12, 1, 3, padding=1)),
    "no bias": lambda: Residual(nn.Conv2d(12, 12, 1, bias=False)),
    "grouped": lambda: Residual(nn.Conv2d(12, 12, 3, padding=1, groups=4)),
    "squeeze and excite": lambda: Residual(nn.Conv2d(12, 12, 1), SqueezeExcite(12)),
    "hard swish": lambda: Residual(nn.Conv2d(12, 12, 1), nn.Hardswish()),
    "sigmoid": lambda: Residual(nn.Conv2d(12, 12, 1), nn.SiLU()),
    "gelu": lambda: Residual(nn.Conv2d(12, 12, 3, padding=1), nn.GELU(), nn.Conv2d(12, 12, 1)),
    "clipped at 4": lambda: Residual(nn.Conv2d(12, 12, 1), nn.Hardtanh(0, 4)),
    "odd channels": lambda: Residual(nn.Conv2d(12, 7, 1), nn.ReLU(), nn.Conv2d(7, 12, 1)),
    "maximum pool": lambda: Residual(nn.MaxPool2d(3, 1, 1)),
    "mean without padding": lambda: Residual(nn.AvgPool2d(3, 1, 1, count_include_pad=False)),
    "softmax": lambda: Residual(nn.Conv2d(12, 12, 1), nn.Softmax(1)),
    "upsampled": lambda: Residual(nn.MaxPool2d(2), nn.Upsample(scale_factor=2)),
    "transposed convolution": lambda: Residual(nn.ConvTranspose2d(12, 12, 3, padding=1)),
    "branches": Branches,
    "shuffle, depthwise, grouped": lambda: Shuffled(
        3, nn.Conv2d(24, 24, 3, padding=1, groups=24), nn.PReLU(24), nn.Conv2d(24, 12, 1, groups=3)
    ),
    "shuffle, grouped otherwise": lambda: Shuffled(4, nn.Conv2d(24, 12, 1, groups=3)),
    "shuffle of uneven runs": lambda: Shuffled(
        3, nn.Conv2d(60, 60, 1, groups=3), nn.ReLU(), channels=60
    ),
    "shuffle, dense": lambda: Shuffled(2, nn.Conv2d(24, 12, 3, padding=1)),
    "shuffle, then a pool": lambda: Shuffled(2, nn.MaxPool2d(2)),
    "shift": lambda: Residual(Shift(12, 3, (8, 8)), nn.Conv2d(12, 12, 1)),
    "shift, then a pool": lambda: Residual(Shift(12, 3, (8, 8)), nn.MaxPool2d(3, 1, 1)),
    "rows that are padded and cut": lambda: Residual(Cut(), nn.Conv2d(12, 12, 1)),
    "rows that are cut, then padded": lambda: Residual(Cut(first=True), nn.Conv2d(12, 12, 1)),
    "rows of pixels": lambda: Residual(Rows(flat=False), nn.Conv2d(12, 12, 1)),
    "rows of all pixels": lambda: Residual(Rows(flat=True)),
    "only a product": lambda: nn.Sequential(nn.Flatten(), nn.Linear(3 * SIZE * SIZE, 8), nn.ReLU()),
    "group normalization": lambda: Residual(
        nn.Conv2d(12, 12, 1), nn.GroupNorm(1, 12), nn.Conv2d(12, 12, 1), nn.GroupNorm(3, 12)
    ),
}


def exported(module: nn.Module, folder: Path) -> Exported:
    path = write_onnx(module.eval(), folder / "network.onnx", SIZE)
    return export.export(networks.resolve(f"onnx:{path}"))


@pytest.mark.parametrize(("form", "batch"), covering([*FORMS], [1, 3]))
def test_a_rewritten_network_answers_as_torch_does(form: str, batch: int, tmp_path: Path) -> None:
    torch.manual_seed(0)
    given = exported(FORMS[form](), tmp_path)
    made = build.compile_network(given, TARGETS["host"], batch)
    images, truth = (array[:batch] for array in given.reference())
    answer = RUNTIMES["tvm"].open(made.folder, 1)(np.ascontiguousarray(images))
    assert relative_error(answer, truth) < 1e-5
    assert made.compilation().kernels["plain"] == 0


# What has a form for single precision alone, as TVM imports it.
SINGLE: dict[str, Callable[[], nn.Module]] = {
    "padded by a number": lambda: Residual(nn.ConstantPad2d(1, 2.0), nn.Conv2d(12, 12, 3)),
    "padded by what lies at the edge": lambda: Residual(
        nn.ReflectionPad2d((1, 1, 1, 1)), nn.Conv2d(12, 12, 3)
    ),
    "normalized image": lambda: nn.Sequential(nn.BatchNorm2d(3), Residual(nn.Conv2d(12, 12, 1))),
}


@pytest.mark.parametrize("form", SINGLE)
def test_half_precision_computes_in_single_what_has_no_other_form(
    form: str, tmp_path: Path
) -> None:
    torch.manual_seed(0)
    given = exported(SINGLE[form](), tmp_path)
    made = build.compile_network(given, TARGETS["host"], 1, half=True)
    images, truth = (array[:1] for array in given.reference())
    answer = RUNTIMES["tvm"].open(made.folder, 1)(np.ascontiguousarray(images))
    assert 1e-6 < relative_error(answer, truth) < 3e-2


@pytest.mark.parametrize("part", ["weight", "bias"])
def test_half_precision_refuses_weights_that_it_cannot_hold(part: str, tmp_path: Path) -> None:
    module = Residual(nn.Conv2d(12, 12, 1))
    given = exported(module, tmp_path)
    with torch.no_grad():
        getattr(module.stem, part).flatten()[0] = 65520
    (tmp_path / "large").mkdir()
    large = exported(module, tmp_path / "large")
    build.compile_network(given, TARGETS["host"], 1, half=True)
    with pytest.raises(RefusedError, match="weights of this network reach 6.6e.04, .*: use fp32"):
        build.compile_network(large, TARGETS["host"], 1, half=True)


def kernels(module: nn.Module, folder: Path) -> list[str]:
    """The functions that a rewritten network calls, in order."""
    tvm = import_tvm()
    target = resolve(TARGETS["host"])
    described = tvm.target.Target(target.options())
    features = features_of(target, described)
    given = import_network(exported(module, folder), 1)
    main = build._lower(given, target, described, features)[0]["main"]
    calls = [binding.value for block in main.body.blocks for binding in block.bindings]
    names = [call.args[0].name_hint for call in calls if call.op.name == "relax.call_tir"]
    return [name for name in names if not name.startswith("reshape")]


def test_what_follows_a_convolution_is_fused_into_it(tmp_path: Path) -> None:
    block = Residual(nn.Conv2d(12, 12, 1), after=nn.ReLU())
    found = kernels(block, tmp_path)
    assert found == [
        "convolution3x3s2_8x8_3to12_relu",
        "pointwise_8x8_12to12_add_relu",
        "convolution8x8_1x1_12to8",
    ]


class Written(nn.Module):
    """An activation as its formula, and what else reads the map that it is of."""

    def __init__(self, formula: Callable[[torch.Tensor], torch.Tensor]) -> None:
        super().__init__()
        self.formula = formula

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        return self.formula(maps)


WRITTEN: dict[str, tuple[nn.Module, str]] = {
    "silu": (nn.SiLU(), "silu"),
    "gelu": (nn.GELU(), "gelu"),
    "half of x first": (Written(lambda x: 0.5 * x * (1 + torch.erf(x / 2**0.5))), "gelu"),
    "gelu by tanh": (nn.GELU(approximate="tanh"), "gelu_tanh"),
    "hard swish": (nn.Hardswish(), "hard_swish"),
    "hard swish by relu6": (Written(lambda x: x * functional.relu6(x + 3) / 6), "hard_swish"),
    "hard sigmoid": (nn.Hardsigmoid(), "hard_sigmoid"),
    "sigmoid": (nn.Sigmoid(), "sigmoid"),
    "tanh": (nn.Tanh(), "tanh"),
    "then a rectifier": (nn.Sequential(nn.SiLU(), nn.ReLU()), "silu_relu"),
    "sum and activation": (Written(lambda x: x + functional.silu(x)), ""),
    "of the activation's own": (Written(lambda x: functional.silu(x) * torch.sigmoid(x)), ""),
    "gelu of another root": (Written(lambda x: 0.5 * x * (1 + torch.erf(x / 1.5))), ""),
}


class Beside(nn.Module):
    """Convolutions of the image to 1, 2, ... channels, each with an activation; maps are joined."""

    def __init__(self, *activations: nn.Module) -> None:
        super().__init__()
        made = enumerate(activations, start=1)
        self.branches = nn.ModuleList(nn.Sequential(nn.Conv2d(3, n, 1), one) for n, one in made)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return torch.cat([branch(images) for branch in self.branches], 1).mean((2, 3))


def test_an_activation_is_part_of_its_convolution_however_it_is_written(tmp_path: Path) -> None:
    found = kernels(Beside(*(activation for activation, _ in WRITTEN.values())), tmp_path)
    names = {
        f"pointwise_16x16_3to{number}{expected and '_'}{expected}"
        for number, (_, expected) in enumerate(WRITTEN.values(), start=1)
    }
    assert {name for name in found if name.startswith("pointwise")} == names


def test_a_channel_shuffle_costs_no_copy(tmp_path: Path) -> None:
    behind = [nn.Conv2d(24, 24, 3, padding=1, groups=24), nn.Conv2d(24, 12, 1, groups=3)]
    found = kernels(Shuffled(3, *behind), tmp_path)
    assert [name.split("_")[0] for name in found] == [
        "convolution3x3s2",
        "pointwise",
        "depthwise3x3",
        "pointwise",
        "mean8x8",
    ]


def test_a_product_of_rows_is_a_pointwise_convolution(tmp_path: Path) -> None:
    found = kernels(Residual(Rows(flat=False)), tmp_path)
    assert [name for name in found if name.startswith("pointwise")] == [
        "pointwise_1x64_12to20_gelu",
        "pointwise_1x64_20to12_add",
    ]
    assert not [name for name in found if "matmul" in name or "transpose" in name]


def test_a_normalized_map_is_not_turned(tmp_path: Path) -> None:
    body = [nn.Conv2d(12, 12, 1), nn.GroupNorm(1, 12), nn.Conv2d(12, 12, 1)]
    found = kernels(Residual(*body), tmp_path)
    assert [name for name in found if "variance" in name]
    assert not [name for name in found if "transpose" in name]


def test_a_shift_is_part_of_the_convolution_behind_it(tmp_path: Path) -> None:
    behind = [Shift(12, 3, (8, 8)), nn.Conv2d(12, 12, 1)]
    assert kernels(Residual(*behind), tmp_path)[1:-1] == ["shifted3x3_8x8_12to12_add"]
    # Others read it too, or what reads it is no such convolution.
    pooled = Residual(Shift(12, 3, (8, 8)), nn.MaxPool2d(3, 1, 1))
    assert kernels(pooled, tmp_path)[1] == "depthwise3x3_8x8_12"


def test_the_image_is_read_as_it_comes(tmp_path: Path) -> None:
    found = kernels(Residual(nn.Conv2d(12, 12, 1)), tmp_path)
    assert found
    assert not [name for name in found if "transpose" in name]


def test_a_flattened_map_is_multiplied_where_it_lies(tmp_path: Path) -> None:
    found = kernels(Branches(), tmp_path)
    assert found[-1] == "convolution8x8_1x1_16to8"
    assert not [name for name in found if "transpose" in name]


def test_kernels_of_one_workload_are_one(tmp_path: Path) -> None:
    block = [nn.Conv2d(12, 12, 1), nn.ReLU()]
    found = kernels(Residual(*block, *block, nn.Conv2d(12, 12, 1)), tmp_path)
    assert found.count("pointwise_8x8_12to12_relu") == 2
