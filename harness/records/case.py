"""Defines the case: what is to be measured."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from functools import cached_property


@dataclass(frozen=True)
class Case:
    """A case names one figure to obtain. It is frozen and hashable; `key` is its identity.

    Fields that do not apply to a measure hold their default: the cost of a
    network has no runtime, and its latency no dataset.

    Attributes:
        measure: the name of a measure, such as `latency` or `accuracy`.
        network: an architecture's name, `timm:<backbone>:<head>`, `onnx:<file>` or
            `tflite:<file>`.
        weights: `random:<seed>` or `sha256:<digest of the file>`.
        precision: `fp32`, `fp16` or `int8`.
        runtime: what executes the artifact, such as `onnxruntime`.
        target: the CPU that code is compiled for; empty where a runtime picks
            its kernels itself.
        device: where it runs; `local` is this machine.
        threads: threads the runtime may use.
        batch: images in one inference.
        dataset: the pairs that accuracy is scored on.
        flip: how the embeddings of an image and its mirror become one: `none`,
            `sum` or `concatenation`.
        landmarks: where the faces' landmarks come from: `file`, `aligned`, or a
            detector with its weights, such as `scrfd@<digest>`.
        absent: what becomes of images without a face: one of `preparation.ABSENT`.
        calibration: the dataset whose faces set the ranges of `int8`.
        denormals: what a runtime is told to do with denormal numbers, `kept` or `flushed`;
            empty where it does as it does by itself.
    """

    measure: str
    network: str
    weights: str = "random:0"
    precision: str = "fp32"
    runtime: str = ""
    target: str = ""
    device: str = "local"
    threads: int = 1
    batch: int = 1
    dataset: str = ""
    flip: str = ""
    landmarks: str = ""
    absent: str = ""
    calibration: str = ""
    denormals: str = ""

    @cached_property
    def key(self) -> str:
        """Hash of all fields, 16 hexadecimal digits."""
        text = json.dumps(asdict(self), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def __str__(self) -> str:
        precision = "" if self.precision == "fp32" else self.precision
        parts = [self.measure, self.network, precision, self.runtime, self.target, self.dataset]
        parts += [self.denormals]
        return " ".join(part for part in parts if part)
