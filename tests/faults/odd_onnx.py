"""ONNX files that no exporter writes: each has one thing that nobody meant."""

from __future__ import annotations

import random
from collections.abc import Sequence

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from tests.faults.fuzz import mutate


def model(chance: random.Random) -> bytes:
    """A small convolutional network with something odd, at times damaged besides."""
    conv = {"strides": [2, 2], "pads": [1, 1, 1, 1], "dilations": [1, 1], "group": 1}
    odd = {
        "group": [0, -1, 3, 7, 2**40],
        "strides": [[0, 0], [-1, 1], [2**40, 1], [1]],
        "pads": [[-9, -9, -9, -9], [2**30] * 4, [1]],
        "dilations": [[0, 0], [2**40] * 2, [-1, 1]],
        "kernel_shape": [[0, 0], [3], [2**31, 2**31], [-3, -3], [5, 5]],
    }  # fmt: skip
    weight: np.ndarray = np.ones((8, 3, 3, 3), np.float32)
    shape: Sequence[object] = ["n", 3, 16, 16]
    out: Sequence[object] | None = ["n", 8]
    nodes = []
    kind = chance.randrange(12)
    if kind == 0:
        key = chance.choice(list(odd))
        conv[key] = chance.choice(odd[key])  # type: ignore[assignment, call-overload]
    elif kind == 1:
        weight = weight.astype(chance.choice((np.int8, np.float16, np.float64, np.int64, bool)))
    elif kind == 2:
        weight = np.full_like(weight, chance.choice((np.nan, np.inf, 1e38, 1e-45)))
    elif kind == 3:
        weight = weight.reshape(chance.choice(((8, 27), (216,), (8, 3, 9), (1, 8, 3, 3, 3))))
    elif kind == 4:
        shape = chance.choice(([], [1], ["n", 3, 0, 16], ["n", 3, -1, 16], [2**40, 3, 16, 16],
                               ["n", 3, "h", "w"], [0, 3, 16, 16], ["n", 1, 16, 16]))  # fmt: skip
    elif kind == 5:
        out = chance.choice((None, [], ["n", 9], ["n", 0], [2**40, 8], ["n", 8, 1, 1]))
    initial = [numpy_helper.from_array(weight, "w")]
    nodes.append(helper.make_node("Conv", ["image", "w"], ["c"], **conv))
    nodes.append(helper.make_node("GlobalAveragePool", ["c"], ["p"]))
    last = "p"
    if kind == 6:
        index = chance.choice((9, -9, 2**31, -(2**40)))
        initial.append(numpy_helper.from_array(np.array([index], np.int64), "i"))
        nodes.append(
            helper.make_node("Gather", ["p", "i"], ["g"], axis=chance.choice((0, 1, 9, -9)))
        )
        last = "g"
    elif kind == 7:  # no parameters
        initial = []
        nodes = [helper.make_node("GlobalAveragePool", ["image"], ["p"])]
    elif kind == 8:
        initial.append(
            numpy_helper.from_array(
                np.array(chance.choice(((0, 0), (-1, -1), (2**40, 1), (-5, 8), (3,))), np.int64),
                "s",
            )
        )
        nodes.append(helper.make_node("Reshape", ["p", "s"], ["r"]))
        last = "r"
    elif kind == 9:
        nodes.append(helper.make_node(
            chance.choice(("NoSuchThing", "Loop", "If", "", "Scan")), ["p"], ["x"],
            domain=chance.choice(("", "com.microsoft", "a\0b"))))  # fmt: skip
        last = "x"
    elif kind == 10:
        nodes.append(helper.make_node("Add", [last, "z"], ["y"]))  # which is made of itself
        nodes.append(helper.make_node("Relu", ["y"], ["z"]))
        last = "z"
    nodes.append(helper.make_node("Flatten", [last], ["vector"]))
    graph = helper.make_graph(
        nodes, chance.choice(("g", "", "\x1b[2J")),
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("vector", TensorProto.FLOAT, out)], initial,
    )  # fmt: skip
    if kind == 11 and initial:
        initial[0].raw_data = initial[0].raw_data[: chance.randrange(800)]
        del graph.initializer[:]
        graph.initializer.extend(initial)
    opset = chance.choice((17, 17, 17, 17, 1, 6, 99, -1))
    made = onnx.helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)])
    data: bytes = made.SerializeToString()
    return mutate(data, [data], chance) if chance.random() < 0.2 else data
