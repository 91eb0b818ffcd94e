"""Records: their schema, and the files they are kept in.

A results file is JSON Lines, one record a line, appended to and never
rewritten, so that a run that is killed loses nothing that was reported as
done. This module needs neither torch nor TVM.

Version history of the schema:
    1 (2026-11): the first.
"""

from __future__ import annotations

import csv
import fcntl
import json
import os
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, fields, replace
from datetime import UTC, datetime
from pathlib import Path
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
    """

    samples_ms: tuple[float, ...]
    warmup_ms: tuple[float, ...]
    load_ms: float
    output_error: float
    label: str = ""

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
        images_per_second: of embedding extraction, decoding and alignment left out.
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
        provenance: how it was obtained: code revision and artifact; and for a
            network that is registered, its `paper_row`, `reference` and `note`.
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


class Store:
    """A results file: append and read.

    Example:
        >>> import tempfile
        >>> store = Store(Path(tempfile.mkdtemp()) / "records.jsonl")
        >>> store.append(Record(Case("cost", "mobilefacenet"), kind="counted", status="failed"))
        >>> [record.case.network for record in store.read()]
        ['mobilefacenet']
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def append(self, record: Record) -> None:
        """Add one record; it is on the disk when this returns.

        Raises:
            BadInputError: the disk is full or the file can't be written.
        """
        line = json.dumps(to_json(record), allow_nan=False) + "\n"
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self.path.open("ab") as file:
                fcntl.flock(file, fcntl.LOCK_EX)
                end = file.seek(0, os.SEEK_END)
                try:
                    file.write(line.encode())
                    file.flush()
                    os.fsync(file.fileno())
                except OSError:
                    os.ftruncate(file.fileno(), end)
                    raise
        except OSError as error:
            raise BadInputError(
                f"cannot write {self.path}: {error.strerror}; the records before this one "
                "are intact: make room or choose another folder, then run the same command again"
            ) from error

    def read(self) -> list[Record]:
        """All records, in the order of writing; none where there is no file.

        Raises:
            BadInputError: a line is cut off or is no record.
        """
        if not self.path.exists():
            return []
        text = self.path.read_bytes().decode(errors="replace")
        records = []
        for number, line in enumerate(text.splitlines(), start=1):
            try:
                records.append(from_json(json.loads(line)))
            except (json.JSONDecodeError, BadInputError) as error:
                why = "is cut off or damaged" if isinstance(error, ValueError) else str(error)
                raise BadInputError(
                    f"{self.path} line {number} {why}; the {len(records)} records before it are "
                    "intact: remove that line, or let 'facebench run' set it aside and go on"
                ) from error
        return records

    def mend(self) -> Path | None:
        """Set lines that are cut off or damaged aside, so that the file reads again.

        Returns:
            The file the damaged lines were moved to, or None where all lines are whole.
        """
        if not self.path.exists():
            return None
        whole: list[bytes] = []
        damaged: list[bytes] = []
        for line in self.path.read_bytes().splitlines(keepends=True):
            (whole if _is_whole(line) else damaged).append(line)
        if not damaged:
            return None
        aside = self.path.with_suffix(".damaged")
        with aside.open("ab") as file:
            file.writelines(line.rstrip(b"\n") + b"\n" for line in damaged)
        replacement = self.path.with_suffix(".mending")
        replacement.write_bytes(b"".join(whole))
        replacement.replace(self.path)
        return aside


def _is_whole(line: bytes) -> bool:
    try:
        json.loads(line)
    except ValueError:
        return False
    return line.endswith(b"\n")


def latest(records: Iterable[Record]) -> list[Record]:
    """The newest record of each case, in the order in which cases first came."""
    newest: dict[str, Record] = {}
    for record in records:
        newest[record.case.key] = record
    return list(newest.values())


def paper_table(number: int) -> list[dict[str, str]]:
    """Rows of a table of arXiv 1804.07573 (1 to 4), as text by column name.

    The figures are the publication's: of kind `published`.
    """
    name = next(p for p in _data("paper").glob(f"table{number}_*.csv"))
    with name.open(newline="") as file:
        return list(csv.DictReader(file))


def _data(folder: str) -> Path:
    """A folder of `results/`: inside the installed package, or in the checkout."""
    here = Path(__file__).parent
    installed = here / "results" / folder
    return installed if installed.is_dir() else here.parent / "results" / folder
