"""An ONNX file with its own figures in its metadata, which every tool that opens it can show.

`facebench.figures` is JSON, a row a figure with the columns of `Records.frame`;
`facebench.records` are the records themselves, samples and all, as base64 of zlib, and they are
read again from there. Figures go into the very network that they are of and into no other.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from facebench.architectures.errors import BadInputError, RefusedError
from facebench.harness.models import onnx_facts
from facebench.harness.models.onnx_network import files
from facebench.harness.records.record import Record, from_json, to_json
from facebench.harness.storage import writing
from facebench.harness.storage.serialization import Packed, parse_json, to_text
from facebench.reports.exchange.registry import (
    Destination,
    ExchangeFormat,
    Written,
    plural,
    register,
)
from facebench.reports.exchange.rows import require_figures, rows, without_figures

if TYPE_CHECKING:
    from onnx import ModelProto

FIGURES, RECORDS = f"{onnx_facts.PREFIX}figures", f"{onnx_facts.PREFIX}records"

# What a protobuf holds, all its texts together.
_LARGEST = 2**31 - 1


def _write(records: Sequence[Record], destination: Destination) -> Written:
    into = destination.into
    if into is None:
        raise BadInputError("an ONNX file is made of one that is there: name it with --into")
    model = files.structure(into)
    _require_same_folder(model, into, destination.path)
    own = [record for record in records if _is_of(record, onnx_facts.of(model), into)]
    if not own:
        raise RefusedError(_strangers(records, onnx_facts.of(model), into))
    require_figures(own)
    figures = rows(own)
    lines = "\n".join(to_text(to_json(record)) for record in own)
    onnx_facts.put(model, {FIGURES: to_text(figures), RECORDS: Packed(lines.encode()).to_text()})
    if model.ByteSize() > _LARGEST:
        raise BadInputError(f"{into} would be above 2 GB with the records in it: give fewer")
    writing.write(destination.path, model.SerializeToString())
    others = len(records) - len(own)
    told = (f"{plural(others, 'record')} of other networks or weights",) if others else ()
    return Written(len(figures), "figures", (*told, *without_figures(own)))


def _read(path: Path) -> list[Record]:
    """Return the records that a model carries.

    Raises:
        BadInputError: it is no ONNX file, carries none, or they are damaged.
    """
    packed = onnx_facts.of(files.structure(path)).get(RECORDS)
    if packed is None:
        raise BadInputError(
            f"{path} carries no records: 'facebench convert RESULTS --to onnx --into {path}' "
            "writes some into a copy"
        )
    try:
        lines = Packed.from_text(packed).split(b"\n")
        return [from_json(parse_json(line)) for line in lines]
    except (ValueError, BadInputError) as error:
        raise BadInputError(
            f"the records in {path} are damaged ({error}): write them into it anew"
        ) from error


def _is_of(record: Record, facts: dict[str, str], model: Path) -> bool:
    """Return whether a record is of the network in a file, and of its weights."""
    case = record.case
    if (case.network, case.weights) == (
        facts.get(onnx_facts.NETWORK),
        facts.get(onnx_facts.WEIGHTS),
    ):
        return True
    return case.weights == f"sha256:{files.identity(model)[0]}"


def _strangers(records: Sequence[Record], facts: dict[str, str], model: Path) -> str:
    found = ", ".join(
        sorted({f"{one.case.network} with {one.case.weights}" for one in records})[:3]
    )
    if onnx_facts.NETWORK not in facts:
        return (
            f"{model} does not say which network it is, and the records are of {found}: export "
            "the network with facebench, or measure this very file"
        )
    stated = f"{facts[onnx_facts.NETWORK]} with {facts.get(onnx_facts.WEIGHTS, '')}"
    return f"{model} is {stated}, and the records are of {found}: give records of this network"


def _require_same_folder(model: ModelProto, into: Path, out: Path) -> None:
    """Refuse to part a model from the files that hold its weights."""
    beside = any(one.data_location == one.EXTERNAL for one in files.tensors(model))
    if beside and into.resolve().parent != out.resolve().parent:
        raise BadInputError(f"{into} has weights in files beside it: write into the same folder")


register(
    ExchangeFormat(
        "onnx",
        "a model's own figures and records, in its metadata",
        "onnx, ONNX Runtime",
        _write,
        takes_into=True,
        read=_read,
        suffix=".onnx",
    )
)
