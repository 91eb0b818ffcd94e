"""Networks of integers: their arithmetic against fractions and ONNX Runtime, their answers
against single precision."""

import json
import shutil
import struct
from dataclasses import asdict
from fractions import Fraction
from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper

from facebench.architectures.errors import RefusedError
from facebench.architectures.registry import Preprocessing
from facebench.harness.models import networks
from facebench.harness.models.export import Exported, export
from facebench.harness.models.integer_network import network as integer_network
from facebench.harness.models.integer_network import quantizing, reading, reference
from facebench.harness.models.integer_network.calibrating import (
    Range,
    range_between,
    trimmed,
)
from facebench.harness.models.integer_network.network import (
    ImageStep,
    IntegerMap,
    IntegerNetwork,
    SumsStep,
)
from facebench.harness.models.onnx_cost.graph import read
from facebench.harness.stats.arrays import FloatArray
from facebench.harness.verification.embedding import preprocess
from tests.harness.conftest import SIZE


@settings(max_examples=300, deadline=None)
@given(
    st.integers(-(1 << 24), 1 << 24),
    st.floats(2**-40, 2**-3, width=32) | st.sampled_from([0.5, 0.25, 2**-10, 0.0]),
)
def test_rounding_is_that_of_fractions(number: int, multiplier: float) -> None:
    found = reference.rounded(np.array([number], np.float32), np.float32(multiplier))
    # Python rounds fractions exactly, halves to the even integer.
    expected = round(Fraction(number) * Fraction(float(np.float32(multiplier))))
    assert abs(expected) > 1 << 24 or found[0] == expected


def sums_step(
    weights: np.ndarray, bias: np.ndarray, stride: int, padding: int, groups: int
) -> SumsStep:
    ones = np.ones(len(bias), np.float32)
    return SumsStep(
        "x",
        "y",
        weights,
        bias,
        ones,
        ones,
        (stride, stride),
        (padding, padding),
        groups=groups,
    )


@pytest.mark.parametrize(
    ("channels", "filters", "groups", "kernel", "stride", "padding"),
    [(8, 12, 1, 1, 1, 0), (3, 8, 1, 3, 2, 1), (8, 8, 8, 3, 1, 1), (12, 8, 4, 3, 2, 0)],
)
def test_sums_are_those_of_another_library(
    channels: int, filters: int, groups: int, kernel: int, stride: int, padding: int
) -> None:
    import onnxruntime

    draw = np.random.default_rng(0)
    weights = draw.integers(-127, 128, (filters, channels // groups, kernel, kernel), np.int8)
    elements = draw.integers(0, 256, (2, channels, 9, 9), np.uint8)
    node = helper.make_node(
        "ConvInteger",
        ["x", "w", "z"],
        ["y"],
        strides=[stride] * 2,
        pads=[padding] * 4,
        group=groups,
    )
    graph = helper.make_graph(
        [node],
        "sums",
        [helper.make_tensor_value_info("x", TensorProto.UINT8, elements.shape)],
        [helper.make_tensor_value_info("y", TensorProto.INT32, None)],
        [
            onnx.numpy_helper.from_array(weights, "w"),
            onnx.numpy_helper.from_array(np.uint8(131), "z"),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    session = onnxruntime.InferenceSession(model.SerializeToString())
    (expected,) = session.run(None, {"x": elements})
    bias = draw.integers(-(1 << 20), 1 << 20, filters, np.int32)
    step = sums_step(weights, bias, stride, padding, groups)
    found = reference.convolved(step, elements.astype(np.float32) - 131, expected.shape[2:])
    np.testing.assert_array_equal(found, expected + bias[:, None, None])


@pytest.mark.parametrize("channels", [8, 600])
def test_sums_are_exact_whatever_the_bytes(channels: int) -> None:
    weights = np.full((1, channels, 3, 3), 127, np.int8)
    step = sums_step(weights, np.array([2], np.int32), 1, 0, 1)
    found = reference.convolved(step, np.full((1, channels, 3, 3), 255, np.float32), (1, 1))
    assert found.item() == channels * 9 * 127 * 255 + 2


@settings(max_examples=100, deadline=None)
@given(st.integers(-(1 << 30), 1 << 30), st.sampled_from([1.0, 0.5**26, 0.3]))
def test_a_sum_becomes_a_number_of_24_bits_before_it_is_multiplied(
    number: int, multiplier: float
) -> None:
    one = np.full(1, multiplier, np.float32)
    step = SumsStep(
        "x", "y", np.zeros((1, 1, 1, 1), np.int8), np.array([number], np.int32), one, one, real=True
    )
    network = IntegerNetwork({"x": IntegerMap((1, 1, 1), 1.0, 0)}, (step,))
    found = reference.summed(network, step, {"x": np.zeros((1, 1, 1, 1), np.float32)})
    # Struct's conversion is that of C, to the nearest, halves to the even one.
    (near,) = struct.unpack("f", struct.pack("f", number))
    assert found.item() == np.float32(near) * one[0]


def noise(count: int, size: int) -> FloatArray:
    draw = np.random.default_rng(1)
    return draw.uniform(-1, 1, (count, 3, size, size)).astype(np.float32)


def cosines(one: FloatArray, other: FloatArray) -> FloatArray:
    lengths = np.linalg.norm(one, axis=1) * np.linalg.norm(other, axis=1)
    return (one * other).sum(axis=1) / lengths


def test_a_network_in_integers_is_near_to_single_precision_and_is_kept(
    tiny_exported: Exported, tmp_path: Path
) -> None:
    import onnxruntime

    size = tiny_exported.facts()["input_size"][0]
    images = noise(8, size)
    made = quantizing.integer_network(tiny_exported, images)
    session = onnxruntime.InferenceSession(tiny_exported.onnx)
    expected = np.concatenate([session.run(None, {"image": one[None]})[0] for one in images])
    found = reference.embed(made, images)
    assert cosines(found, expected).min() > 0.97
    made.save(tmp_path)
    assert integer_network.is_in(tmp_path)
    kept = reference.embed(integer_network.load(tmp_path), images)
    np.testing.assert_array_equal(kept, found)


def graph_of(text: str) -> onnx.ModelProto:
    return onnx.parser.parse_model(f'<ir_version: 8, opset_import: ["" : 17]>\n{text}')


def test_an_operator_without_integers_is_named() -> None:
    model = graph_of(
        """soft (float[1, 3, 4, 4] image) => (float[1, 3] embedding) {
        bent = Softmax(image)
        pooled = GlobalAveragePool(bent)
        embedding = Flatten(pooled)
    }"""
    )
    with pytest.raises(RefusedError, match=r"soft cannot be .* its operator Softmax .*; use"):
        reading.real_steps("soft", read(model, (1, 3, 4, 4)))


@pytest.mark.parametrize(
    ("operator", "named"),
    [
        ('Conv <auto_pad = "SAME_UPPER"> (image, w)', "Conv"),
        ('AveragePool <kernel_shape = [2, 2], auto_pad = "SAME_UPPER"> (image)', "AveragePool"),
        ("MatMul (image, v)", "MatMul"),
        ("PRelu (image, v)", "PRelu"),
    ],
)
def test_forms_that_are_not_read_are_refused_not_guessed(operator: str, named: str) -> None:
    model = graph_of(f"""odd (float[1, 4, 4, 4] image, float[4, 4, 3, 3] w, float[4, 4] v)
        => (float[1, 4, 4, 4] embedding) {{ embedding = {operator} }}""")
    for name, shape in (("w", (4, 4, 3, 3)), ("v", (4, 4))):
        ones = np.ones(shape, np.float32)
        model.graph.initializer.append(onnx.numpy_helper.from_array(ones, name))
    del model.graph.input[1:]
    with pytest.raises(RefusedError, match=f"its operator {named}"):
        reading.real_steps("odd", read(model, (1, 4, 4, 4)))


@pytest.mark.parametrize("first", ["one, all", "all, one"])
def test_a_map_of_one_channel_that_is_added_to_all_is_refused(first: str) -> None:
    model = graph_of(f"""spread (float[1, 4, 4, 4] image, float[1, 4, 1, 1] w, float[4, 4, 1, 1] v)
        => (float[1, 4, 4, 4] embedding) {{
        one = Conv(image, w)
        all = Conv(image, v)
        embedding = Add({first})
    }}""")
    for name, shape in (("w", (1, 4, 1, 1)), ("v", (4, 4, 1, 1))):
        ones = np.ones(shape, np.float32)
        model.graph.initializer.append(onnx.numpy_helper.from_array(ones, name))
    del model.graph.input[1:]
    with pytest.raises(RefusedError, match="its operator Add"):
        reading.real_steps("spread", read(model, (1, 4, 4, 4)))


def test_slopes_along_a_row_are_not_taken_for_those_of_channels() -> None:
    model = graph_of("""bent (float[1, 4, 4, 4] image, float[4, 4, 1, 1] w, float[4] slopes)
        => (float[1, 4, 4, 4] embedding) {
        made = Conv(image, w)
        embedding = PRelu(made, slopes)
    }""")
    for name, shape in (("w", (4, 4, 1, 1)), ("slopes", (4,))):
        ones = np.ones(shape, np.float32)
        model.graph.initializer.append(onnx.numpy_helper.from_array(ones, name))
    del model.graph.input[1:]
    with pytest.raises(RefusedError, match="its operator PRelu"):
        reading.real_steps("bent", read(model, (1, 4, 4, 4)))


def test_shuffles_and_joins_are_read_with_the_relu_after_them() -> None:
    model = graph_of(
        """unit (float[1, 6, 4, 4] image, float[6, 6, 1, 1] w, float[12, 12, 4, 4] v)
            => (float[1, 12, 1, 1] embedding) {
        split = Constant <value_ints = [1, 3, 2, 4, 4]> ()
        whole = Constant <value_ints = [1, 6, 4, 4]> ()
        apart = Reshape(image, split)
        turned = Transpose <perm = [0, 2, 1, 3, 4]> (apart)
        shuffled = Reshape(turned, whole)
        made = Conv(shuffled, w)
        mean = AveragePool <kernel_shape = [1, 1]> (image)
        joined = Concat <axis = 1> (mean, made)
        bent = Relu(joined)
        embedding = Conv(bent, v)
    }"""
    )
    draw = np.random.default_rng(0)
    weights = [draw.standard_normal(s).astype(np.float32) for s in ((6, 6, 1, 1), (12, 12, 4, 4))]
    for name, value in zip("wv", weights, strict=True):
        model.graph.initializer.append(onnx.numpy_helper.from_array(value, name))
    del model.graph.input[1:]
    graph = read(model, (1, 6, 4, 4))
    known = {"image": Range(1 / 64, 128), "bent": Range(6 / 255, 0)}
    found = quantizing.quantized("unit", graph, reading.real_steps("unit", graph), known)
    images = draw.uniform(-1, 1, (4, 6, 4, 4)).astype(np.float32)
    shuffled = images.reshape(4, 3, 2, 4, 4).swapaxes(1, 2).reshape(images.shape)
    made = np.einsum("nchw,fc->nfhw", shuffled, weights[0][:, :, 0, 0])
    joined = np.maximum(np.concatenate([images, made], axis=1), 0)
    expected = np.einsum("nchw,fchw->nf", joined, weights[1])
    assert cosines(reference.embed(found, images), expected).min() > 0.999


def test_a_filter_of_zeros_has_its_bias_and_a_bias_may_outweigh_all_weights() -> None:
    model = graph_of(
        """small (float[1, 3, 2, 2] image, float[2, 3, 2, 2] w, float[2] b)
            => (float[1, 2, 1, 1] embedding) { embedding = Conv(image, w, b) }"""
    )
    weights = np.zeros((2, 3, 2, 2), np.float32)
    weights[1] = 1e-6
    bias = np.array([3.0, -40.0], np.float32)
    for name, value in (("w", weights), ("b", bias)):
        model.graph.initializer.append(onnx.numpy_helper.from_array(value, name))
    del model.graph.input[1:]
    graph = read(model, (1, 3, 2, 2))
    steps = reading.real_steps("small", graph)
    found = quantizing.quantized("small", graph, steps, {"image": Range(1 / 128, 128)})
    answers = reference.embed(found, noise(4, 2))
    np.testing.assert_allclose(answers, np.tile(bias, (4, 1)), rtol=1e-5)


def test_a_step_of_very_many_taps_is_as_near_as_others() -> None:
    model = graph_of(
        """long (float[1, 3, 128, 128] image) => (float[1, 8, 1, 1] embedding)
            { embedding = Conv(image, w) }"""
    )
    weights = np.random.default_rng(0).normal(0, 0.01, (8, 3, 128, 128)).astype(np.float32)
    model.graph.initializer.append(onnx.numpy_helper.from_array(weights, "w"))
    graph = read(model, (1, 3, 128, 128))
    steps = reading.real_steps("long", graph)
    found = quantizing.quantized("long", graph, steps, {"image": Range(1 / 128, 128)})
    images = noise(4, 128)
    expected = np.einsum("nchw,fchw->nf", images, weights)
    assert cosines(reference.embed(found, images), expected).min() > 0.999


def test_pixels_beyond_the_range_are_cut() -> None:
    step = ImageStep("image", (-128 / 127.5, 127 / 127.5), 256 * 127.5, 256 * 128 + 128)
    network = IntegerNetwork({"image": IntegerMap((3, 1, 1), 1 / 127.5, 128)}, (step,))
    images = np.array([1e30, -np.inf, 0.0], np.float32).reshape(1, 3, 1, 1)
    made = reference.values(network, images)["image"]
    np.testing.assert_array_equal(made.ravel(), [255, 0, 128])


PREPROCESSED = {
    "the usual": Preprocessing(),
    "from 0 to 1": Preprocessing("RGB", (0.0, 0.0, 0.0), (255.0, 255.0, 255.0)),
    "as they are": Preprocessing("RGB", (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)),
    "about a third": Preprocessing("RGB", (84.9, 84.9, 84.9), (59.3, 59.3, 59.3)),
}


@pytest.mark.parametrize("how", PREPROCESSED)
def test_bytes_of_an_image_are_its_pixels(
    tiny_exported: Exported, tmp_path: Path, how: str
) -> None:
    shutil.copytree(tiny_exported.folder, tmp_path / "made")
    other = Exported(tmp_path / "made")
    facts = {**other.facts(), "preprocessing": asdict(PREPROCESSED[how])}
    (tmp_path / "made" / "facts.json").write_text(json.dumps(facts))
    pixels = np.arange(SIZE * SIZE * 3).reshape(1, SIZE, SIZE, 3).astype(np.uint8)
    assert len(np.unique(pixels)) == 256
    images = preprocess(pixels, PREPROCESSED[how])
    network = quantizing.integer_network(other, images)
    made = reference.values(network, images)[network.steps[0].result]
    np.testing.assert_array_equal(made, pixels.transpose(0, 3, 1, 2))


@pytest.mark.parametrize("padding", [0, 1])
def test_sums_of_an_image_are_of_its_pixels_whether_or_not_one_is_zero(padding: int) -> None:
    """Weights that integers hold exactly give the float's embedding, but for what lies outside."""
    draw = np.random.default_rng(5)
    weights = draw.integers(-1, 2, (6, 3, 5, 5)).astype(np.float32)
    weights[:, 0, 0, 0] = 127
    size = 5 - 2 * padding
    model = onnx.parser.parse_model(
        f"""<ir_version: 8, opset_import: ["" : 17]>
        whole (float[N, 3, {size}, {size}] image, float[6, 3, 5, 5] w) => (float[N, 6, 1, 1] e)
            {{ e = Conv <pads = [{padding}, {padding}, {padding}, {padding}]> (image, w) }}"""
    )
    del model.graph.input[1]
    model.graph.initializer.append(onnx.numpy_helper.from_array(weights, "w"))
    pixels = draw.integers(0, 256, (8, 3, size, size))
    images = ((pixels - 127.5) / 128).astype(np.float32)
    network = quantizing.of_model("whole", model, images, (-127.5 / 128, 127.5 / 128))
    around = np.pad(images, [(0, 0), (0, 0), (padding, padding), (padding, padding)])
    # Outside bytes are the step next to zero, which lies between two.
    around[around == 0] = 0.5 / 128
    expected = np.einsum("nchw,fchw->nf", around, weights)
    np.testing.assert_allclose(reference.embed(network, images), expected, atol=1e-2)


# What follows a convolution of the image, `x` with 10 channels, in networks of today.
BLOCKS = {
    "squeeze and excitation": """
        mean = ReduceMean <axes = [2, 3], keepdims = 1> (x)
        gate = HardSigmoid <alpha = 0.1666667, beta = 0.5> (mean)
        y = Mul(gate, x)""",
    "hard swish": "y = HardSwish(x)",
    "swish": """
        open = Sigmoid(x)
        y = Mul(x, open)""",
    "gelu": """
        scaled = Div(x, root)
        error = Erf(scaled)
        more = Add(error, one)
        twice = Mul(x, more)
        y = Mul(twice, half)""",
    "a half that is passed on, and a shuffle": """
        left, right = Split <axis = 1> (x, sizes)
        bent = PRelu(right, slopes)
        joined = Concat <axis = 1> (left, bent)
        apart = Reshape(joined, split)
        turned = Transpose <perm = [0, 2, 1, 3, 4]> (apart)
        y = Reshape(turned, whole)""",
    "the larger half": """
        left, right = Split <axis = 1> (x, sizes)
        larger = Max(left, right)
        y = Concat <axis = 1> (larger, left)""",
    "the larger half, of which the largest": """
        left, right = Split <axis = 1> (x, sizes)
        larger = Max(left, right)
        largest = MaxPool <kernel_shape = [1, 1]> (larger)
        y = Concat <axis = 1> (largest, left)""",
    "a part that two read": """
        bent = Relu(x)
        part = Slice(bent, first, last, axis)
        joined = Concat <axis = 1> (bent, part)
        y = Slice(joined, two, ten, axis)""",
    "an addition, normalized, and its slopes": """
        open = Sigmoid(x)
        more = Add(open, x)
        doubled = Add(more, image4)
        y = PRelu(doubled, tens)""",
    "a scale for each channel": """
        bent = Relu(x)
        scaled = Mul(bent, tens)
        y = Sub(scaled, tens)""",
}
CONSTANTS = {
    "root": np.array(2**0.5, np.float32),
    "one": np.array(1, np.float32),
    "half": np.array(0.5, np.float32),
    "sizes": np.array([5, 5]),
    "split": np.array([1, 2, 5, 6, 6]),
    "whole": np.array([1, 10, 6, 6]),
    "first": np.array([2]),
    "last": np.array([8]),
    "two": np.array([1]),
    "ten": np.array([11]),
    "axis": np.array([1]),
    "slopes": np.linspace(0, 0.5, 5, dtype=np.float32)[:, None, None],
    "tens": np.linspace(0.2, 0.8, 10, dtype=np.float32)[:, None, None],
}


def block_of(body: str) -> onnx.ModelProto:
    """A convolution to 10 channels, a block, and one that ends in an activation."""
    model = graph_of(
        f"""block (float[1, 3, 6, 6] image) => (float[1, 7, 1, 1] embedding) {{
        x = Conv(image, w)
        image4 = Conv(image, u)
        {body}
        z = Conv(y, v)
        embedding = Tanh(z)
    }}"""
    )
    draw = np.random.default_rng(5)
    shapes = {"w": (10, 3, 1, 1), "u": (10, 3, 1, 1), "v": (7, 10, 6, 6)}
    arrays = {name: draw.normal(0, 0.7, s).astype(np.float32) for name, s in shapes.items()}
    arrays["v"] /= 10
    for name, value in {**arrays, **CONSTANTS}.items():
        if name in {word for node in model.graph.node for word in node.input}:
            model.graph.initializer.append(onnx.numpy_helper.from_array(value, name))
    del model.graph.input[1:]
    return model


@pytest.mark.parametrize("name", BLOCKS)
def test_blocks_of_newer_networks_are_near_to_single_precision(name: str) -> None:
    import onnxruntime

    model = block_of(BLOCKS[name])
    pixels = np.random.default_rng(1).integers(0, 256, (32, 3, 6, 6))
    images = ((pixels - 127.5) / 127.5).astype(np.float32)
    made = quantizing.of_model(name, model, images, (-1.0, 1.0))
    session = onnxruntime.InferenceSession(model.SerializeToString())
    expected = np.concatenate([session.run(None, {"image": one[None]})[0] for one in images])
    answers = reference.embed(made, images)
    assert cosines(answers, expected[:, :, 0, 0]).min() > 0.995
    assert np.abs(answers - expected[:, :, 0, 0]).max() < 0.06


def test_a_grey_of_the_image_and_a_shift_are_computed_as_an_exporter_spells_them() -> None:
    import onnxruntime

    model = graph_of(
        """spelt (float[1, 3, 8, 8] image) => (float[1, 7, 1, 1] embedding) {
        red = Slice(image, zero, one, one)
        green = Slice(image, one, two, one)
        some = Mul(red, third)
        more = Mul(green, half)
        grey = Add(some, more)
        x = Conv(grey, w)
        y = Relu(x)
        none = ConstantOfShape <value = int64[1] {0}> (two)
        ones = ConstantOfShape <value = int64[1] {1}> (two)
        pads = Concat <axis = 0> (none, ones, none, ones)
        around = Pad(y, pads)
        left = Slice(around, first, first_end, axes)
        up = Slice(around, second, second_end, axes)
        moved = Concat <axis = 1> (left, up)
        embedding = Conv(moved, v)
    }"""
    )
    tables = {
        "zero": [0], "one": [1], "two": [2], "axes": [1, 2, 3],
        "first": [0, 1, 0], "first_end": [2, 9, 8], "second": [2, 0, 1], "second_end": [4, 8, 9],
    }  # fmt: skip
    draw = np.random.default_rng(4)
    arrays = {name: np.array(value) for name, value in tables.items()}
    arrays |= {name: np.array(value, np.float32) for name, value in
               (("third", 0.3), ("half", 0.5))}  # fmt: skip
    arrays |= {name: draw.normal(0, 0.5, shape).astype(np.float32) for name, shape in
               (("w", (4, 1, 1, 1)), ("v", (7, 4, 8, 8)))}  # fmt: skip
    for name, value in arrays.items():
        model.graph.initializer.append(onnx.numpy_helper.from_array(value, name))
    images = noise(16, 8)
    made = quantizing.of_model("spelt", model, images, (images.min(), images.max()))
    session = onnxruntime.InferenceSession(model.SerializeToString())
    expected = np.concatenate([session.run(None, {"image": one[None]})[0] for one in images])
    assert cosines(reference.embed(made, images), expected[:, :, 0, 0]).min() > 0.995


@pytest.mark.slow
@pytest.mark.parametrize("name", ["light_cnn_9", "light_cnn_29", "shiftnet_c"])
def test_networks_of_a_grey_and_of_shifts_are_near_to_single_precision(name: str) -> None:
    import onnxruntime

    exported = export(networks.resolve(name))
    images = noise(2, exported.facts()["input_size"][0])
    made = quantizing.integer_network(exported, images)
    session = onnxruntime.InferenceSession(exported.onnx)
    expected = np.concatenate([session.run(None, {"image": one[None]})[0] for one in images])
    assert cosines(reference.embed(made, images), expected).min() > 0.97


def test_a_range_holds_zero_and_all_but_the_outermost_values() -> None:
    assert range_between(1.0, 255.0) == Range(1.0, 0)
    assert range_between(-255.0, -0.5) == Range(1.0, 255)
    assert range_between(0.0, 0.0) == Range(1.0, 0)


def test_a_range_ends_where_a_function_of_it_is_flat() -> None:
    def cut(elements: FloatArray) -> FloatArray:
        return np.clip(elements, -1, 2)

    found = trimmed(range_between(-50.0, 50.0), cut, 0.05)
    ends = [found.scale * (end - found.zero) for end in (0, 255)]
    np.testing.assert_allclose(ends, [-1, 2], atol=0.1)
    steep = trimmed(range_between(-50.0, 50.0), lambda elements: elements, 0.001)
    assert steep.scale == pytest.approx(100 / 255)
