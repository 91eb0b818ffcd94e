"""Reads a user's TFLite file as a graph of ONNX, which does what the file's graph does."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import onnx

from facebench.architectures.errors import BadInputError, FacebenchError
from facebench.harness.models.onnx_network.files import precision
from facebench.harness.models.tflite_network import elementwise, parts, shapes, sums
from facebench.harness.models.tflite_network.files import (
    Signature,
    TfliteFile,
    TfliteGraph,
    TfliteOperator,
)
from facebench.harness.models.tflite_network.translation import RULES, Translation
from facebench.harness.storage.cache import file_digest

if TYPE_CHECKING:
    from onnx import ModelProto

# The modules whose rules are known.
_RULES_IN = (elementwise, parts, shapes, sums)


def read(path: Path, output: str = "") -> tuple[ModelProto, str]:
    """Return what a file computes, and the name of the output that is asked for.

    The graph's input is the file's own, (N, H, W, 3) as a rule. One that is quantized takes real
    numbers here, and is rounded first; a quantized output gives real numbers.

    Args:
        path: of the file.
        output: of several, the one that is asked for; of a file with several signatures, begun by
            the signature's name and a colon. Where empty, all are read.

    Raises:
        BadInputError: it is no TFLite file, it has several signatures, or an operator is not read.
        UnavailableError: the package with the format's schema is not installed.
    """
    file = TfliteFile(path)
    signature, output = chosen(file, output)
    graph = file.graph(signature.graph)
    try:
        return _converted(graph, signature, output), output
    except FacebenchError as error:
        raise BadInputError(f"{path} cannot be read: {error}") from error


def identity(path: Path, output: str = "") -> tuple[str, str]:
    """Return the SHA-256 of a file, and its precision: `int8` where it is quantized, or `fp32`.

    Raises:
        BadInputError: the file can't be read.
        UnavailableError: the package with the format's schema is not installed.
    """
    digest = file_digest(path)
    try:
        return digest, precision(read(path, output)[0])
    except BadInputError:
        return digest, "fp32"  # what is wrong with it is said when it is used


def chosen(file: TfliteFile, output: str) -> tuple[Signature, str]:
    """Return the signature that is asked for, and what is left of the output's name.

    Raises:
        BadInputError: the file has several, and none is named.
    """
    if len(file.signatures) == 1:
        return file.signatures[0], output
    for one in file.signatures:
        if output == one.name or output.startswith(f"{one.name}:"):
            return one, output[len(one.name) + 1 :]
    raise BadInputError(
        f"{file.path} has several signatures: name one with --output, of "
        f"{', '.join(one.name for one in file.signatures)}"
    )


def outputs_of(signature: Signature) -> dict[str, int]:
    """Return a signature's outputs by their names in ONNX: another where an input has it."""
    return {
        f"{name}_given" if name in signature.inputs else name: number
        for name, number in signature.outputs.items()
    }


def _converted(graph: TfliteGraph, signature: Signature, output: str) -> ModelProto:
    known = outputs_of(signature)
    outputs = {output: known[output]} if output in known else known
    translation = Translation(graph)
    translation.reserve([*signature.inputs, *outputs])
    given = [translation.start(*named) for named in signature.inputs.items()]
    for place, one in enumerate(_needed(graph.operators, list(outputs.values()))):
        _convert(translation, one, place)
    made = [translation.finish(*named) for named in outputs.items()]
    model = translation.model(given, made)
    _require_shapes(translation, model)
    return model


def _convert(translation: Translation, one: TfliteOperator, place: int) -> None:
    if one.kind not in RULES:
        raise BadInputError(
            f"no rule says what its operator {one.kind} does: export the network without it"
        )
    try:
        RULES[one.kind](translation, one)
    except FacebenchError:
        raise
    except Exception as error:  # of numbers that make no sense together, numpy raises a dozen kinds
        said = str(error).strip().splitlines() or [type(error).__name__]
        raise BadInputError(
            f"its operator {one.kind} makes no sense ({said[0]}): export the network again"
        ) from error


def _needed(operators: Sequence[TfliteOperator], outputs: Sequence[int]) -> list[TfliteOperator]:
    """Return the operators that outputs depend on, in order."""
    needed, kept = set(outputs), []
    for one in reversed(operators):
        if needed.intersection(one.outputs):
            needed.update(one.inputs)
            kept.append(one)
    return kept[::-1]


def _require_shapes(translation: Translation, model: ModelProto) -> None:
    """See that values come out in the shapes that the file says of its tensors."""
    try:
        onnx.checker.check_model(model)
        inferred = onnx.shape_inference.infer_shapes(model, strict_mode=True, data_prop=True)
    except Exception as error:  # onnx raises a dozen kinds
        said = str(error).strip().splitlines() or [type(error).__name__]
        raise BadInputError(
            f"its operators do not fit together ({said[0]}): export the network again"
        ) from error
    stated = translation.shapes()
    for value in inferred.graph.value_info:
        dims = value.type.tensor_type.shape.dim
        if value.name not in stated:
            continue
        tensor, shape = stated[value.name]
        found = tuple(dim.dim_value if dim.HasField("dim_value") else -1 for dim in dims)
        pairs = zip(shape, found, strict=False)
        if len(found) != len(shape) or any(min(pair) >= 0 and len({*pair}) > 1 for pair in pairs):
            raise BadInputError(
                f"its {tensor} is said to be {shape}, and comes out as {found}: export the "
                "network again"
            )
