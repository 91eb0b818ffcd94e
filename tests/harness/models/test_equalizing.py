"""Equalized networks compute what they did, by torch, and use more of their maps' ranges."""

from collections.abc import Sequence

import numpy as np
import onnx
import pytest
import torch
from torch.nn import functional

from facebench.harness.models.ends import ends_of
from facebench.harness.models.integer_network.calibrating import Range, range_between
from facebench.harness.models.integer_network.equalizing import equalized
from facebench.harness.models.integer_network.reading import real_steps
from facebench.harness.models.integer_network.steps import RealShuffle, RealStep, RealSums, reach
from facebench.harness.models.onnx_cost.graph import read
from facebench.harness.stats.arrays import FloatArray

SHAPES = {
    "w1": (12, 3, 3, 3), "b1": (12,), "slopes": (12, 1, 1), "w2": (12, 1, 3, 3), "b2": (12,),
    "w3": (15, 12, 1, 1), "b3": (15,), "w4": (15, 1, 1, 1), "b4": (15,), "w5": (5, 15, 6, 6),
}  # fmt: skip


@pytest.fixture(scope="module")
def model() -> onnx.ModelProto:
    """A network with a PReLU, a depthwise layer behind a shuffle, and one behind ReLU6."""
    made = onnx.parser.parse_model("""<ir_version: 8, opset_import: ["" : 17]>
    network (float[N, 3, 8, 8] image) => (float[N, 5, 1, 1] embedding) {
        a = Conv <pads = [1, 1, 1, 1]> (image, w1, b1)
        bent = PRelu(a, slopes)
        rows = Reshape(bent, apart)
        turned = Transpose <perm = [0, 2, 1, 3, 4]> (rows)
        mixed = Reshape(turned, together)
        b = Conv <group = 12> (mixed, w2, b2)
        low = Constant <value = float {0}> ()
        high = Constant <value = float {6}> ()
        cut = Clip(b, low, high)
        c = Conv (cut, w3, b3)
        held = Clip(c, low, high)
        d = Conv <group = 15> (held, w4, b4)
        embedding = Conv (d, w5)
    }""")
    draw = np.random.default_rng(8)
    arrays = {name: draw.normal(0, 0.3, shape) for name, shape in SHAPES.items()}
    # Channels of very different sizes, one that is always zero, and one that never is.
    arrays["w1"] *= np.geomspace(0.02, 2, 12)[:, None, None, None]
    arrays["w2"][3], arrays["b2"][3], arrays["b2"][4] = 0, -1, 5
    for name, value in arrays.items():
        made.graph.initializer.append(onnx.numpy_helper.from_array(value.astype(np.float32), name))
    for name, places in (("apart", [0, 3, 4, 8, 8]), ("together", [0, 12, 8, 8])):
        made.graph.initializer.append(onnx.numpy_helper.from_array(np.array(places), name))
    return made


def computed(steps: Sequence[RealStep], images: FloatArray) -> dict[str, torch.Tensor]:
    """What the steps say, by torch in double precision."""
    found = {"image": torch.from_numpy(images).double()}
    for step in steps:
        if isinstance(step, RealShuffle):
            apart = found[step.source].unflatten(1, (step.groups, -1))
            found[step.result] = apart.transpose(1, 2).flatten(1, 2)
            continue
        assert isinstance(step, RealSums)
        weights, bias = (torch.from_numpy(one).double() for one in (step.weights, step.bias))
        made = functional.conv2d(
            found[step.source], weights, bias, step.stride, step.padding, step.dilation, step.groups
        )
        made = made + found[step.added] if step.added else made
        if step.activation == "prelu":
            assert step.slopes is not None
            made = functional.prelu(made, torch.from_numpy(step.slopes).double())
        elif step.activation:
            made = made.clamp(0, 6 if step.activation == "relu6" else None)
        found[step.result] = made
    return found


def test_an_equalized_network_is_the_same_and_uses_more_of_its_ranges(
    model: onnx.ModelProto,
) -> None:
    images = np.random.default_rng(2).uniform(-1, 1, (24, 3, 8, 8)).astype(np.float32)
    steps = real_steps("network", read(model, (1, 3, 8, 8)))
    names = [step.result for step in steps[:-1] if isinstance(step, RealSums)]
    ends = ends_of(model, names, images)
    found = {name: range_between(one.lowest, one.highest) for name, one in ends.items()}
    found["image"] = Range(2 / 255, 127)
    made = equalized(steps, found, ends)
    before, after = computed(steps, images), computed(made, images)
    torch.testing.assert_close(after["embedding"], before["embedding"], rtol=1e-5, atol=1e-5)

    def used(values: dict[str, torch.Tensor], name: str) -> FloatArray:
        """Share of a map's range that each channel comes to, the nearer end of both."""
        low, high = (found[name].scale * (end - found[name].zero) for end in (0, 255))
        flat = values[name].transpose(0, 1).flatten(1)
        above = flat.amax(1) / high
        return torch.maximum(above, flat.amin(1) / low if low else above).numpy()

    bent, cut, held, _ = names
    assert used(before, bent).min() < 0.05
    assert used(after, bent).min() == pytest.approx(1, abs=1e-3)
    alive = used(before, held) > 0
    assert 3 <= alive.sum() < 15
    assert used(before, held)[alive].min() < 0.5
    assert used(after, held)[alive].min() == pytest.approx(1, abs=1e-3)
    for old, new in zip(steps[:-1], made, strict=False):
        if isinstance(old, RealSums) and isinstance(new, RealSums):
            scales = found[old.result].scale, found.get(old.source, found[bent]).scale
            was, is_now = (reach(one, scales[1]) / scales[0] for one in (old, new))
            assert (is_now <= np.maximum(was, 30_001)).all()
    # What no depthwise layer reads stays what it was.
    torch.testing.assert_close(after[cut], before[cut])
