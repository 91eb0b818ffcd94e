"""Compresses a network's weights, and says what that costs in accuracy."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from types import MappingProxyType

import numpy as np

from facebench.architectures.errors import BadInputError, RefusedError
from facebench.harness.comparison.pair_agreement import PairAgreement, agreements
from facebench.harness.comparison.verification_run import VerificationRequest, require, verify
from facebench.harness.models import networks
from facebench.harness.models.compressed import file
from facebench.harness.models.compressed.coding import CompressionSetting
from facebench.harness.models.networks import Network
from facebench.harness.models.state_dicts import floating
from facebench.harness.records.record import Record
from facebench.harness.runs import runner
from facebench.harness.runs.runner import JobRunner
from facebench.harness.stats.arrays import FloatArray
from facebench.harness.storage import writing
from facebench.harness.verification.paired import holm

# By setting the weights, float32, by name, that were trained for it.
Retrained = Mapping[CompressionSetting, Mapping[str, FloatArray]]


@dataclass(frozen=True)
class CompressionRequest:
    """It names weights and how they are to be compressed.

    Attributes:
        network: a registered one, with its weights.
        sparsities: shares of each layer's weights that become zero, 0 to below 1.
        bits: 1 to 8; the other weights of a layer share 2^bits values.
        folder: where a file for each of both is written.
        scored: how the files are scored, `networks` aside; None where sizes are enough.
    """

    network: Network
    sparsities: Sequence[float]
    bits: Sequence[int]
    folder: Path
    scored: VerificationRequest | None = None

    @property
    def settings(self) -> list[CompressionSetting]:
        """Return each sparsity with each number of bits."""
        return [CompressionSetting(*each) for each in product(self.sparsities, self.bits)]


@dataclass(frozen=True)
class CompressedFile:
    """It is what one setting made of the weights.

    Attributes:
        path: of the file, which every command takes as weights.
        setting: how much went.
        kept: share of the layers' weights that are no zero, 0 to 1.
        size_bytes: of the file.
        record: its score, where it was scored.
        agreement: with the weights as they were, on the same pairs.
    """

    path: Path
    setting: CompressionSetting
    kept: float
    size_bytes: int
    record: Record | None = None
    agreement: PairAgreement | None = None


@dataclass(frozen=True)
class Compression:
    """It is a network's weights in the sizes that were asked for.

    Attributes:
        network: with its weights as they were.
        single_bytes: of the same numbers in single precision.
        files: in the order of sparsities, then bits.
        records: of all that were scored, the weights as they were first.
    """

    network: Network
    single_bytes: int
    files: Sequence[CompressedFile]
    records: Sequence[Record] = ()


def check(request: CompressionRequest) -> None:
    """Refuse what can't be compressed or scored, and make the folder, before anything is trained.

    Raises:
        RefusedError: the network is a graph or a module of the user's, whose weights are in no
            file of their own; or the runtime does not run it.
        BadInputError: the folder can't be made, a file would take the place of the weights as they
            were, or the data set is not whole.
        UnavailableError: the runtime is not installed.
    """
    network = request.network
    if network.is_graph or network.is_module:
        raise RefusedError(
            f"{network.name} is a graph that has its weights in it: give a registered network, and "
            f"--weights {network.name}=FILE"
        )
    _require_other_files(request)
    if request.scored is not None:
        require(request.scored)
    try:
        writing.folder(request.folder, below=request.folder)
    except OSError as error:
        raise BadInputError(
            f"cannot write {request.folder}: {error.strerror}; name another folder"
        ) from error


def compress(
    request: CompressionRequest,
    run: JobRunner = runner.run,
    retrained: Retrained = MappingProxyType({}),
) -> Compression:
    """Write the files of a request, and score them.

    Args:
        request: what is asked for.
        run: obtains the records of scores.
        retrained: weights that settings are made of; of others, the network's.

    Raises:
        RefusedError: as `check`.
        BadInputError: as `check`; or a file can't be written, or weights can't be coded.
    """
    check(request)
    network = request.network
    state = {
        name: tensor.numpy().astype(np.float32)
        for name, tensor in floating(network.module().state_dict()).items()
    }
    files = [_written(request, retrained.get(each, state), each) for each in request.settings]
    single = 4 * sum(tensor.size for tensor in state.values())
    made = Compression(network, single, files)
    return made if request.scored is None else _scored(made, request.scored, run)


def file_stem(network: Network) -> str:
    """Return what the names of a network's files begin with."""
    return re.sub(r"[^\w.-]+", "-", network.name)


def _path(request: CompressionRequest, setting: CompressionSetting) -> Path:
    name = f"{file_stem(request.network)}-{setting.sparsity:.15g}-{setting.bits}bit"
    return request.folder / f"{name}.safetensors"


def _require_other_files(request: CompressionRequest) -> None:
    """Refuse to write over the weights that are compressed, which are scored afterwards."""
    own = request.network.path
    for setting in request.settings:
        path = _path(request, setting)
        if own is not None and path.exists() and path.samefile(own):
            raise BadInputError(
                f"{path} is the file of weights that is to be compressed, and would be written "
                "over: name another folder"
            )


def _written(
    request: CompressionRequest, state: Mapping[str, FloatArray], setting: CompressionSetting
) -> CompressedFile:
    path = _path(request, setting)
    size = file.save(path, state, setting, file.metadata(request.network.path))
    layers = [tensor for tensor in (file.load(path) or {}).values() if tensor.ndim > 1]
    kept = sum(np.count_nonzero(one) for one in layers) / max(sum(one.size for one in layers), 1)
    return CompressedFile(path, setting, float(kept), size)


def _scored(made: Compression, how: VerificationRequest, run: JobRunner) -> Compression:
    network = made.network
    smaller = [
        networks.resolve(network.name, one.path, network.preprocessing) for one in made.files
    ]
    found = verify(replace(how, networks=[network, *smaller], compare=False), run)
    first, *others = found.records
    if first.status != "ok":
        return replace(made, records=found.records)
    compared = [agreements([first, other])[0] if other.status == "ok" else None for other in others]
    known = [one for one in compared if one is not None]
    adjusted = dict(zip(map(id, known), holm([k.paired.p_value for k in known]), strict=True))
    files = [
        replace(
            one,
            record=record,
            agreement=agreement and replace(agreement, adjusted_p=adjusted[id(agreement)]),
        )
        for one, record, agreement in zip(made.files, others, compared, strict=True)
    ]
    return replace(made, files=files, records=found.records)
