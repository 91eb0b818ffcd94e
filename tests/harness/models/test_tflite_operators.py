"""Each operator of TFLite, read as ONNX, gives what LiteRT's reference kernels give."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.harness.models.tflite_files import Array, Made, quantized, run

pytest.importorskip("ai_edge_litert", reason="LiteRT is not installed: pip install '.[litert]'")

from facebench.harness.models.tflite_network import reading
from facebench.harness.models.tflite_network.translation import RULES

CHANNELS = 4
ACTIVATIONS = st.sampled_from([0, 1, 2, 3])

Case = Callable[[st.DataObject, Made, int, tuple[int, ...]], list[int]]

CASES: dict[str, Case] = {}


def case(*kinds: str) -> Callable[[Case], Case]:
    def decorate(function: Case) -> Case:
        for kind in kinds:
            CASES[kind] = function
        return function

    return decorate


def numbers(*shape: int, seed: int = 0) -> Array:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def converted(file: bytes) -> onnx.ModelProto:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "made.tflite"
        path.write_bytes(file)
        return reading.read(path)[0]


def answers(model: onnx.ModelProto, image: Array) -> list[Array]:
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(model.SerializeToString(), options)
    found: list[Array] = session.run(None, {session.get_inputs()[0].name: image})
    return found


@case("CONV_2D")
def _conv(data: st.DataObject, made: Made, x: int, shape: tuple[int, ...]) -> list[int]:
    kernel = [data.draw(st.integers(1, 3)) for _ in range(2)]
    dilation = [data.draw(st.integers(1, 2)) for _ in range(2)]
    groups = data.draw(st.sampled_from([1, 2, 4]))
    weights = made.constant(numbers(8, *kernel, CHANNELS // groups, seed=1))
    bias = made.constant(numbers(8, seed=2))
    return [
        made.add(
            "CONV_2D", x, weights, bias,
            padding=data.draw(st.integers(0, 1)),
            strideH=data.draw(st.integers(1, 3)), strideW=data.draw(st.integers(1, 3)),
            dilationHFactor=dilation[0], dilationWFactor=dilation[1],
            fusedActivationFunction=data.draw(ACTIVATIONS),
        )
    ]  # fmt: skip


@case("DEPTHWISE_CONV_2D")
def _depthwise(data: st.DataObject, made: Made, x: int, shape: tuple[int, ...]) -> list[int]:
    times = data.draw(st.integers(1, 3))
    kernel = [data.draw(st.integers(1, 3)) for _ in range(2)]
    stride, dilation = data.draw(st.sampled_from([(1, 1), (2, 1), (1, 2)]))
    weights = made.constant(numbers(1, *kernel, CHANNELS * times, seed=1))
    bias = made.constant(numbers(CHANNELS * times, seed=2))
    return [
        made.add(
            "DEPTHWISE_CONV_2D", x, weights, bias,
            padding=data.draw(st.integers(0, 1)), depthMultiplier=times,
            strideH=stride, strideW=stride,
            dilationHFactor=dilation, dilationWFactor=dilation,
            fusedActivationFunction=data.draw(ACTIVATIONS),
        )
    ]  # fmt: skip


@case("FULLY_CONNECTED")
def _dense(data: st.DataObject, made: Made, x: int, shape: tuple[int, ...]) -> list[int]:
    keep = data.draw(st.booleans())
    length = CHANNELS if keep else int(np.prod(shape[1:]))
    weights = made.constant(numbers(6, length, seed=1))
    bias = [made.constant(numbers(6, seed=2))] if data.draw(st.booleans()) else []
    return [
        made.add(
            "FULLY_CONNECTED", x, weights, *bias, keepNumDims=keep,
            fusedActivationFunction=data.draw(ACTIVATIONS),
        )
    ]  # fmt: skip


@case("AVERAGE_POOL_2D", "MAX_POOL_2D")
def _pool(data: st.DataObject, made: Made, x: int, shape: tuple[int, ...]) -> list[int]:
    size = [data.draw(st.integers(1, 4)) for _ in range(2)]
    return [
        made.add(
            data.draw(st.sampled_from(["AVERAGE_POOL_2D", "MAX_POOL_2D"])), x,
            padding=data.draw(st.integers(0, 1)),
            filterHeight=size[0], filterWidth=size[1],
            strideH=data.draw(st.integers(1, 3)), strideW=data.draw(st.integers(1, 3)),
            fusedActivationFunction=data.draw(ACTIVATIONS),
        )
    ]  # fmt: skip


@case("MEAN", "SUM", "REDUCE_MAX", "REDUCE_MIN")
def _reduce(data: st.DataObject, made: Made, x: int, shape: tuple[int, ...]) -> list[int]:
    axes = data.draw(
        st.lists(st.integers(-4, 3), min_size=1, max_size=3, unique_by=lambda a: a % 4)
    )
    axes = [axis for axis in axes if axis % 4] or [1]
    kind = data.draw(st.sampled_from(["MEAN", "SUM", "REDUCE_MAX", "REDUCE_MIN"]))
    return [made.add(kind, x, made.constant(axes), keepDims=data.draw(st.booleans()))]


def _other(data: st.DataObject, made: Made, x: int, shape: tuple[int, ...]) -> int:
    """Another value to go with one: a constant of fewer dimensions, itself, or its mean."""
    which = data.draw(st.integers(0, 2))
    if which == 0:
        last = data.draw(st.integers(0, 4))
        own = [size if data.draw(st.booleans()) else 1 for size in shape[4 - last :]]
        return made.constant(np.abs(numbers(*own, seed=3)) + 0.5)
    positive = made.add("ABS", x)
    if which == 1:
        return made.add("ADD", positive, made.constant(np.float32(0.5)), fusedActivationFunction=0)
    mean = made.add("MEAN", positive, made.constant([1, 2]), keepDims=data.draw(st.booleans()))
    return made.add("ADD", mean, made.constant(np.float32(0.5)), fusedActivationFunction=0)


@case("ADD", "SUB", "MUL", "DIV", "MAXIMUM", "MINIMUM", "SQUARED_DIFFERENCE", "POW")
def _pairs(data: st.DataObject, made: Made, x: int, shape: tuple[int, ...]) -> list[int]:
    kinds = ["ADD", "SUB", "MUL", "DIV", "MAXIMUM", "MINIMUM", "SQUARED_DIFFERENCE", "POW"]
    kind = data.draw(st.sampled_from(kinds))
    other = _other(data, made, x, shape)
    fused = {"fusedActivationFunction": data.draw(ACTIVATIONS)} if kind in kinds[:4] else {}
    left = made.add("ABS", x) if kind == "POW" else x
    pair = [left, other]
    if kind in ("SUB", "MUL", "MAXIMUM") and data.draw(st.booleans()):
        pair.reverse()
    return [made.add(kind, *pair, **fused)]


@case("PRELU")
def _prelu(data: st.DataObject, made: Made, x: int, shape: tuple[int, ...]) -> list[int]:
    slopes = data.draw(st.sampled_from([(1, 1, CHANNELS), (CHANNELS,), (1, 1, 1)]))
    return [made.add("PRELU", x, made.constant(numbers(*slopes, seed=1)))]


_PLAIN = ["RELU", "RELU6", "RELU_N1_TO_1", "RELU_0_TO_1", "ELU", "LOGISTIC", "TANH", "HARD_SWISH",
          "EXP", "ABS", "NEG", "SQUARE"]  # fmt: skip
_POSITIVE = ["SQRT", "RSQRT", "LOG"]


@case(*_PLAIN, *_POSITIVE, "LEAKY_RELU", "GELU", "SOFTMAX", "L2_NORMALIZATION")
def _of_one(data: st.DataObject, made: Made, x: int, shape: tuple[int, ...]) -> list[int]:
    options = {"LEAKY_RELU": {"alpha": 0.3}, "GELU": {"approximate": data.draw(st.booleans())},
               "SOFTMAX": {"beta": data.draw(st.sampled_from([1.0, 0.5]))}}  # fmt: skip
    kind = data.draw(st.sampled_from([*_PLAIN, *_POSITIVE, *options, "L2_NORMALIZATION"]))
    value = made.add("ABS", x) if kind in _POSITIVE else x
    if kind in _POSITIVE:
        half = made.constant(np.float32(0.5))
        value = made.add("ADD", value, half, fusedActivationFunction=0)
    return [made.add(kind, value, **options.get(kind, {}))]


@case("RESHAPE", "TRANSPOSE")
def _reshape(data: st.DataObject, made: Made, x: int, shape: tuple[int, ...]) -> list[int]:
    """Some of both, one after the other."""
    for _ in range(data.draw(st.integers(1, 4))):
        if data.draw(st.booleans()):
            turn = data.draw(st.permutations(range(len(shape))))
            x, shape = made.add("TRANSPOSE", x, made.constant(turn)), tuple(shape[i] for i in turn)
        else:
            shape = data.draw(st.sampled_from(_shapes(list(shape))))
            asked = list(shape)
            if data.draw(st.booleans()):
                asked[data.draw(st.integers(0, len(asked) - 1))] = -1
            x = made.add("RESHAPE", x, made.constant(asked))
    return [made.add("RELU", x)]


def _shapes(shape: list[int]) -> list[tuple[int, ...]]:
    """Shapes of as many elements: dimensions joined, parted, and of one."""
    found = [shape, [int(np.prod(shape))]]
    if len(shape) < 6:
        found += [[*shape[:i], 1, *shape[i:]] for i in range(len(shape) + 1)]
        found += [[*shape[:i], 2, size // 2, *shape[i + 1 :]]
                  for i, size in enumerate(shape) if size % 2 == 0]  # fmt: skip
    found += [[*shape[:i], shape[i] * shape[i + 1], *shape[i + 2 :]] for i in range(len(shape) - 1)]
    return [tuple(one) for one in found]


@case("SQUEEZE", "EXPAND_DIMS")
def _ones(data: st.DataObject, made: Made, x: int, shape: tuple[int, ...]) -> list[int]:
    mean = made.add("MEAN", x, made.constant([1, 2]), keepDims=True)
    how = data.draw(st.sampled_from([None, [1], [2, 1], [-2]]))
    made.add("SQUEEZE", mean, squeezeDims=how)
    axis = data.draw(st.integers(-5, 4))
    return [made.steps[-1].outputs[0], made.add("EXPAND_DIMS", x, made.constant(axis))]


@case("CONCATENATION", "PACK", "UNPACK")
def _join(data: st.DataObject, made: Made, x: int, shape: tuple[int, ...]) -> list[int]:
    other = made.constant(numbers(*shape, seed=4))
    axis = data.draw(st.integers(-4, 3))
    parts = data.draw(st.permutations([x, other, made.add("NEG", x)]))
    joined = made.add("CONCATENATION", *parts, axis=axis, fusedActivationFunction=0)
    packed = made.add("PACK", *parts, axis=data.draw(st.integers(-5, 4)), valuesCount=3)
    count = shape[axis]
    first = made.add("UNPACK", x, count=count, axis=axis, num=count)
    return [joined, packed, *range(first, first + count)]


@case("SPLIT", "SPLIT_V")
def _split(data: st.DataObject, made: Made, x: int, shape: tuple[int, ...]) -> list[int]:
    axis = data.draw(st.sampled_from([3, -1, 1]))
    size = shape[axis]
    count = data.draw(st.sampled_from([n for n in range(1, size + 1) if size % n == 0]))
    first = made.add("SPLIT", made.constant(axis), x, count=count, numSplits=count)
    sizes = data.draw(st.sampled_from([[1, size - 1], [1, -1], [size]]))
    second = made.add(
        "SPLIT_V", x, made.constant(sizes), made.constant(axis), count=len(sizes),
        numSplits=len(sizes),
    )  # fmt: skip
    return [*range(first, first + count), *range(second, second + len(sizes))]


@case("STRIDED_SLICE", "SLICE")
def _slice(data: st.DataObject, made: Made, x: int, shape: tuple[int, ...]) -> list[int]:
    starts, ends, steps = [], [], []
    shrunk = data.draw(st.sampled_from([0, 0, 2, 4, 8, 10]))
    for axis, size in enumerate(shape):
        first = data.draw(st.integers(0, size - 1))
        last = data.draw(st.integers(first + 1, size))
        step = data.draw(st.sampled_from([1, 2]))
        if not shrunk >> axis & 1 and data.draw(st.booleans()):  # counted from the end, and back
            first, last, step = last - 1, first - 1, -step
            first = first - size
            last = -size - 1 if last < 0 else last
        starts.append(first), ends.append(last), steps.append(step)
    masks = {name: data.draw(st.integers(0, 15)) & ~shrunk for name in ("beginMask", "endMask")}
    inputs = [made.constant(one) for one in (starts, ends, steps)]
    strided = made.add("STRIDED_SLICE", x, *inputs, **masks, shrinkAxisMask=shrunk)
    begin = [data.draw(st.integers(0, size - 1)) for size in shape]
    sizes = [data.draw(st.sampled_from([-1, 1, size - at])) for at, size in
             zip(begin, shape, strict=True)]  # fmt: skip
    return [strided, made.add("SLICE", x, made.constant(begin), made.constant(sizes))]


@case("GATHER")
def _gather(data: st.DataObject, made: Made, x: int, shape: tuple[int, ...]) -> list[int]:
    axis = data.draw(st.integers(-4, 3))
    indices = st.integers(0, shape[axis] - 1)
    places = data.draw(st.one_of(indices, st.lists(indices, min_size=1, max_size=3)))
    return [made.add("GATHER", x, made.constant(places), axis=axis)]


@case("PAD", "PADV2", "MIRROR_PAD")
def _pad(data: st.DataObject, made: Made, x: int, shape: tuple[int, ...]) -> list[int]:
    around = [[data.draw(st.integers(0, min(2, size - 1))) for _ in range(2)] for size in shape]
    kind = data.draw(st.sampled_from(["PAD", "PADV2", "MIRROR_PAD"]))
    value = [made.constant(np.float32(1.5))] if kind == "PADV2" else []
    return [made.add(kind, x, made.constant(around), *value)]


@case("BATCH_MATMUL")
def _matmul(data: st.DataObject, made: Made, x: int, shape: tuple[int, ...]) -> list[int]:
    turned = [data.draw(st.booleans()) for _ in range(2)]
    inner = shape[2] if turned[0] else shape[3]
    held = (5, inner) if turned[1] else (inner, 5)
    if data.draw(st.booleans()):
        other = made.constant(numbers(*shape[:2], *held, seed=2))
    else:
        turned[1], other = not turned[0], x
    return [made.add("BATCH_MATMUL", x, other, adjX=turned[0], adjY=turned[1])]


@case("RESIZE_BILINEAR", "RESIZE_NEAREST_NEIGHBOR")
def _resize(data: st.DataObject, made: Made, x: int, shape: tuple[int, ...]) -> list[int]:
    kind = data.draw(st.sampled_from(["RESIZE_BILINEAR", "RESIZE_NEAREST_NEIGHBOR"]))
    how = data.draw(st.sampled_from([{}, {"alignCorners": True}, {"halfPixelCenters": True}]))
    size = made.constant([data.draw(st.integers(2, 12)) for _ in range(2)])
    return [made.add(kind, x, size, **{"alignCorners": False, **how})]


@case("SPACE_TO_DEPTH", "DEPTH_TO_SPACE")
def _depth(data: st.DataObject, made: Made, x: int, shape: tuple[int, ...]) -> list[int]:
    even = made.add("SLICE", x, made.constant([0] * 4), made.constant([-1, 4, 4, -1]))
    first = made.add("SPACE_TO_DEPTH", even, blockSize=2)
    return [first, made.add("DEPTH_TO_SPACE", x, blockSize=2)]


@case("SPACE_TO_BATCH_ND", "BATCH_TO_SPACE_ND")
def _batches(data: st.DataObject, made: Made, x: int, shape: tuple[int, ...]) -> list[int]:
    """A dilated convolution, as old files have it."""
    blocks = [data.draw(st.integers(1, 3)) for _ in range(2)]
    border = [(data.draw(st.integers(0, 2)), 0) for _ in blocks]
    border = [(low, -(size + low) % block + block) for (low, _), size, block in
              zip(border, shape[1:3], blocks, strict=True)]  # fmt: skip
    parted = made.add("SPACE_TO_BATCH_ND", x, made.constant(blocks), made.constant(border))
    weights = made.constant(numbers(1, 2, 1, CHANNELS, seed=1))
    bias = made.constant(numbers(CHANNELS, seed=2))
    passed = made.add(
        "DEPTHWISE_CONV_2D", parted, weights, bias, padding=0, strideH=1, strideW=1,
        depthMultiplier=1,
    )  # fmt: skip
    crops = [(data.draw(st.integers(0, 1)), data.draw(st.integers(0, 1))) for _ in blocks]
    return [made.add("BATCH_TO_SPACE_ND", passed, made.constant(blocks), made.constant(crops))]


@case("SHAPE", "CAST")
def _worked_out_shape(data: st.DataObject, made: Made, x: int, shape: tuple[int, ...]) -> list[int]:
    """A reshape to what the image's size says, as Keras writes it."""
    sizes = made.add("SHAPE", x, gives="INT32", outType=2)
    ends = [made.constant([0]), made.constant([1]), made.constant([1])]
    batch = made.add("STRIDED_SLICE", sizes, *ends, gives="INT32", shrinkAxisMask=1)
    rest = made.constant(int(np.prod(shape[1:])))
    asked = made.add("PACK", batch, rest, gives="INT32", valuesCount=2, axis=0)
    real = made.add("CAST", sizes, inDataType=2, outDataType=0)
    return [made.add("RESHAPE", x, asked), real]


def test_every_rule_is_drawn() -> None:
    """DEQUANTIZE and QUANTIZE are those of quantized networks."""
    assert set(RULES.names()) - set(CASES) == {"DEQUANTIZE", "QUANTIZE"}


def drawn(data: st.DataObject, one: Case, alone: bool = False) -> tuple[Made, bytes, Array]:
    shape = (1, data.draw(st.integers(5, 8)), data.draw(st.integers(5, 8)), CHANNELS)
    made = Made()
    value = made.image(*shape)
    if not alone and data.draw(st.booleans()):  # so that its channels come first in ONNX
        weights = made.constant(numbers(CHANNELS, 1, 1, CHANNELS, seed=9))
        value = made.add("CONV_2D", value, weights, made.constant(numbers(CHANNELS, seed=8)),
                         strideH=1, strideW=1)  # fmt: skip
    made.outputs = one(data, made, value, shape)
    return made, made.completed(), numbers(*shape, seed=5)


@pytest.mark.parametrize("one", dict.fromkeys(CASES.values()), ids=lambda one: one.__name__[1:])
@settings(max_examples=25, deadline=None, derandomize=True)
@given(data=st.data())
def test_an_operator_answers_as_the_reference_kernels_do(one: Case, data: st.DataObject) -> None:
    made, file, image = drawn(data, one)
    found, expected = answers(converted(file), image), run(file, image)
    assert len(found) == len(expected) == len(made.outputs)
    for each, known in zip(found, expected, strict=True):
        assert each.shape == known.shape
        np.testing.assert_allclose(each, known, rtol=2e-5, atol=2e-5 * max(1, np.abs(known).max()))


# Those of which LiteRT has 8-bit kernels that the reference resolver reaches.
INTEGERS = [_conv, _depthwise, _dense, _pool, _prelu, _reshape]


@pytest.mark.parametrize("kind", ["INT8", "UINT8"])
@pytest.mark.parametrize("one", INTEGERS, ids=lambda one: one.__name__[1:])
@settings(max_examples=15, deadline=None, derandomize=True)
@given(data=st.data())
def test_an_operator_of_integers_is_at_most_some_steps_off(
    one: Case, kind: str, data: st.DataObject
) -> None:
    # A step of what comes before would be many of one that an activation limits.
    made, _, image = drawn(data, one, alone=True)
    small = quantized(made, image[None], kind)
    file = small.written()
    found, expected = answers(converted(file), image), run(file, image)
    for each, known, number in zip(found, expected, small.outputs, strict=True):
        scales = small.tensors[number].scales
        assert scales is not None
        # Two roundings in a row, each of which may fall to the other side.
        assert np.abs(each - known).max() <= 2.01 * scales[0]
