"""Definitions compute what torch computes."""

import importlib

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from facebench.harness.compiler.tvm import import_tvm
from facebench.harness.compiler.workload import (
    Convolution,
    Depthwise,
    Pooling,
    Shifted,
    Window,
    Workload,
    key,
)
from facebench.harness.tuning.operands import RealOperands, output_shape, random
from tests.harness.compiler.shifted_weights import as_convolution

SAME = Window((3, 3), (1, 1), (1, 1))
HALVING = Window((3, 3), (2, 2), (1, 1))

WORKLOADS: list[Workload] = [
    Convolution(1, (5, 4), (5, 4), 6, 7, Window((1, 1))),
    Convolution(2, (9, 8), (5, 4), 3, 5, HALVING, planar=True, epilogue=("prelu",)),
    Convolution(1, (6, 6), (6, 6), 4, 6, SAME, epilogue=("relu6",)),
    Convolution(1, (7, 6), (7, 6), 4, 3, Window((3, 3), (1, 1), (2, 2), (2, 2))),
    Convolution(1, (4, 4), (4, 4), 6, 9, Window((1, 1)), groups=3, epilogue=("add", "relu")),
    Convolution(1, (3, 5), (3, 5), 12, 6, Window((1, 1)), groups=3, shuffle=3),
    Convolution(1, (3, 3), (3, 3), 6, 4, Window((1, 1)), shuffle=2, epilogue=("leaky", "add")),
    Convolution(1, (4, 6), (1, 1), 5, 8, Window((4, 6))),
    Shifted(2, (9, 7), (5, 4), 20, 5, HALVING, epilogue=("add", "relu")),
    Shifted(1, (4, 5), (4, 5), 7, 5, SAME),
    Depthwise(2, (9, 7), (5, 4), 5, HALVING, epilogue=("prelu",)),
    Depthwise(1, (4, 4), (4, 4), 8, SAME, epilogue=("add", "relu6")),
    Depthwise(1, (4, 5), (1, 1), 3, Window((4, 5))),
    Pooling(1, (8, 8), (4, 4), 5, HALVING, "max"),
    Pooling(2, (4, 4), (1, 1), 3, Window((4, 4)), "mean"),
    Pooling(1, (8, 8), (4, 4), 5, HALVING, "mean", epilogue=("relu",)),
]


@pytest.mark.parametrize("work", WORKLOADS, ids=key)
def test_a_definition_gives_what_torch_gives(work: Workload) -> None:
    given = random(work)
    expected = in_torch(work, given)
    answer = defined(work, given)
    assert answer.shape == output_shape(work)
    np.testing.assert_allclose(answer, expected, rtol=0, atol=1e-6 * abs(expected).max())


def defined(work: Workload, given: RealOperands) -> np.ndarray:
    tvm = import_tvm()
    definition = importlib.import_module("facebench.harness.compiler.definition")
    module = tvm.IRModule({"f": definition.definition(work).with_attr("global_symbol", "f")})
    built = tvm.tirx.build(module, target="llvm", pipeline="s_tir")
    output = tvm.runtime.tensor(np.zeros(output_shape(work), np.float32))
    built["f"](*map(tvm.runtime.tensor, given.arguments(lambda weights: weights)), output)
    return np.asarray(output.numpy())


def in_torch(work: Workload, given: RealOperands) -> np.ndarray:
    """(N, H, W, F), in double precision."""
    planar = isinstance(work, Convolution) and work.planar
    image = torch.from_numpy(given.input).double()
    image = image if planar else image.permute(0, 3, 1, 2)
    if isinstance(work, Convolution) and work.shuffle > 1:
        n, c, h, w = image.shape
        image = (
            image.view(n, work.shuffle, c // work.shuffle, h, w).transpose(1, 2).reshape(n, c, h, w)
        )
    window = work.window
    places = (window.kernel, window.stride, window.padding)
    if isinstance(work, Pooling):
        found = F.max_pool2d(image, *places) if work.kind == "max" else F.avg_pool2d(image, *places)
    else:
        groups = work.groups if isinstance(work, Convolution) else work.channels
        taps = as_convolution(work, given.weights) if isinstance(work, Shifted) else given.weights
        weights, bias = map(torch.from_numpy, (taps, given.bias))
        found = F.conv2d(
            image, weights.double(), bias.double(), window.stride, window.padding,
            window.dilation, groups,
        )  # fmt: skip
    for step in work.epilogue:
        found = _step(step, found, given)
    return found.permute(0, 2, 3, 1).numpy()


def _step(step: str, values: torch.Tensor, given: RealOperands) -> torch.Tensor:
    if step == "add":
        assert given.added is not None
        return values + torch.from_numpy(given.added).double().permute(0, 3, 1, 2)
    if step in ("prelu", "leaky"):
        assert given.slopes is not None
        return F.prelu(values, torch.from_numpy(given.slopes).double())
    return {"relu": F.relu, "relu6": F.relu6}[step](values)
