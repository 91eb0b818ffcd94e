"""The ends of values' ranges: against all elements sorted."""

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from facebench.harness.models.ends import ends_of
from facebench.harness.stats.arrays import FloatArray

NETWORK = """<ir_version: 8, opset_import: ["" : 17]>
network (float[1, 3, N, N] image) => (float[1, 3, N, N] embedding) {
    bent = Sin(image)
    embedding = Mul(bent, bent)
}"""


def sorted_ends(values: FloatArray, cut: int) -> tuple[float, float]:
    every = np.sort(values.ravel())
    return float(every[cut]), float(every[-1 - cut])


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 1 << 32), st.sampled_from([1, 2, 40, 100]), st.integers(1, 12))
def test_ends_are_those_of_all_elements_sorted(seed: int, side: int, images: int) -> None:
    draw = np.random.default_rng(seed)
    # Halves, so that many elements are equal.
    shown = (draw.standard_cauchy((images, 3, side, side)) * 8).round().astype(np.float32) / 2
    found = ends_of(onnx.parser.parse_model(NETWORK), ["image", "bent"], shown)
    cut = int(shown.size * 2e-5)
    assert (found["image"].lowest, found["image"].highest) == sorted_ends(shown, cut)
    bent = found["bent"].lowest, found["bent"].highest
    assert bent == pytest.approx(sorted_ends(np.sin(shown), cut), abs=1e-6)
    channels = shown.transpose(1, 0, 2, 3).reshape(3, -1)
    np.testing.assert_array_equal(found["image"].channels.T, [channels.min(1), channels.max(1)])


def test_what_one_image_in_many_has_is_cut() -> None:
    shown = np.random.default_rng(0).uniform(-1, 1, (4, 3, 200, 200)).astype(np.float32)
    shown[2, 0, 0, 0], shown[1, 1, 5, 5] = 1000, -500
    ends = ends_of(onnx.parser.parse_model(NETWORK), ["image"], shown)["image"]
    assert (ends.lowest, ends.highest) == pytest.approx((-1, 1), abs=1e-3)
    assert ends.channels[1, 0] == -500
