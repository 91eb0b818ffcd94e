"""What is written for LiteRT computes what ONNX Runtime does, operator by operator."""

from __future__ import annotations

from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import helper, numpy_helper

from facebench.architectures.errors import BadInputError
from facebench.harness.models.export import Exported
from facebench.harness.models.onnx_network.plain import plain
from facebench.harness.runtimes.litert.convert import convert
from facebench.harness.runtimes.registry import RUNTIMES

pytest.importorskip("ai_edge_litert", reason="LiteRT is not installed: pip install '.[litert]'")

Array = npt.NDArray[Any]
Node = tuple[str, list[str], dict[str, Any]]


def numbers(*shape: int, seed: int = 0) -> npt.NDArray[np.float32]:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def graph(image: Array, nodes: list[Node], **constants: Array) -> onnx.ModelProto:
    """A chain: each node reads the output of the one before as `x`; the last gives `embedding`."""
    made = []
    last = "image"
    for number, (kind, inputs, attributes) in enumerate(nodes):
        name = "embedding" if number == len(nodes) - 1 else f"value_{number}"
        read = [last if one == "x" else one for one in inputs]
        made.append(helper.make_node(kind, read, [name], **attributes))
        last = name
    return model(image, made, constants)


def model(image: Array, nodes: list[Any], constants: dict[str, Array]) -> onnx.ModelProto:
    real = onnx.TensorProto.FLOAT
    return helper.make_model(
        helper.make_graph(
            nodes,
            "graph",
            [helper.make_tensor_value_info("image", real, image.shape)],
            [helper.make_tensor_value_info("embedding", real, None)],
            [numpy_helper.from_array(array, name) for name, array in constants.items()],
        ),
        opset_imports=[helper.make_opsetid("", 17)],
        ir_version=8,
    )


def run(content: bytes, image: Array) -> Array:
    from ai_edge_litert.interpreter import Interpreter

    runner = Interpreter(model_content=content).get_signature_runner("serving_default")
    found: Array = runner(image=np.ascontiguousarray(image.transpose(0, 2, 3, 1)))["embedding"]
    return found


def kinds(content: bytes) -> list[str]:
    """The operators of a file, in order."""
    from ai_edge_litert import schema_py_generated as schema

    names = {number: name for name, number in vars(schema.BuiltinOperator).items()}
    read = schema.ModelT.InitFromPackedBuf(content)
    codes = [names[code.builtinCode] for code in read.operatorCodes]
    return [codes[one.opcodeIndex] for one in read.subgraphs[0].operators]


def written(image: Array, of: onnx.ModelProto) -> list[str]:
    """Hold what LiteRT answers against ONNX Runtime, and return the operators that it ran."""
    content = convert(of)
    session = onnxruntime.InferenceSession(
        of.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    (expected,) = session.run(None, {"image": image})
    found = run(content, image)
    assert found.shape == expected.shape
    scale = np.abs(expected).max()
    np.testing.assert_allclose(found / scale, expected / scale, atol=1e-5)
    return kinds(content)


@settings(max_examples=60, deadline=None)
@given(
    size=st.tuples(st.integers(7, 14), st.integers(7, 14)),
    kernel=st.tuples(st.sampled_from([1, 2, 3, 5]), st.sampled_from([1, 3, 5])),
    stride=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    dilation=st.sampled_from([1, 1, 2]),
    pads=st.tuples(*[st.integers(0, 2)] * 4),
    parts=st.sampled_from([(1, 3, 4), (1, 1, 4), (6, 6, 6), (4, 4, 8), (3, 6, 12), (2, 8, 4)]),
    images=st.sampled_from([1, 2]),
)
def test_a_convolution_is_right_for_every_border_stride_and_group(
    size: tuple[int, int],
    kernel: tuple[int, int],
    stride: tuple[int, int],
    dilation: int,
    pads: tuple[int, ...],
    parts: tuple[int, int, int],
    images: int,
) -> None:
    groups, channels, filters = parts
    if dilation > 1:  # as few networks have both, and LiteRT no kernel for it
        stride = (1, 1)
    attributes = {"pads": pads, "strides": stride, "group": groups, "dilations": [dilation] * 2}
    if any(
        (extent + pads[i] + pads[i + 2]) < (width - 1) * dilation + 1
        for i, (extent, width) in enumerate(zip(size, kernel, strict=True))
    ):
        return
    image = numbers(images, channels, *size)
    weights = numbers(filters, channels // groups, *kernel, seed=1)
    made = graph(image, [("Conv", ["x", "w", "b"], attributes)], w=weights, b=numbers(filters))
    kind = "DEPTHWISE_CONV_2D" if groups == channels > 1 else "CONV_2D"
    assert kind in written(image, made)


@pytest.mark.parametrize(
    ("pads", "stride", "size", "bordered"),
    [
        ((1, 1, 1, 1), 1, 8, False),  # what TensorFlow calls SAME
        ((0, 0, 1, 1), 2, 8, False),  # SAME of an even size
        ((1, 1, 1, 1), 2, 8, True),  # torch's, of an even size
        ((1, 1, 1, 1), 2, 7, False),  # torch's and SAME, of an odd one
        ((0, 0, 0, 0), 1, 8, False),
    ],
)
def test_a_border_is_written_only_where_it_is_none_of_litert(
    pads: tuple[int, ...], stride: int, size: int, bordered: bool
) -> None:
    image, weights = numbers(1, 3, size, size), numbers(4, 3, 3, 3)
    attributes = {"pads": pads, "strides": [stride] * 2}
    ran = written(image, graph(image, [("Conv", ["x", "w"], attributes)], w=weights))
    assert ran == [*["PAD"] * bordered, "CONV_2D", "TRANSPOSE"]


@pytest.mark.parametrize("auto", ["SAME_UPPER", "SAME_LOWER", "VALID"])
@pytest.mark.parametrize("stride", [1, 2])
def test_a_border_may_be_named_by_a_word(auto: str, stride: int) -> None:
    image, weights = numbers(1, 3, 8, 9), numbers(4, 3, 3, 4)
    attributes = {"auto_pad": auto, "strides": [stride] * 2}
    written(image, graph(image, [("Conv", ["x", "w"], attributes)], w=weights))


@settings(max_examples=60, deadline=None)
@given(
    kind=st.sampled_from(["AveragePool", "MaxPool"]),
    size=st.tuples(st.integers(6, 12), st.integers(6, 12)),
    kernel=st.tuples(st.integers(2, 4), st.integers(2, 4)),
    stride=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    pads=st.tuples(*[st.integers(0, 1)] * 4),
    up=st.integers(0, 1),
    counted=st.integers(0, 1),
    positive=st.booleans(),
)
def test_a_pooling_is_right_for_every_border_counted_or_not(
    kind: str,
    size: tuple[int, int],
    kernel: tuple[int, int],
    stride: tuple[int, int],
    pads: tuple[int, ...],
    up: int,
    counted: int,
    positive: bool,
) -> None:
    attributes = {"kernel_shape": kernel, "strides": stride, "pads": pads, "ceil_mode": up}
    if kind == "AveragePool":
        attributes["count_include_pad"] = counted
    # Where a convolution with ReLU comes before, a border of zeros is no maximum.
    before = [("Conv", ["x", "w"], {}), ("Relu", ["x"], {})] if positive else []
    weights = {"w": numbers(3, 3, 1, 1)} if positive else {}
    # Such a window ONNX Runtime leaves out, and onnx counts it.
    behind = any(
        up
        and -(-(size[i] + pads[i] + pads[i + 2] - kernel[i]) // stride[i]) * stride[i]
        >= size[i] + pads[i]
        for i in (0, 1)
    )
    image = numbers(1, 3, *size) - 1
    made = graph(image, [*before, (kind, ["x"], attributes)], **weights)
    if behind:
        with pytest.raises(BadInputError, match="whose last window begins behind the input"):
            convert(made)
    else:
        written(image, made)


@pytest.mark.parametrize(
    ("kind", "attributes"),
    [("GlobalAveragePool", {}), ("GlobalMaxPool", {}), ("Softmax", {"axis": 1}),
     ("Softmax", {"axis": -1}), ("ReduceMean", {"axes": [1]}), ("ReduceL2", {"axes": [1]}),
     ("ReduceMean", {"axes": [2, 3], "keepdims": 0}), ("ReduceMax", {"axes": [-1]}),
     ("ReduceL2", {"axes": [1], "keepdims": 0}), ("LpNormalization", {"axis": 1}),
     ("LeakyRelu", {"alpha": 0.2}), ("Elu", {}), ("HardSigmoid", {}), ("HardSwish", {}),
     ("HardSigmoid", {"alpha": 1 / 6}), ("Sigmoid", {}), ("Tanh", {}), ("Exp", {}), ("Abs", {}),
     ("Neg", {}), ("Reciprocal", {}), ("Flatten", {}), ("Transpose", {"perm": [0, 3, 1, 2]}),
     ("DepthToSpace", {"blocksize": 2}), ("DepthToSpace", {"blocksize": 2, "mode": "CRD"}),
     ("SpaceToDepth", {"blocksize": 2})],
)  # fmt: skip
@pytest.mark.parametrize("images", [1, 3])
def test_an_operator_of_one_value(kind: str, attributes: dict[str, Any], images: int) -> None:
    image = numbers(images, 8, 4, 6) + 0.01
    written(image, graph(image, [(kind, ["x"], attributes)]))


SHAPES = [(), (1,), (8, 1, 1), (1, 8, 1, 1), (1, 8, 4, 5), (2, 8, 4, 5), (5,), (4, 1)]


@pytest.mark.parametrize(
    ("kind", "shape"),
    [
        *product(["Add", "Sub", "Mul", "Div", "Max", "Min"], SHAPES),
        *product(["PRelu"], SHAPES[:6]),  # slopes along columns are of no network
    ],
)
def test_constants_of_every_shape_are_joined_with_maps(kind: str, shape: tuple[int, ...]) -> None:
    image = numbers(2, 8, 4, 5)
    written(image, graph(image, [(kind, ["x", "c"], {})], c=np.abs(numbers(*shape, seed=1)) + 1))


@pytest.mark.parametrize(
    ("low", "high"), [(0, 6), (0, 1), (-1, 1), (0.1, 3), (-2, None), (None, 1)]
)
def test_a_clip_has_any_limits(low: float | None, high: float | None) -> None:
    given = {
        name: np.float32(limit)
        for name, limit in (("low", low), ("high", high))
        if limit is not None
    }
    names = [name if name in given else "" for name in ("low", "high")]
    image = 4 * numbers(1, 3, 4, 4)
    written(image, graph(image, [("Clip", ["x", *names], {})], **given))


@settings(max_examples=60, deadline=None)
@given(
    shape=st.sampled_from([(1, 12, 4, 4), (2, 12, 4, 4), (1, 12, 1, 1), (1, 4, 6, 8)]),
    turn=st.permutations(range(4)),
    data=st.data(),
)
def test_reshapes_and_transpositions_in_a_row(
    shape: tuple[int, ...], turn: list[int], data: st.DataObject
) -> None:
    image = numbers(*shape)
    turned = [shape[axis] for axis in turn]
    first = data.draw(st.sampled_from(_shapes(turned)))
    second = data.draw(st.permutations(range(len(first))))
    nodes: list[Node] = [
        ("Relu", ["x"], {}),
        ("Transpose", ["x"], {"perm": turn}),
        ("Reshape", ["x", "first"], {}),
        ("Transpose", ["x"], {"perm": second}),
        ("Reshape", ["x", "last"], {}),
        ("Add", ["x", "one"], {}),
    ]
    last = data.draw(st.sampled_from(_shapes([first[axis] for axis in second])))
    written(
        image, graph(image, nodes, first=np.asarray(first), last=np.asarray(last), one=numbers(1))
    )


def _shapes(shape: list[int]) -> list[list[int]]:
    """Shapes of as many elements: dimensions joined, and parted."""
    found = [shape, [int(np.prod(shape))], [shape[0], -1]]
    found += [[*shape[:i], shape[i] * shape[i + 1], *shape[i + 2 :]] for i in range(len(shape) - 1)]
    found += [[*shape[:i], 2, shape[i] // 2, *shape[i + 1 :]]
              for i in range(len(shape)) if shape[i] % 2 == 0]  # fmt: skip
    size = int(np.prod(shape))
    return [[size // -int(np.prod(one)) if part == -1 else part for part in one] for one in found]


def test_a_shuffle_of_channels_moves_channels_alone() -> None:
    image = numbers(1, 12, 5, 5)
    nodes: list[Node] = [
        ("Reshape", ["x", "parted"], {}),
        ("Transpose", ["x"], {"perm": [0, 2, 1, 3, 4]}),
        ("Reshape", ["x", "whole"], {}),
    ]
    given = {"parted": np.asarray([1, 3, 4, 5, 5]), "whole": np.asarray([1, 12, 5, 5])}
    # The last two bring the answer back to ONNX's order.
    assert written(image, graph(image, nodes, **given)) == [
        "RESHAPE",
        "TRANSPOSE",
        "RESHAPE",
        "TRANSPOSE",
    ]


def test_rows_and_columns_that_become_tokens_are_not_moved() -> None:
    image = numbers(1, 6, 4, 4)
    nodes: list[Node] = [
        ("Reshape", ["x", "tokens"], {}),
        ("Transpose", ["x"], {"perm": [0, 2, 1]}),
        ("MatMul", ["x", "w"], {}),
        ("Add", ["x", "b"], {}),
    ]
    given = {"tokens": np.asarray([1, 6, 16]), "w": numbers(6, 5), "b": numbers(5)}
    assert written(image, graph(image, nodes, **given)) == ["RESHAPE", "FULLY_CONNECTED"]


@pytest.mark.parametrize("axis", [1, 2, -1])
@pytest.mark.parametrize("sizes", [(4, 4), (2, 6), (1, 2, 3, 2), (2, 2, 2, 1, 1)])
def test_parts_are_taken_apart_and_joined(axis: int, sizes: tuple[int, ...]) -> None:
    image = numbers(2, 8, 8, 8)
    names = [f"part_{i}" for i in range(len(sizes))]
    nodes = [
        helper.make_node("Split", ["image", "sizes"], names, axis=axis),
        helper.make_node("Relu", names[:1], ["first"]),
        helper.make_node("Concat", [*names[:0:-1], "first"], ["embedding"], axis=axis),
    ]
    written(image, model(image, nodes, {"sizes": np.asarray(sizes)}))


@pytest.mark.parametrize(
    ("starts", "ends", "axes", "steps"),
    [([1], [3], [1], [1]), ([0, 1], [100, -1], [2, 3], [2, 3]), ([-3], [-1], [1], [1])],
)
def test_a_slice(starts: list[int], ends: list[int], axes: list[int], steps: list[int]) -> None:
    image = numbers(1, 6, 7, 8)
    given = {name: np.asarray(each) for name, each in
             (("starts", starts), ("ends", ends), ("axes", axes), ("steps", steps))}  # fmt: skip
    written(image, graph(image, [("Slice", ["x", *given], {})], **given))


def test_a_slice_that_takes_all_is_left_out() -> None:
    image = numbers(1, 3, 4, 5)
    given = {"starts": np.asarray([0]), "ends": np.asarray([9]), "axes": np.asarray([1])}
    nodes: list[Node] = [("Abs", ["x"], {}), ("Slice", ["x", *given], {})]
    assert written(image, graph(image, nodes, **given)) == ["ABS", "TRANSPOSE"]


@pytest.mark.parametrize("shape", [[1, 6, 4, 5], [3, 1, 6, 1, 1]])
def test_numbers_that_are_repeated(shape: list[int]) -> None:
    image = numbers(1, 6, 4, 5)
    nodes: list[Node] = [("GlobalAveragePool", ["x"], {}), ("Expand", ["x", "shape"], {})]
    assert "BROADCAST_TO" in written(image, graph(image, nodes, shape=np.asarray(shape)))


@pytest.mark.parametrize("places", [2, -1, [1, 2]])
def test_a_gather_of_places_in_a_row(places: int | list[int]) -> None:
    image = numbers(1, 6, 4, 5)
    written(image, graph(image, [("Gather", ["x", "i"], {"axis": 1})], i=np.asarray(places)))


@pytest.mark.parametrize("value", [0.0, -2.5])
def test_a_border_of_any_number(value: float) -> None:
    image = numbers(1, 6, 4, 5)
    given = {"pads": np.asarray([0, 1, 0, 2, 0, 0, 3, 1]), "value": np.float32(value)}
    written(image, graph(image, [("Pad", ["x", *given], {})], **given))


@pytest.mark.parametrize(
    "attributes",
    [{"mode": "nearest", "coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"},
     {"mode": "linear", "coordinate_transformation_mode": "half_pixel"},
     {"mode": "linear", "coordinate_transformation_mode": "align_corners"}],
)  # fmt: skip
def test_a_map_is_resized(attributes: dict[str, Any]) -> None:
    image = numbers(1, 3, 4, 5)
    nodes: list[Node] = [("Resize", ["x", "", "", "sizes"], attributes)]
    written(image, graph(image, nodes, sizes=np.asarray([1, 3, 8, 10])))


@pytest.mark.parametrize("turned", [0, 1])
def test_a_dense_layer(turned: int) -> None:
    image = numbers(2, 3, 4, 4)
    weights = numbers(5, 48) if turned else numbers(48, 5)
    nodes: list[Node] = [("Flatten", ["x"], {}), ("Gemm", ["x", "w", "b"], {"transB": turned})]
    written(image, graph(image, nodes, w=weights, b=numbers(5)))


def test_attention_of_tokens_to_each_other() -> None:
    image = numbers(1, 8, 4, 4)
    nodes = [
        helper.make_node("Reshape", ["image", "shape"], ["columns"]),
        helper.make_node("Transpose", ["columns"], ["tokens"], perm=[0, 2, 1]),
        helper.make_node("MatMul", ["tokens", "columns"], ["products"]),
        helper.make_node("Softmax", ["products"], ["shares"], axis=-1),
        helper.make_node("MatMul", ["shares", "tokens"], ["embedding"]),
    ]
    ran = written(image, model(image, nodes, {"shape": np.asarray([1, 8, 16])}))
    assert ran == ["RESHAPE", "BATCH_MATMUL", "SOFTMAX", "BATCH_MATMUL"], "nothing is moved"


@pytest.mark.parametrize(
    ("kind", "shape"),
    [("LayerNormalization", (5,)), ("BatchNormalization", (8,)), ("InstanceNormalization", (8,))],
)
def test_a_normalization(kind: str, shape: tuple[int, ...]) -> None:
    image = numbers(2, 8, 4, 5)
    given = {"w": numbers(*shape), "b": numbers(*shape, seed=1)}
    if kind == "BatchNormalization":
        given |= {"m": numbers(*shape, seed=2), "v": np.abs(numbers(*shape, seed=3))}
    # Not the image itself, so that it lies as a convolution leaves it.
    written(image, graph(image, [("Abs", ["x"], {}), (kind, ["x", *given], {})], **given))


@pytest.mark.parametrize("halved", ["last", "first"])
def test_gelu_and_hard_swish_are_one_operator(halved: str) -> None:
    image = numbers(1, 3, 4, 4)
    constants = {"root": np.float32(np.sqrt(2)), "one": np.float32(1), "half": np.float32(0.5)}
    last = {
        "last": [("Mul", ["image", "sum"], "whole"), ("Mul", ["whole", "half"], "gelu")],
        "first": [("Mul", ["image", "half"], "part"), ("Mul", ["part", "sum"], "gelu")],
    }
    nodes = [
        helper.make_node(kind, inputs, [output])
        for kind, inputs, output in [
            ("Div", ["image", "root"], "scaled"),
            ("Erf", ["scaled"], "erf"),
            ("Add", ["erf", "one"], "sum"),
            *last[halved],
        ]
    ]
    nodes += [
        helper.make_node("HardSigmoid", ["gelu"], ["gate"], alpha=1 / 6),
        helper.make_node("Mul", ["gelu", "gate"], ["embedding"]),
    ]
    ran = written(image, model(image, nodes, constants))
    assert ran == ["GELU", "HARD_SWISH", "TRANSPOSE"]


def test_an_activation_is_applied_by_the_operator_before_that_nobody_else_reads() -> None:
    image = numbers(1, 3, 4, 4)
    constants = {"w": numbers(3, 3, 1, 1)}
    fused = [("Conv", ["x", "w"], {}), ("Relu", ["x"], {})]
    assert written(image, graph(image, fused, **constants)) == ["CONV_2D", "TRANSPOSE"]
    shared = [
        helper.make_node("Conv", ["image", "w"], ["map"]),
        helper.make_node("Relu", ["map"], ["positive"]),
        helper.make_node("Add", ["map", "positive"], ["embedding"]),
    ]
    ran = written(image, model(image, shared, constants))
    assert ran == ["CONV_2D", "RELU", "ADD", "TRANSPOSE"]


def test_a_network_is_one_operator_for_each_of_its_own(tiny_exported: Exported) -> None:
    of = plain(onnx.load(tiny_exported.onnx), 1)
    ran = kinds(convert(of))
    assert ran == ["PAD", "CONV_2D", "PRELU", "DEPTHWISE_CONV_2D", "CONV_2D", "RESHAPE"]


@pytest.mark.parametrize(
    ("nodes", "culprit"),
    [
        ([("Det", ["x"], {})], "no operator for Det"),
        ([("Resize", ["x", "", "", "sizes"], {"mode": "cubic"})], "for Resize in mode cubic"),
    ],
)
def test_what_litert_has_not_is_named_with_another_runtime(nodes: list[Node], culprit: str) -> None:
    image = numbers(1, 3, 4, 4)
    made = graph(image, nodes, sizes=np.asarray([1, 3, 8, 8]))
    with pytest.raises(BadInputError, match=f"{culprit}.*: time this network in .* onnxruntime"):
        convert(made)


def test_the_file_names_its_input_and_output(tiny_exported: Exported) -> None:
    from ai_edge_litert.interpreter import Interpreter

    path: Path = RUNTIMES["litert"].prepare(tiny_exported, 2, "").path
    signatures = Interpreter(str(path)).get_signature_list()
    assert signatures == {"serving_default": {"inputs": ["image"], "outputs": ["embedding"]}}


def test_its_kernels_flush_denormal_numbers_whatever_the_thread_does() -> None:
    image = np.ones((1, 3, 4, 4), np.float32)
    nodes: list[Node] = [("Conv", ["x", f"w{i}"], {}) for i in range(4)]
    scales = {f"w{i}": np.eye(3, dtype=np.float32)[..., None, None] * np.float32(2.0**exponent)
              for i, exponent in enumerate((-65, -65, 100, 30))}  # fmt: skip
    found = run(convert(graph(image, nodes, **scales)), image)
    assert not found.any(), "docs/runtimes.md says so"


def test_constants_in_half_precision_are_half_as_large_and_compute_as_they_are() -> None:
    """On a CPU that computes in single precision, as a graph whose weights are rounded."""
    image = numbers(1, 3, 16, 16)
    nodes: list[Node] = [
        ("Conv", ["x", "w", "b"], {}), ("PRelu", ["x", "s"], {}),
        ("Conv", ["x", "d"], {"group": 64}), ("GlobalAveragePool", ["x"], {}),
        ("Flatten", ["x"], {}), ("Gemm", ["x", "m", "n"], {}),
    ]  # fmt: skip
    given = {"w": numbers(64, 3, 3, 3), "b": numbers(64), "s": numbers(64, 1, 1),
             "d": numbers(64, 1, 3, 3), "m": numbers(64, 128), "n": numbers(128)}  # fmt: skip
    rounded = {name: each.astype(np.float16).astype(np.float32) for name, each in given.items()}
    half = convert(graph(image, nodes, **given), half=True)
    session = onnxruntime.InferenceSession(graph(image, nodes, **rounded).SerializeToString())
    (expected,) = session.run(None, {"image": image})
    np.testing.assert_allclose(run(half, image), expected, atol=1e-5 * np.abs(expected).max())
    whole = convert(graph(image, nodes, **given))
    weights = sum(each.size for each in given.values())
    assert abs(len(whole) - len(half) - 2 * weights) < 3000  # and its tables


def test_half_precision_is_of_cores_that_have_it_alone() -> None:
    litert = RUNTIMES["litert"]
    assert litert.precisions_on("cortex-a76") == ("fp32", "int8", "fp16")
    for target in ("cortex-a72", "cortex-a53", "host", ""):
        assert litert.precisions_on(target) == ("fp32", "int8")
