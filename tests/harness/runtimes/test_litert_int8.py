"""A quantized graph computes in LiteRT's integers what it does in ONNX Runtime's."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import helper
from onnxruntime import quantization

from facebench.harness.models.onnx_network.plain import plain
from facebench.harness.runtimes.litert.convert import convert
from facebench.harness.runtimes.registry import RUNTIMES
from facebench.harness.stats.arrays import FloatArray
from tests.harness.runtimes.test_litert import Array, Node, graph, kinds, model, numbers, run

pytest.importorskip("ai_edge_litert", reason="LiteRT is not installed: pip install '.[litert]'")

SHAPE = (1, 4, 8, 8)
SIGNED, UNSIGNED = quantization.QuantType.QInt8, quantization.QuantType.QUInt8

# What moves between integers and real numbers, at the ends of a graph that is all integers.
ENDS = ["QUANTIZE", "DEQUANTIZE", "TRANSPOSE"]


class Images(quantization.CalibrationDataReader):
    def __init__(self) -> None:
        self.images: Iterator[FloatArray] = (numbers(*SHAPE, seed=seed) for seed in range(4))

    def get_next(self) -> dict[str, FloatArray] | None:
        image = next(self.images, None)
        return None if image is None else {"image": image}


def in_integers(of: onnx.ModelProto, folder: Path, **options: Any) -> onnx.ModelProto:
    """The graph as the product quantizes networks."""
    onnx.save(of, folder / "real.onnx")
    with contextlib.redirect_stdout(io.StringIO()):
        quantization.quantize_static(
            folder / "real.onnx",
            folder / "integers.onnx",
            Images(),
            quant_format=quantization.QuantFormat.QDQ,
            activation_type=options.get("activations", UNSIGNED),
            weight_type=SIGNED,
            per_channel=options.get("per_channel", True),
            reduce_range=True,
        )
    return plain(onnx.load(folder / "integers.onnx"), 1)


def written(of: onnx.ModelProto, steps: float) -> list[str]:
    """Hold the answer against ONNX Runtime's, in steps of it, and return what computed it."""
    image = numbers(*SHAPE, seed=9)
    session = onnxruntime.InferenceSession(
        of.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    (expected,) = session.run(None, {"image": image})
    content = convert(of)
    stored = {one.name: onnx.numpy_helper.to_array(one) for one in of.graph.initializer}
    step = float(stored[of.graph.node[-1].input[1]].reshape(-1)[0])
    assert np.abs(run(content, image) - expected).max() <= steps * step + 1e-6
    return kinds(content)


WEIGHTS: dict[str, Array] = {
    "w": numbers(8, 4, 3, 3), "b": numbers(8), "d": numbers(8, 1, 3, 3), "e": numbers(8, seed=1),
    "g": numbers(8, 4, 1, 1), "m": numbers(8, 5), "n": numbers(5), "c": numbers(8, 1, 1),
    "s": np.abs(numbers(8, 1, 1)),
}  # fmt: skip
FIRST: Node = ("Conv", ["x", "w", "b"], {"pads": [1] * 4})


@pytest.mark.parametrize("activations", [UNSIGNED, SIGNED])
@pytest.mark.parametrize("per_channel", [True, False])
@pytest.mark.parametrize(
    ("nodes", "ran"),
    [
        ([FIRST], ["CONV_2D"]),
        ([FIRST, ("Relu", ["x"], {})], ["CONV_2D"]),
        ([FIRST, ("Conv", ["x", "d", "e"], {"group": 8})], ["CONV_2D", "DEPTHWISE_CONV_2D"]),
        ([FIRST, ("Conv", ["x", "g"], {"group": 2})], ["CONV_2D", "CONV_2D"]),
        ([("Conv", ["x", "w"], {"pads": [1] * 4, "strides": [2, 2]})], ["PAD", "CONV_2D"]),
        (
            [FIRST, ("MaxPool", ["x"], {"kernel_shape": [3, 3], "strides": [2, 2]})],
            ["CONV_2D", "MAX_POOL_2D"],
        ),
        (
            [
                FIRST,
                ("MaxPool", ["x"], {"kernel_shape": [3, 3], "strides": [2, 2], "pads": [1] * 4}),
            ],
            ["CONV_2D", "PADV2", "MAX_POOL_2D"],
        ),
        ([FIRST, ("AveragePool", ["x"], {"kernel_shape": [2, 2]})], ["CONV_2D", "AVERAGE_POOL_2D"]),
        ([FIRST, ("Add", ["x", "c"], {})], ["CONV_2D", "ADD"]),
        ([FIRST, ("Mul", ["x", "c"], {})], ["CONV_2D", "MUL"]),
        (
            [("Conv", ["x", "w"], {}), ("GlobalAveragePool", ["x"], {}), ("Flatten", ["x"], {}),
             ("Gemm", ["x", "m", "n"], {})],
            ["CONV_2D", "MEAN", "RESHAPE", "FULLY_CONNECTED"],
        ),
    ],
)  # fmt: skip
def test_operators_compute_in_integers_as_in_onnx_runtime(
    nodes: list[Node],
    ran: list[str],
    per_channel: bool,
    activations: quantization.QuantType,
    tmp_path: Path,
) -> None:
    read = {name for _, inputs, _ in nodes for name in inputs if name != "x"}
    real = graph(np.zeros(SHAPE, np.float32), nodes, **{name: WEIGHTS[name] for name in read})
    of = in_integers(real, tmp_path, per_channel=per_channel, activations=activations)
    # Each operator may round otherwise, by one step of its own.
    assert [kind for kind in written(of, 2.01) if kind not in ENDS] == ran


def test_what_has_no_kernel_computes_in_single_precision(tmp_path: Path) -> None:
    nodes: list[Node] = [FIRST, ("PRelu", ["x", "s"], {}), ("Conv", ["x", "d", "e"], {"group": 8})]
    read = {name: WEIGHTS[name] for name in "wbsde"}
    of = in_integers(graph(np.zeros(SHAPE, np.float32), nodes, **read), tmp_path)
    ran = ["QUANTIZE", "CONV_2D", "DEQUANTIZE", "PRELU", "QUANTIZE", "DEPTHWISE_CONV_2D"]
    assert written(of, 1.01)[:-2] == ran
    (tmp_path / "network.tflite").write_bytes(convert(of))
    left = RUNTIMES["litert"].left_wider
    assert left(tmp_path / "network.tflite", "int8") == ("1 PRELU",)
    assert not left(tmp_path / "network.tflite", "fp32"), "nothing is wider than that"


def test_integers_that_are_joined_stand_for_the_same_numbers(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Conv", ["image", "w", "b"], ["map"], pads=[1] * 4),
        helper.make_node("Split", ["map"], ["one", "other"], axis=1),
        helper.make_node("Relu", ["one"], ["positive"]),
        helper.make_node("Concat", ["positive", "other"], ["joined"], axis=1),
        helper.make_node("Add", ["joined", "map"], ["sum"]),
        helper.make_node("Reshape", ["sum", "parted"], ["groups"]),
        helper.make_node("Transpose", ["groups"], ["turned"], perm=[0, 2, 1, 3, 4]),
        helper.make_node("Reshape", ["turned", "whole"], ["shuffled"]),
        helper.make_node("Conv", ["shuffled", "g"], ["embedding"], group=2),
    ]
    read = {name: WEIGHTS[name] for name in "wbg"}
    read |= {"parted": np.asarray([1, 2, 4, 8, 8]), "whole": np.asarray([1, 8, 8, 8])}
    of = in_integers(model(np.zeros(SHAPE, np.float32), nodes, read), tmp_path)
    ran = written(of, 4)
    assert ran[0] == "QUANTIZE"
    assert ran[-2:] == ["DEQUANTIZE", "TRANSPOSE"]
    assert "DEQUANTIZE" not in ran[:-2]
