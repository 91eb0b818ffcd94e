"""The schema of records: what was asked for, what came of it, and where and how.

This module needs neither torch nor TVM.

Version history of the schema:
    1 (2026-11): the first.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields, replace
from datetime import UTC, datetime
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

import numpy as np

from architectures.errors import BadInputError
from harness.case import Case
from harness.timing.statistics import median_interval, quantile

SCHEMA_VERSION = 1

# How a figure was obtained. `counted` is exact arithmetic on a graph or a file.
KINDS = ("counted", "measured", "emulated", "modelled", "published")


@dataclass(frozen=True)
class Export:
    """An ONNX file made from a network.

    Attributes:
        opset: version of ONNX's operators.
        size_bytes: of the file.
        output_error: largest difference from torch's outputs over random and
            extreme inputs, relative to their largest element.
    """

    opset: int
    size_bytes: int
    output_error: float


@dataclass(frozen=True)
class LayerCost:
    """Cost of one operator of the network as trained: BN and activations are layers too.

    `madds` and `activations` are counted as in `Cost`; a parameter that
    several layers share counts at the first.
    """

    name: str
    operator: str
    output_shape: tuple[int, ...]
    parameters: int
    madds: dict[str, int]
    activations: int


@dataclass(frozen=True)
class Cost:
    """Cost of one inference of one image; exact counts.

    Attributes:
        parameters: as trained, batch normalization's weight and bias included.
        parameters_bn_folded: batch normalization folded into the convolutions.
        madds: multiply-adds by convention: `conv+linear` (the paper's); `+bn`,
            two operations more for each element normalized; `+activation`, one
            more for each element of an activation function and of sums,
            differences, products and quotients of maps.
        activations: elements written by convolutions and linear layers, what
            follows them fused (arXiv 2003.13678).
        weight_bytes: read once an inference, fp32, BN folded.
        activation_bytes: read and written by all layers, fp32, BN and
            activations fused; additions, pooling, concatenation and
            transposition are layers of their own.
        peak_activation_bytes: the most held at once, fp32, in execution order,
            with the same fusion: what a layer reads, what it writes and what a
            later one needs, the image included.
        size_bytes: of the weights, BN folded, by precision (`fp32`, `fp16`, `int8`).
        input_size: height and width in pixels.
        embedding_size: elements of an embedding.
        layers: the same, layer by layer, in execution order.
    """

    parameters: int
    parameters_bn_folded: int
    madds: dict[str, int]
    activations: int
    weight_bytes: int
    activation_bytes: int
    peak_activation_bytes: int
    size_bytes: dict[str, int]
    input_size: tuple[int, ...]
    embedding_size: int
    layers: tuple[LayerCost, ...] = ()


@dataclass(frozen=True)
class Compilation:
    """A shared library made by TVM.

    Attributes:
        triple: LLVM's name of the target.
        elf_machine: architecture that the library's ELF header names.
        features: CPU features that the code was generated with.
        size_bytes: of the library.
        seconds: of lowering, code generation and linking.
        kernels: counts by how their schedule was found: `tuned`, `scheduled`, `plain`.
    """

    triple: str
    elf_machine: str
    features: tuple[str, ...]
    size_bytes: int
    seconds: float
    kernels: dict[str, int]


@dataclass(frozen=True)
class Latency:
    """Wall time of single inferences, in milliseconds.

    Attributes:
        samples_ms: every sample after warm-up, in order.
        warmup_ms: the inferences before them, the first included.
        load_ms: from the artifact on disk to a session that can infer.
        output_error: largest difference from torch's outputs, relative to their largest element.
        label: how the code came about where that limits what may be said of
            the time; `untuned` code is shown with that word and never ranked.
        reference_us: times of a fixed kernel before, between and after the
            samples, in microseconds; where they rise, something else slowed the machine.
    """

    samples_ms: tuple[float, ...]
    warmup_ms: tuple[float, ...]
    load_ms: float
    output_error: float
    label: str = ""
    reference_us: tuple[float, ...] = ()

    @property
    def median_ms(self) -> float:
        """Median of the samples."""
        return float(np.median(self.samples_ms))

    @property
    def p90_ms(self) -> float | None:
        """None with fewer than 64 samples, which do not support it."""
        return quantile(self.samples_ms, 0.9)

    @property
    def minimum_ms(self) -> float:
        """Shortest of the samples."""
        return min(self.samples_ms)

    @property
    def interval_ms(self) -> tuple[float, float]:
        """95 % interval of the median, distribution-free."""
        return median_interval(self.samples_ms)


@dataclass(frozen=True)
class Accuracy:
    """Verification accuracy by the 10-fold protocol.

    Attributes:
        fold_accuracies: share of right decisions in each fold, 0 to 1, at the
            threshold that is best on the other folds.
        fold_thresholds: these thresholds, on the cosine of the two embeddings.
        pairs: genuine and impostor pairs together.
        label: what the data set can say; empty for real faces.
        flip: how an image and its mirror were joined: `none`, `sum` or `concatenation`.
        images_per_second: from a file's bytes to an embedding, decoding,
            alignment and mirror images included, on all threads of the case.
    """

    fold_accuracies: tuple[float, ...]
    fold_thresholds: tuple[float, ...]
    pairs: int
    label: str
    flip: str
    images_per_second: float

    @property
    def accuracy(self) -> float:
        """Mean of the folds, 0 to 1."""
        return float(np.mean(self.fold_accuracies))

    @property
    def fold_standard_deviation(self) -> float:
        """Spread of the folds (ddof=1), 0 to 1."""
        return float(np.std(self.fold_accuracies, ddof=1))

    @property
    def standard_error(self) -> float:
        """Of the mean: the folds' standard deviation over the root of their count."""
        return self.fold_standard_deviation / float(np.sqrt(len(self.fold_accuracies)))


Result = Export | Cost | Compilation | Latency | Accuracy
RESULTS: dict[str, type[Any]] = {
    "export": Export,
    "cost": Cost,
    "compile": Compilation,
    "latency": Latency,
    "accuracy": Accuracy,
}


@dataclass(frozen=True)
class Check:
    """One named condition of a figure's validity, and why it holds or not."""

    name: str
    passed: bool
    detail: str


@dataclass(frozen=True)
class Record:
    """A case and what came of it. Immutable.

    Attributes:
        case: what was asked for.
        kind: one of `KINDS`.
        status: `ok`; `failed` (it went wrong here); `refused` (the figure
            could not be supported, or not be had at all, for `reason`).
        result: the figures, where status is `ok`.
        reason: a sentence, where it is not.
        checks: conditions of validity that were looked at.
        environment: the machine and the versions, by name.
        provenance: how it was obtained: facebench's version, hash of its code and,
            in a checkout, revision; the artifact; and the network's `paper_row`,
            `reference` and `note`.
        fingerprint: hash of all that the result depends on; the cache key.
        created: time of the record, ISO 8601, UTC.
        duration_s: of the whole case, process start included.
    """

    case: Case
    kind: str
    status: str
    result: Result | None = None
    reason: str = ""
    checks: tuple[Check, ...] = ()
    environment: dict[str, Any] = field(default_factory=dict)
    provenance: dict[str, Any] = field(default_factory=dict)
    fingerprint: str = ""
    created: str = field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="seconds"))
    duration_s: float = 0.0

    @property
    def failed_checks(self) -> tuple[Check, ...]:
        """Conditions of validity that do not hold."""
        return tuple(check for check in self.checks if not check.passed)


def to_json(record: Record) -> dict[str, Any]:
    """The record as JSON's types, its schema version first."""
    return {"schema": SCHEMA_VERSION, **asdict(record)}


def from_json(data: Any) -> Record:
    """The record that `to_json` made.

    Raises:
        BadInputError: it is of a newer schema, or not a record.
    """
    if not isinstance(data, dict):
        raise BadInputError("not a record of this project: a JSON object is expected")
    version = data.get("schema")
    if isinstance(version, int) and version > SCHEMA_VERSION:
        raise BadInputError(
            f"a record of schema {version} was written by a newer facebench "
            f"(this one reads up to {SCHEMA_VERSION}): upgrade facebench to read it"
        )
    try:
        case = _build(Case, data["case"])
        result = data["result"]
        rest = {f.name: data[f.name] for f in fields(Record) if f.name in data}
        record = _build(Record, rest | {"case": case, "result": None})
        if result is None:
            return record
        return replace(record, result=_build(RESULTS[case.measure], result))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise BadInputError(f"not a record of this project: {error!r}") from error


T = TypeVar("T")


def _build(kind: type[T], data: dict[str, Any]) -> T:
    """Make a dataclass from JSON's types: lists become tuples, dicts dataclasses."""
    hints = get_type_hints(kind)
    return kind(**{name: _convert(hints[name], value) for name, value in data.items()})


def _convert(hint: Any, value: Any) -> Any:
    if get_origin(hint) is tuple and isinstance(value, list):
        inner = get_args(hint)[0]
        return tuple(_convert(inner, item) for item in value)
    if isinstance(value, dict) and hasattr(hint, "__dataclass_fields__"):
        return _build(hint, value)
    return value
