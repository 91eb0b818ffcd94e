"""Provides the tuning database: for each workload the tiling that a search found best, and how.

One file a target and precision, JSON Lines, sorted by workload, so that two people's records
merge line by line. What this project ships is in `results/tuning/`. A user's own go there
too in a checkout, and otherwise to `FACEBENCH_TUNING` or the user's data folder; of
two records of a workload the user's is taken.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import MISSING, asdict, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import platformdirs
from msgspec import Meta

from facebench.architectures.errors import BadInputError
from facebench.harness.compiler.vectors import ByteVectors, Registers, Vectors
from facebench.harness.compiler.workload import Workload, key
from facebench.harness.machine.environment import version
from facebench.harness.storage import cache, locks, shipped, writing
from facebench.harness.storage.serialization import convert, parse_json

if TYPE_CHECKING:
    from facebench.harness.compiler.tiling import Tiling


_SINGLE = "fp32"


@dataclass(frozen=True)
class TuningRecord:
    """A tuning record is what a search found for a workload.

    Attributes:
        workload: as `workload.key` says it.
        tiling: the fields of its tiling, by name.
        tvm: version of TVM that the kernel was compiled with.
        cost: of the kernel with this tiling, in `unit`.
        scheduled: the cost of the tiling that the model chooses, beside it.
        unit: `seconds` or `cycles`.
        how: how the costs were obtained: `measured on ...` or `modelled for ...`.
        trials: tilings that were tried.
        precision: of the kernel; records of before it was named are of single precision.
    """

    workload: str
    tiling: Mapping[str, int | bool]
    tvm: str
    cost: Annotated[float, Meta(gt=0)]
    scheduled: Annotated[float, Meta(gt=0)]
    unit: str
    how: str
    trials: int
    precision: str = _SINGLE

    @property
    def gain(self) -> float:
        """Say how many times cheaper it is than the model's choice."""
        return self.scheduled / self.cost


Records = Mapping[str, TuningRecord]


def kept_as(target: str, registers: Registers) -> str:
    """Return what the records of a target's kernels in a precision are kept as.

    Args:
        target: as `targets.tuned_as` says it; empty where there are no records.
        registers: that the kernels are for. Kernels of products of four bytes are others than
            those without, other tilings are fast where registers are computed in halves, and no
            target of x86-64 tells.

    Example:
        kept_as("cortex-a76", byte_vectors(...)) == "cortex-a76.int8"
    """
    if target and isinstance(registers, Vectors) and registers.halved:
        target += "-halved"
    if not target or registers.precision == _SINGLE:
        return target
    of_vnni = isinstance(registers, ByteVectors) and registers.dot and not registers.arm
    return f"{target}{'-vnni' if of_vnni else ''}.{registers.precision}"


def load(target: str) -> Records:
    """Return records of a target for the TVM that is installed, by workload.

    Args:
        target: as `kept_as` says it; empty where there are no records.

    Raises:
        BadInputError: a file is damaged.
    """
    found: dict[str, TuningRecord] = {}
    for folder in (shipped.folder("tuning"), _own()) if target else ():
        found |= {r.workload: r for r in _read(folder / _file(target)) if r.tvm == _installed()}
    return found


def own_file(target: str) -> Path:
    """Return the file of a target's records that `save` writes."""
    return _own() / _file(target)


def save(target: str, record: TuningRecord) -> None:
    """Put a record among the user's own, in the place of one that is there.

    Raises:
        BadInputError: the file is damaged, or cannot be written.
    """
    path = own_file(target)
    kept = {(r.workload, r.tvm): r for r in (*_read(path), record)}
    lines = [json.dumps(asdict(kept[place])) + "\n" for place in sorted(kept)]
    try:
        writing.write(path, "".join(lines))
    except OSError as error:
        raise _unwritable(path, error) from error


@contextmanager
def claim(target: str) -> Iterator[None]:
    """Hold a target's records for this process alone, until the block ends: nothing is tuned twice.

    Raises:
        BadInputError: another process tunes for the target, or the folder can't be written.
    """
    path = own_file(target)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = writing.shared(path.parent / f".{target}.lock")
    except OSError as error:
        raise _unwritable(path, error) from error
    with file:
        try:
            locks.lock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise BadInputError(
                f"another process tunes for {target} and keeps its records in {path.parent}: wait "
                "until it is done, or set FACEBENCH_TUNING to another folder"
            ) from error
        yield


def made(work: Workload, tiling: Tiling, **found: Any) -> TuningRecord:
    """Return a record of the TVM that is installed; `found` are its costs, how, and precision."""
    return TuningRecord(key(work), asdict(tiling), _installed(), **found)


def digest(records: Records) -> str:
    """Hash of what a library depends on: of each workload its tiling."""
    return cache.digest({name: dict(record.tiling) for name, record in records.items()})


def stored(target: str) -> str:
    """Hash of what is stored for a target, of whatever TVM; it asks neither TVM nor LLVM.

    Args:
        target: as registered; which records hold for `host` is not known without LLVM, so
            that of all targets is returned for it.
    """
    pattern = "*.jsonl" if target == "host" else f"{target}.*jsonl"
    found = [
        path
        for folder in (shipped.folder("tuning"), _own())
        for path in sorted(folder.glob(pattern))
    ]
    return cache.digest([(path.name, cache.file_digest(path)) for path in found])


def tilings(records: Records, vectors: Registers) -> Callable[[Workload], Tiling | None]:
    """Return what the kernels of a target ask: a workload's tiling, where a record has one."""

    def find(work: Workload) -> Tiling | None:
        record = records.get(key(work))
        return None if record is None else tiling_of(record, work, vectors)

    return find


def tiling_of(record: TuningRecord, work: Workload, vectors: Registers) -> Tiling:
    """Return a record's tiling.

    Raises:
        BadInputError: it is none that the workload can have: the record was edited, or
            made for other kernels than these.
    """
    # They import TVM.
    from facebench.harness.compiler.integers import tiling as of_bytes
    from facebench.harness.compiler.tiling import candidates

    every = (
        of_bytes.candidates(work, vectors)
        if isinstance(vectors, ByteVectors)
        else candidates(work, vectors)
    )
    for tiling in every:
        # Records of before a field was there have what it is unless it is said.
        if vars(tiling) == {**_unsaid(tiling), **record.tiling}:
            return tiling
    raise BadInputError(
        f"the tuning record of '{record.workload}' has a tiling that its kernel cannot have "
        f"({json.dumps(dict(record.tiling))}): tune it again, or delete its line"
    )


def _unsaid(tiling: Tiling) -> dict[str, int | bool]:
    """Return the fields of a tiling that need not be said, each as it is then."""
    return {one.name: one.default for one in fields(tiling) if one.default is not MISSING}


def _read(path: Path) -> Iterator[TuningRecord]:
    """Raises BadInputError for a line that is no record."""
    try:
        lines = path.read_text().splitlines()
    except FileNotFoundError:
        return
    except (OSError, UnicodeDecodeError) as error:
        raise BadInputError(f"cannot read the tuning records in {path}: {error}") from error
    precision = path.stem.partition(".")[2] or _SINGLE
    for number, line in enumerate(lines, start=1):
        try:
            record = convert(parse_json(line), TuningRecord)
            if record.precision != precision:
                raise BadInputError(f"it is of {record.precision}, and its file of {precision}")
            yield record
        except BadInputError as error:
            raise BadInputError(
                f"{path}, line {number}, is no tuning record ({error}): delete the line, or "
                "get the file back as it was"
            ) from error


def _unwritable(path: Path, error: OSError) -> BadInputError:
    return BadInputError(
        f"cannot write tuning records to {path}: {error.strerror}; make room, or set "
        "FACEBENCH_TUNING to another folder"
    )


def _file(target: str) -> str:
    return f"{target}.jsonl"


def _installed() -> str:
    return version("apache-tvm") or ""


def _own() -> Path:
    chosen = os.environ.get("FACEBENCH_TUNING")
    if chosen:
        return Path(chosen)
    if shipped.installed():
        return Path(platformdirs.user_data_dir("facebench")) / "tuning"
    return shipped.folder("tuning")
