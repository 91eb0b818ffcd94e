"""Makes TFLite files with the format's own schema, and runs them in LiteRT's reference kernels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]

# Of operators whose options are not called as they are.
_OPTIONS = {
    "AVERAGE_POOL_2D": "Pool2D",
    "BATCH_MATMUL": "BatchMatMul",
    "CONV_2D": "Conv2D",
    "DEPTHWISE_CONV_2D": "DepthwiseConv2D",
    "L2_NORMALIZATION": "L2Norm",
    "MAX_POOL_2D": "Pool2D",
    "MEAN": "Reducer",
    "MIRROR_PAD": "MirrorPad",
    "REDUCE_MAX": "Reducer",
    "REDUCE_MIN": "Reducer",
    "SUM": "Reducer",
}
# Operators of which LiteRT asks certain scales and zero points of int8.
_SCALES = {
    "LOGISTIC": (1 / 256, -128),
    "SOFTMAX": (1 / 256, -128),
    "L2_NORMALIZATION": (1 / 128, 0),
    "TANH": (1 / 128, 0),
}
# Operators whose output has the scale of their input.
_MOVES = (
    "AVERAGE_POOL_2D",
    "CONCATENATION",
    "MAX_POOL_2D",
    "MIRROR_PAD",
    "PAD",
    "RESHAPE",
    "RESIZE_BILINEAR",
    "RESIZE_NEAREST_NEIGHBOR",
    "SPACE_TO_DEPTH",
    "SPLIT",
    "SQUEEZE",
    "STRIDED_SLICE",
    "TRANSPOSE",
)
_WEIGHTS = {"CONV_2D": 0, "DEPTHWISE_CONV_2D": 3, "FULLY_CONNECTED": 0}


@dataclass
class Stored:
    """A tensor of a file that is made."""

    name: str
    shape: tuple[int, ...] = ()
    kind: str = "FLOAT32"
    data: Array | None = None
    scales: Array | None = None
    zeros: Array | None = None
    axis: int = 0
    free: tuple[int, ...] = ()


@dataclass
class Step:
    """An operator of a file that is made."""

    kind: str
    inputs: list[int]
    outputs: list[int]
    options: dict[str, Any]


@dataclass
class Made:
    """A file that grows, tensor by tensor."""

    tensors: list[Stored] = field(default_factory=list)
    steps: list[Step] = field(default_factory=list)
    inputs: list[int] = field(default_factory=list)
    outputs: list[int] = field(default_factory=list)
    signatures: dict[str, tuple[dict[str, int], dict[str, int]]] = field(default_factory=dict)

    def tensor(self, name: str = "", **facts: Any) -> int:
        self.tensors.append(Stored(name or f"tensor_{len(self.tensors)}", **facts))
        return len(self.tensors) - 1

    def image(self, *shape: int, kind: str = "FLOAT32", free: Sequence[int] = ()) -> int:
        self.inputs.append(self.tensor("image", shape=shape, kind=kind, free=tuple(free)))
        return self.inputs[-1]

    def constant(self, data: Any, kind: str = "") -> int:
        array = np.asarray(data)
        kinds = {"f": "FLOAT32", "i": "INT32"}
        kind = kind or kinds[array.dtype.kind]
        array = array.astype(kind.lower())
        return self.tensor(shape=array.shape, kind=kind, data=array)

    def add(
        self, kind: str, *inputs: int, count: int = 1, gives: str = "FLOAT32", **options: Any
    ) -> int:
        """Add an operator, and return the first tensor that it gives; others follow."""
        outputs = [self.tensor(f"{kind}_{len(self.steps)}_{n}", kind=gives) for n in range(count)]
        self.steps.append(Step(kind, list(inputs), outputs, options))
        return outputs[0]

    def written(self) -> bytes:
        import flatbuffers
        from ai_edge_litert import schema_py_generated as schema

        model, codes = schema.ModelT(), sorted({one.kind for one in self.steps})
        model.version = 3
        model.operatorCodes = [_code(schema, kind) for kind in codes]
        model.buffers = [schema.BufferT()]
        graph = schema.SubGraphT()
        graph.tensors = [_tensor(schema, one, model.buffers) for one in self.tensors]
        graph.operators = [_operator(schema, one, codes.index(one.kind)) for one in self.steps]
        graph.inputs, graph.outputs = self.inputs, self.outputs
        model.subgraphs = [graph]
        model.signatureDefs = [
            _signature(schema, name, *ends) for name, ends in self.signatures.items()
        ] or None
        builder = flatbuffers.Builder(1024)
        builder.Finish(model.Pack(builder), b"TFL3")
        return bytes(builder.Output())

    def completed(self) -> bytes:
        """Return the file with the shapes that LiteRT works out."""
        opened = interpreter(self.written())
        opened.invoke()  # some shapes are worked out
        for details in opened.get_tensor_details():
            if details["index"] < len(self.tensors):
                held = self.tensors[details["index"]]
                held.shape = tuple(map(int, details["shape"]))
        return self.written()


def interpreter(file: bytes) -> Any:
    """Open a file in LiteRT's reference kernels, all tensors kept."""
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    opened = Interpreter(
        model_content=file,
        experimental_op_resolver_type=OpResolverType.BUILTIN_REF,
        experimental_preserve_all_tensors=True,
    )
    opened.allocate_tensors()
    return opened


def run(file: bytes, image: Array) -> list[Array]:
    """Return what LiteRT's reference kernels answer; of integers with a scale, the real numbers."""
    opened = interpreter(file)
    (given,) = opened.get_input_details()
    scale, zero = given["quantization"]
    if scale:
        limits = np.iinfo(given["dtype"])
        image = np.clip(np.rint(image / np.float32(scale)) + zero, limits.min, limits.max)
    opened.set_tensor(given["index"], image.astype(given["dtype"]))
    opened.invoke()
    return [_real(opened.get_tensor(one["index"]), one) for one in opened.get_output_details()]


def _real(answer: Array, details: dict[str, Any]) -> Array:
    scale, zero = details["quantization"]
    return (answer.astype(np.float32) - zero) * np.float32(scale) if scale else answer


def quantized(made: Made, images: Array, kind: str = "INT8") -> Made:
    """Return a file in 8-bit integers, ranges from what the float file works out of images.

    Args:
        made: in float32, completed.
        images: each of the input's shape.
        kind: of what is worked out; INT8, or UINT8 with weights of one scale, as old files have.
    """
    lows, highs = _ranges(made, images)
    found = Made(inputs=list(made.inputs), outputs=list(made.outputs))
    found.tensors = [Stored(**vars(one)) for one in made.tensors]
    found.steps = [Step(one.kind, list(one.inputs), list(one.outputs), dict(one.options))
                   for one in made.steps]  # fmt: skip
    for number, one in enumerate(found.tensors):
        if one.kind == "FLOAT32" and one.data is None:
            _set_scale(one, lows[number], highs[number], kind)
    for step in found.steps:
        _quantize_step(found, step, kind)
    return found


def _quantize_step(found: Made, step: Step, kind: str) -> None:
    first = found.tensors[step.inputs[1 if step.kind == "SPLIT" else 0]]
    for place, number in enumerate(step.inputs):
        one = found.tensors[number]
        if number < 0 or one.data is None or one.kind != "FLOAT32":
            continue
        if step.kind in _WEIGHTS and place == 2:
            weights = found.tensors[step.inputs[1]]
            assert first.scales is not None
            assert weights.scales is not None
            one.scales, one.kind = first.scales * weights.scales, "INT32"
            one.data = np.rint(one.data / one.scales).astype(np.int32)
            one.zeros = np.zeros(len(one.scales), np.int64)
        elif step.kind in _WEIGHTS and kind == "INT8":
            _quantize_channels(one, _WEIGHTS[step.kind])
        else:
            data = one.data
            _set_scale(one, float(data.min()), float(data.max()), kind)
            assert one.scales is not None
            assert one.zeros is not None
            limits = np.iinfo(kind.lower())
            whole = np.rint(data / one.scales[0]) + one.zeros[0]
            one.data = whole.clip(limits.min, limits.max).astype(kind.lower())
    for number in step.outputs:
        one = found.tensors[number]
        if step.kind in _MOVES:
            one.scales, one.zeros = first.scales, first.zeros
        elif step.kind in _SCALES:
            scale, zero = _SCALES[step.kind]
            one.scales = np.array([scale], np.float32)
            one.zeros = np.array([zero + (128 if kind == "UINT8" else 0)], np.int64)
    if step.kind == "CONCATENATION":  # which asks one scale of all
        for number in step.inputs:
            found.tensors[number].scales = first.scales
            found.tensors[number].zeros = first.zeros


def _quantize_channels(one: Stored, axis: int) -> None:
    assert one.data is not None
    others = tuple(place for place in range(one.data.ndim) if place != axis)
    scales = np.maximum(np.abs(one.data).max(axis=others), 1e-6) / 127
    shape = [-1 if place == axis else 1 for place in range(one.data.ndim)]
    one.data = np.rint(one.data / scales.reshape(shape)).astype(np.int8)
    one.scales, one.zeros = scales.astype(np.float32), np.zeros(len(scales), np.int64)
    one.axis, one.kind = axis, "INT8"


def _set_scale(one: Stored, low: float, high: float, kind: str) -> None:
    low, high = min(low, 0.0), max(high, low + 1e-3, 1e-3)
    scale = np.float32((high - low) / 255)
    one.scales = np.array([scale], np.float32)
    one.zeros = np.array([np.iinfo(kind.lower()).min - round(low / float(scale))], np.int64)
    one.kind = kind


def _ranges(made: Made, images: Array) -> tuple[dict[int, float], dict[int, float]]:
    opened = interpreter(made.written())
    lows: dict[int, float] = {}
    highs: dict[int, float] = {}
    for image in images:
        opened.set_tensor(made.inputs[0], image)
        opened.invoke()
        for number, one in enumerate(made.tensors):
            if one.kind == "FLOAT32" and one.data is None:
                values = opened.get_tensor(number)
                lows[number] = min(lows.get(number, 0.0), float(values.min()))
                highs[number] = max(highs.get(number, 0.0), float(values.max()))
    return lows, highs


def _code(schema: Any, kind: str) -> Any:
    code = schema.OperatorCodeT()
    known = getattr(schema.BuiltinOperator, kind, None)
    code.builtinCode = schema.BuiltinOperator.CUSTOM if known is None else known
    code.customCode = kind if known is None else None
    code.deprecatedBuiltinCode = min(code.builtinCode, 127)
    code.version = 1
    return code


def _tensor(schema: Any, one: Stored, buffers: list[Any]) -> Any:
    tensor = schema.TensorT()
    tensor.name, tensor.shape, tensor.hasRank = one.name, list(one.shape), True
    tensor.type = getattr(schema.TensorType, one.kind)
    tensor.shapeSignature = list(one.free) or None
    if one.data is not None:
        buffer = schema.BufferT()
        buffer.data = np.frombuffer(np.ascontiguousarray(one.data).tobytes(), np.uint8)
        buffers.append(buffer)
        tensor.buffer = len(buffers) - 1
    if one.scales is not None:
        tensor.quantization = schema.QuantizationParametersT()
        tensor.quantization.scale = np.asarray(one.scales, np.float32)
        tensor.quantization.zeroPoint = np.asarray(one.zeros, np.int64)
        tensor.quantization.quantizedDimension = one.axis
    return tensor


def _operator(schema: Any, one: Step, code: int) -> Any:
    operator = schema.OperatorT()
    operator.opcodeIndex, operator.inputs, operator.outputs = code, one.inputs, one.outputs
    own = "".join(word.capitalize() for word in one.kind.split("_"))
    name = f"{_OPTIONS.get(one.kind, own)}Options"
    if one.options or one.kind in _OPTIONS:
        operator.builtinOptionsType = getattr(schema.BuiltinOptions, name)
        operator.builtinOptions = getattr(schema, f"{name}T")()
        for option, value in one.options.items():
            assert hasattr(operator.builtinOptions, option), option
            setattr(operator.builtinOptions, option, value)
    return operator


def _signature(schema: Any, name: str, inputs: dict[str, int], outputs: dict[str, int]) -> Any:
    signature = schema.SignatureDefT()
    signature.signatureKey, signature.subgraphIndex = name, 0
    signature.inputs, signature.outputs = _named(schema, inputs), _named(schema, outputs)
    return signature


def _named(schema: Any, tensors: dict[str, int]) -> list[Any]:
    found = []
    for name, number in tensors.items():
        one = schema.TensorMapT()
        one.name, one.tensorIndex = name, number
        found.append(one)
    return found
