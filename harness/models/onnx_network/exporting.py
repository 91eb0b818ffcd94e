"""Writes what runtimes take of a user's ONNX file, and what they are held against."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from facebench.architectures.errors import BadInputError, WrongAnswerError
from facebench.architectures.registry import Preprocessing
from facebench.harness.models import answers
from facebench.harness.models.onnx_network import files, reference, unfused
from facebench.harness.models.onnx_network.loaded import Loaded
from facebench.harness.stats.arrays import FloatArray

if TYPE_CHECKING:
    from onnx import ModelProto

_DEFINED = "the graph's operators as ONNX defines them, in double precision"
_UNFUSED = "ONNX Runtime without optimization, in the graph's own precision"


def write(loaded: Loaded, name: str, preprocessing: Preprocessing, folder: Path) -> dict[str, Any]:
    """Write `network.onnx` and `reference.npz` into a folder; returns facts of them.

    Raises:
        BadInputError: the graph does not run, or gives no embeddings.
        WrongAnswerError: ONNX Runtime answers otherwise than the graph's operators are defined.
    """
    import onnx

    images = answers.reference_inputs(loaded.found.size, preprocessing)
    wrapped = loaded.wrapped(preprocessing.channels)
    onnx.save(wrapped, folder / "network.onnx")
    found = _run(name, folder / "network.onnx", images)
    outputs, rounding, how = _reference(loaded, wrapped, images, preprocessing.channels)
    precision = files.precision(loaded.model)
    _require_finite_weights(loaded, outputs, name)
    answers.require_answers(name, outputs)
    answers.require_rounding(name, rounding, precision)
    _require_the_same(name, precision, found, outputs, rounding)
    np.savez(folder / "reference.npz", inputs=images, outputs=outputs)
    return {
        "opset": loaded.opset,
        "output_error": answers.relative_error(found, outputs),
        "rounding": rounding,
        "reference": how,
        "precision": precision,
        "batch": wrapped.graph.input[0].type.tensor_type.shape.dim[0].dim_value,
        "denormal_weights": _denormal_share(loaded),
        "from_onnx": True,
    }


def _run(name: str, path: Path, images: FloatArray) -> FloatArray:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    try:
        session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        found = [session.run(None, {"image": image[None]})[0] for image in images]
    except Exception as error:  # ONNX Runtime raises a dozen kinds
        said = str(error).strip().splitlines() or [type(error).__name__]
        raise BadInputError(
            f"{name} does not run in ONNX Runtime ({said[0]}); export it again"
        ) from error
    return np.concatenate(found)


def _reference(
    loaded: Loaded, wrapped: ModelProto, images: FloatArray, channels: str
) -> tuple[FloatArray, float, str]:
    """Return embeddings (K, E), how far off them the graph's own precision is, and whose they are.

    Args:
        loaded: the graph.
        wrapped: likewise, for an operator that ONNX Runtime alone defines.
        images: preprocessed.
        channels: their order.
    """
    try:
        exact = reference.outputs(loaded.model, loaded.found, images, True, channels)
        own = reference.outputs(loaded.model, loaded.found, images, False, channels)
    except Exception:  # an operator that `onnx.reference` has not, which raises a dozen kinds
        return unfused.embed(wrapped, images), 0.0, _UNFUSED
    outputs = exact.astype(np.float32)
    rounding = answers.relative_error(own.astype(np.float32), outputs)
    return outputs, rounding, _DEFINED


def _require_finite_weights(loaded: Loaded, outputs: FloatArray, name: str) -> None:
    if np.isfinite(outputs).all():
        return
    for tensor, values in reference.constants(loaded.model):
        if not np.isfinite(values).all():
            raise BadInputError(
                f"{name} gives embeddings that are not finite: its weights {tensor} hold NaN or "
                "infinity, as after a training that diverged; give other weights"
            )


def _require_the_same(
    name: str, precision: str, found: FloatArray, outputs: FloatArray, rounding: float
) -> None:
    error = answers.relative_error(found, outputs)
    most = answers.tolerance(answers.EXPORT_TOLERANCE, rounding)
    if precision == "int8":
        if answers.cosines(found, outputs).min() >= answers.LEAST_COSINE:
            return
        said = f"by a cosine below {answers.LEAST_COSINE}"
    elif error <= most:
        return
    else:
        said = f"by {error:.1e} of the largest element, where rounding explains {most:.1e}"
    raise WrongAnswerError(
        f"ONNX Runtime and the definitions of ONNX disagree on {name} {said}: report it, no "
        "figure is taken from it"
    )


def _denormal_share(loaded: Loaded) -> float:
    weights = [np.abs(values).ravel() for _, values in reference.constants(loaded.model)]
    total: int = sum(one.size for one in weights)
    tiny = np.finfo(np.float32).tiny
    single = [one for one in weights if one.dtype.itemsize > 2]
    denormal = sum(int(((one > 0) & (one < tiny)).sum()) for one in single)
    return denormal / max(total, 1)
