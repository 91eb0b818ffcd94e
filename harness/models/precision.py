"""Lowers a network to fewer bits, and measures how near it stays to itself."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from facebench.architectures.errors import RefusedError, UnknownNameError, WrongAnswerError
from facebench.harness.machine.environment import version
from facebench.harness.models import quantize
from facebench.harness.models.answers import (
    LEAST_COSINE,
    RUNTIME_TOLERANCE,
    of_each,
    relative_error,
    tolerance,
)
from facebench.harness.models.answers import cosines as embedding_cosines
from facebench.harness.models.export import Exported
from facebench.harness.records.record import Check
from facebench.harness.stats.arrays import FloatArray
from facebench.harness.storage import cache, fingerprints
from facebench.harness.verification.calibration import Calibration, calibration_of, require_disjoint

__all__ = [
    "ALREADY",
    "LEAST_COSINE",
    "PRECISIONS",
    "TOLERANCE",
    "Agreement",
    "Calibration",
    "agreement",
    "calibration_of",
    "faithful",
    "lower",
    "require_agreement",
    "require_disjoint",
    "require_known",
]

PRECISIONS = ("fp32", "fp16", "int8")

# Largest difference from torch, relative to the largest element of the embeddings. Of int8
# only finite outputs are asked, for which the largest float sessions: see `faithful`.
TOLERANCE = {"fp32": RUNTIME_TOLERANCE, "fp16": 2e-2, "int8": sys.float_info.max}

# What a network is that is given in another precision than fp32.
ALREADY = {"int8": "quantized", "fp16": "in half precision"}

_NAMES = ("network.onnx", "reference.npz", "facts.json")


@dataclass(frozen=True)
class Agreement:
    """It says how near two sets of embeddings `(N, E)` are.

    Attributes:
        relative_error: largest difference over the largest element; infinite where
            an embedding is not finite.
        lowest_cosine: of the embeddings of one image; NaN where one is not finite.
        median_cosine: likewise.
    """

    relative_error: float
    lowest_cosine: float
    median_cosine: float


def lower(
    exported: Exported,
    precision: str,
    calibration: Calibration | Callable[[], Calibration] | None = None,
    quantizer: quantize.Quantizer | None = None,
) -> Exported:
    """Return the network in another precision, or find it in the cache; in its own it is itself.

    Its folder holds what runtimes read of an ONNX network, and no TorchScript; or in int8 what
    the quantizer of one runtime writes.

    Args:
        exported: the network in fp32.
        precision: one of `PRECISIONS`.
        calibration: faces for int8, or what draws them where they are needed.
        quantizer: of the runtime that int8 is for, where it has its own.

    Raises:
        UnknownNameError: there is no such precision.
        RefusedError: int8 is asked for without faces, or the network has no
            operator that can be quantized.
        WrongAnswerError: the outputs are further from fp32's than the precision allows.
    """
    require_known(precision)
    if precision == exported.facts()["precision"]:
        return exported
    own = exported.facts()["precision"]
    if own != "fp32":
        raise RefusedError(
            f"{exported.facts()['name']} is {ALREADY[own]} already: give the fp32 file, and "
            f"--precision {precision}"
        )
    faces = None
    if precision == "int8":
        faces = calibration() if callable(calibration) else calibration
        if faces is None or not faces.pictures:
            raise RefusedError(
                "int8 needs faces that set the ranges of its activations: give a calibration "
                "data set, of other people than those of the test"
            )
    key = cache.digest(
        [cache.file_digest(exported.folder / name) for name in _NAMES],
        precision,
        faces and faces.digest,
        fingerprints.code(__name__),
        {name: version(name) for name in ("numpy", "onnx", "onnxruntime")},
        quantizer and faces and quantizer.depends_on(),
    )

    def make(folder: Path) -> None:
        _write(exported, precision, faces, quantizer, folder)

    return Exported(cache.entry("lowered", key, make))


def require_known(precision: str) -> None:
    """Raise `UnknownNameError` where there is no such precision."""
    if precision not in PRECISIONS:
        raise UnknownNameError(
            f"unknown precision {precision!r}: use one of {', '.join(PRECISIONS)}"
        )


def agreement(outputs: FloatArray, expected: FloatArray) -> Agreement:
    """Hold embeddings `(N, E)` against those they should be."""
    error = relative_error(outputs, expected)
    if not np.isfinite(error):
        return Agreement(error, float("nan"), float("nan"))
    cosines = embedding_cosines(outputs, expected)
    return Agreement(error, float(cosines.min()), float(np.median(cosines)))


def require_agreement(
    what: str, precision: str, found: Agreement, rounding: float = 0.0, least: float | None = None
) -> None:
    """Raise `WrongAnswerError` where `what` is further off than its precision allows.

    Args:
        what: names who answered, and what.
        precision: one of `PRECISIONS`.
        found: how near the answer is.
        rounding: how far the network's own precision is off double precision.
        least: what any network may be off; None for what its precision allows.
    """
    most = tolerance(TOLERANCE[precision] if least is None else least, rounding)
    mend = "so no figure is taken from it" + ("" if precision == "fp32" else ": use fp32")
    if not np.isfinite(found.relative_error):
        raise WrongAnswerError(
            f"{what} in {precision} gives embeddings that are not finite, {mend}"
        )
    if found.relative_error > most:
        raise WrongAnswerError(
            f"{what} in {precision} differs from the network itself by {found.relative_error:.1e} "
            f"of the largest element (at most {most:.0e} is allowed), {mend}"
        )


def faithful(lowered: Exported) -> Check | None:
    """Return whether int8's embeddings of the calibration faces are near fp32's; None of other
    precisions.

    It is a floor, not the accuracy: of other faces a few are further off than any of these.
    """
    facts = lowered.facts().get("lowered")
    if not facts or facts["precision"] != "int8":
        return None
    return Check(
        "int8 embeds faces as fp32 does",
        facts["lowest_cosine"] >= LEAST_COSINE,
        f"cosine between the two on {facts['images']} faces of {facts['calibration']}: lowest "
        f"{facts['lowest_cosine']:.3f}, median {facts['median_cosine']:.3f}, where "
        f"{LEAST_COSINE} at least is asked of all",
    )


def _write(
    exported: Exported,
    precision: str,
    calibration: Calibration | None,
    quantizer: quantize.Quantizer | None,
    folder: Path,
) -> None:
    lowered = folder / "network.onnx"
    facts = exported.facts()
    done: dict[str, Any] = {"precision": precision, "from_sha256": cache.file_digest(exported.onnx)}
    if calibration is None:
        quantize.halve(exported.onnx, lowered)
        inputs, expected = exported.reference()
        found = agreement(_embed(lowered, inputs), expected)
    else:
        inputs = np.concatenate(list(calibration.batches()))
        if quantizer is None:
            quantize.quantize(facts["name"], exported.onnx, lowered, inputs)
            embeddings = _embed(lowered, inputs)
        else:
            embeddings = quantizer.write(exported, inputs, folder)
        found = agreement(embeddings, _embed(exported.onnx, inputs))
        done |= {"calibration": calibration.name, "calibration_digest": calibration.digest}
    require_agreement(facts["name"], precision, found)
    done |= {"images": len(inputs), **asdict(found)}
    shutil.copy(exported.folder / "reference.npz", folder)
    (folder / "facts.json").write_text(json.dumps(facts | {"lowered": done}, indent=1))


def _embed(path: Path, inputs: FloatArray) -> FloatArray:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    # One image at a time: an ONNX file of a user may hold a fixed batch.
    return of_each(inputs, lambda image: session.run(None, {"image": image})[0])
