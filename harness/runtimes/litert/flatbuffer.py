"""Writes the file that LiteRT reads: tensors, operators that join them, and a signature.

The format's schema comes with the runtime (`ai_edge_litert.schema_py_generated`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]

# What the format calls the options of an operator, where it has any that are set here.
_OPTIONS = {
    "ADD": "AddOptions",
    "AVERAGE_POOL_2D": "Pool2DOptions",
    "BATCH_MATMUL": "BatchMatMulOptions",
    "CONCATENATION": "ConcatenationOptions",
    "CONV_2D": "Conv2DOptions",
    "DEPTHWISE_CONV_2D": "DepthwiseConv2DOptions",
    "DIV": "DivOptions",
    "FULLY_CONNECTED": "FullyConnectedOptions",
    "GELU": "GeluOptions",
    "LEAKY_RELU": "LeakyReluOptions",
    "MAX_POOL_2D": "Pool2DOptions",
    "MEAN": "ReducerOptions",
    "MUL": "MulOptions",
    "REDUCE_MAX": "ReducerOptions",
    "REDUCE_MIN": "ReducerOptions",
    "RESHAPE": "ReshapeOptions",
    "RESIZE_BILINEAR": "ResizeBilinearOptions",
    "RESIZE_NEAREST_NEIGHBOR": "ResizeNearestNeighborOptions",
    "SOFTMAX": "SoftmaxOptions",
    "SPLIT": "SplitOptions",
    "STRIDED_SLICE": "StridedSliceOptions",
    "SUB": "SubOptions",
    "SUM": "ReducerOptions",
}

# Operators that can apply an activation to what they give.
_FUSING = frozenset({"ADD", "AVERAGE_POOL_2D", "CONV_2D", "DEPTHWISE_CONV_2D", "DIV",
                     "FULLY_CONNECTED", "MAX_POOL_2D", "MUL", "SUB"})  # fmt: skip

# Options that are one word of an enumeration.
_WORDS = {"padding": "Padding", "fusedActivationFunction": "ActivationFunctionType"}

# Readers of this version of the format, of operators whose code takes more than seven bits.
_VERSION, _SMALL_CODES = 3, 127

# Operators that LiteRT has from a later version on than the first.
_LATER = {"BROADCAST_TO": 2}

# What a file says that may be computed in half precision where the CPU does so: XNNPACK's
# documentation, "IEEE FP16 Operators".
_HALF = ("reduced_precision_support", b"fp16accfp16")

# Bytes at whose multiples the format wants constants to begin.
_ALIGNED = 16


@dataclass(frozen=True)
class Quantization:
    """It says for what real numbers the integers of a tensor stand: scale * (integer - zero).

    Attributes:
        scales: one, or one for each place along an axis.
        zero: the integer that stands for zero.
        axis: of the tensor, along which scales differ.
    """

    scales: tuple[float, ...]
    zero: int = 0
    axis: int = 0


class ModelWriter:
    """It collects a network of one graph, and writes it.

    Tensors are known by their numbers, in the order in which they were made.

    Args:
        half: keep real constants in half precision, and let the network be computed in it where
            the CPU does so.
    """

    def __init__(self, half: bool = False) -> None:
        from ai_edge_litert import schema_py_generated

        self._schema: Any = schema_py_generated
        self._half = half
        self._tensors: list[Any] = []
        self._buffers: list[Any] = [self._schema.BufferT()]  # the first one is of no constant
        self._operators: list[Any] = []
        self._codes: dict[str, int] = {}
        self._made_by: dict[int, tuple[str, Any]] = {}
        self._quantizations: dict[int, Quantization] = {}
        self._constants: dict[tuple[Any, ...], int] = {}

    def tensor(
        self, name: str, shape: Sequence[int], quantization: Quantization | None = None
    ) -> int:
        """Add a tensor that is worked out, of real numbers, or of int8 that stand for some."""
        kind = "FLOAT32" if quantization is None else "INT8"
        return self._add_tensor(name, shape, kind, 0, quantization)

    def constant(
        self, array: Array, name: str = "", quantization: Quantization | None = None
    ) -> int:
        """Add a tensor of given numbers of any shape, float32, int32 or int8; the same ones once.

        Args:
            array: the numbers.
            name: the tensor's, where it is not added yet.
            quantization: of integers that stand for real numbers.
        """
        data = np.ascontiguousarray(array)
        key = (data.dtype.str, data.shape, data.tobytes(), quantization)
        if key not in self._constants:
            name = name or f"constant_{len(self._constants)}"
            self._constants[key] = self._stored(data, name, quantization)
        return self._constants[key]

    def _stored(self, data: Array, name: str, quantization: Quantization | None) -> int:
        halved = self._half and data.dtype == np.float32
        stored = data.astype(np.float16) if halved else data
        self._buffers.append(self._aligned(stored.tobytes()))
        kind, buffer = stored.dtype.name.upper(), len(self._buffers) - 1
        if not halved:
            return self._add_tensor(name, data.shape, kind, buffer, quantization)
        half = self._add_tensor(f"{name}/half", data.shape, kind, buffer, None)
        widened = self.tensor(name, data.shape)
        self.add("DEQUANTIZE", [half], [widened])
        return widened

    def add(self, kind: str, inputs: Sequence[int], outputs: Sequence[int], **options: Any) -> None:
        """Add an operator.

        Args:
            kind: as the format names it, such as `CONV_2D`.
            inputs: tensors; -1 where one is left out.
            outputs: tensors.
            options: as the format names them, with words for its enumerations.
        """
        schema = self._schema
        operator = schema.OperatorT()
        operator.opcodeIndex = self._codes.setdefault(kind, len(self._codes))
        operator.inputs, operator.outputs = list(inputs), list(outputs)
        if name := _OPTIONS.get(kind):
            operator.builtinOptionsType = getattr(schema.BuiltinOptions, name)
            operator.builtinOptions = getattr(schema, f"{name}T")()
            for option, value in options.items():
                given = (
                    getattr(getattr(schema, _WORDS[option]), value) if option in _WORDS else value
                )
                setattr(operator.builtinOptions, option, given)
        self._operators.append(operator)
        self._made_by |= dict.fromkeys(outputs, (kind, operator))

    def shape(self, tensor: int) -> tuple[int, ...]:
        """Return a tensor's shape."""
        return tuple(self._tensors[tensor].shape)

    def quantization(self, tensor: int) -> Quantization | None:
        """Return for what its integers stand; None of one of real numbers."""
        return self._quantizations.get(tensor)

    def name(self, tensor: int) -> str:
        """Return a tensor's name."""
        return str(self._tensors[tensor].name)

    def rename(self, tensor: int, name: str) -> None:
        """Call a tensor otherwise."""
        self._tensors[tensor].name = name

    def fuse(self, tensor: int, activation: str) -> bool:
        """Have the operator that makes a tensor apply an activation too, and say whether it can."""
        kind, operator = self._made_by.get(tensor, ("", None))
        if kind not in _FUSING or operator.builtinOptions.fusedActivationFunction:
            return False
        number = getattr(self._schema.ActivationFunctionType, activation)
        operator.builtinOptions.fusedActivationFunction = number
        return True

    def activation(self, tensor: int) -> str:
        """Return the activation that a tensor comes from; or nothing."""
        kind, operator = self._made_by.get(tensor, ("", None))
        words = vars(self._schema.ActivationFunctionType).items()
        numbers = {number: word for word, number in words if isinstance(number, int) and number}
        if kind in _FUSING:
            return str(numbers.get(operator.builtinOptions.fusedActivationFunction, ""))
        return kind if kind in numbers.values() else ""

    def add_bias(self, tensor: int, bias: Array) -> bool:
        """Have the product that makes a tensor add a bias `(N,)` too, and say whether it can."""
        kind, operator = self._made_by.get(tensor, ("", None))
        if kind != "FULLY_CONNECTED" or operator.inputs[2] != -1:
            return False
        if operator.builtinOptions.fusedActivationFunction:
            return False
        operator.inputs[2] = self.constant(bias)
        return True

    def written(self, image: int, embedding: int) -> bytes:
        """Return the file, whose signature `serving_default` maps `image` to `embedding`."""
        import flatbuffers

        schema = self._schema
        graph = schema.SubGraphT()
        graph.name, graph.tensors, graph.operators = "main", self._tensors, self._operators
        graph.inputs, graph.outputs = [image], [embedding]
        signature = schema.SignatureDefT()
        signature.signatureKey, signature.subgraphIndex = "serving_default", 0
        signature.inputs = [self._named("image", image)]
        signature.outputs = [self._named("embedding", embedding)]
        model = schema.ModelT()
        model.version, model.description = _VERSION, "facebench"
        model.operatorCodes = [self._code(kind) for kind in self._codes]
        model.subgraphs, model.buffers, model.signatureDefs = [graph], self._buffers, [signature]
        if self._half:
            model.metadata = [self._metadata(*_HALF)]
        builder = flatbuffers.Builder(1024)
        builder.Finish(model.Pack(builder), b"TFL3")
        return bytes(builder.Output())

    def _add_tensor(
        self,
        name: str,
        shape: Sequence[int],
        kind: str,
        buffer: int,
        quantization: Quantization | None,
    ) -> int:
        tensor = self._schema.TensorT()
        tensor.name, tensor.shape, tensor.buffer = name, [int(size) for size in shape], buffer
        tensor.type, tensor.hasRank = getattr(self._schema.TensorType, kind), True
        self._tensors.append(tensor)
        number = len(self._tensors) - 1
        if quantization is not None:
            self._quantizations[number] = quantization
            tensor.quantization = self._schema.QuantizationParametersT()
            tensor.quantization.scale = list(quantization.scales)
            tensor.quantization.zeroPoint = [quantization.zero] * len(quantization.scales)
            tensor.quantization.quantizedDimension = quantization.axis
        return number

    def _metadata(self, name: str, content: bytes) -> Any:
        metadata = self._schema.MetadataT()
        metadata.name, metadata.buffer = name, len(self._buffers)
        self._buffers.append(self._aligned(content))
        return metadata

    def _aligned(self, data: bytes) -> Any:
        base: Any = self._schema.BufferT

        class Aligned(base):  # type: ignore[misc]
            def Pack(self, builder: Any) -> Any:  # noqa: N802
                builder.Prep(_ALIGNED, len(self.data))
                return super().Pack(builder)

        buffer = Aligned()
        buffer.data = np.frombuffer(data, np.uint8)
        return buffer

    def _code(self, kind: str) -> Any:
        code = self._schema.OperatorCodeT()
        code.builtinCode = getattr(self._schema.BuiltinOperator, kind)
        code.deprecatedBuiltinCode = min(code.builtinCode, _SMALL_CODES)
        code.version = _LATER.get(kind, 1)
        return code

    def _named(self, name: str, tensor: int) -> Any:
        named = self._schema.TensorMapT()
        named.name, named.tensorIndex = name, tensor
        return named


def computed_in_float(content: bytes) -> Counter[str]:
    """Return how many operators of each kind give real numbers, of a file's first graph."""
    from ai_edge_litert import schema_py_generated as schema

    kinds = {number: kind for kind, number in vars(schema.BuiltinOperator).items()}
    model = schema.ModelT.InitFromPackedBuf(content)
    # Older files have a code in its old place alone.
    codes = [max(one.builtinCode, one.deprecatedBuiltinCode) for one in model.operatorCodes]
    graph = model.subgraphs[0]
    return Counter(
        kinds[codes[one.opcodeIndex]]
        for one in graph.operators
        if graph.tensors[one.outputs[0]].type == schema.TensorType.FLOAT32
    )
