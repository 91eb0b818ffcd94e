"""Provides trained weights as safetensors, with what made them in their metadata."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file
from safetensors.torch import save as serialised
from torch import Tensor, nn

from facebench.architectures.errors import BadInputError
from facebench.harness.models.weights_card import METADATA
from facebench.harness.records.accuracy import Accuracy
from facebench.harness.records.record import Record
from facebench.harness.storage.cache import file_digest
from facebench.harness.storage.reading import regular
from facebench.harness.storage.serialization import convert, parse_json
from facebench.harness.storage.tensor_files import in_order
from facebench.harness.training.checkpoint import replace
from facebench.harness.training.evaluation import figures


def state_of(network: nn.Module, fp16: bool) -> dict[str, Tensor]:
    """Return what is saved of a network: weights and BN statistics by name, each of any shape.

    In half precision convolutions and linear layers are rounded. Vectors (BN, biases,
    PReLU slopes) stay single: they are a few percent of the bytes, and a variance may
    be out of fp16's range.
    """
    floats = {name: t for name, t in network.state_dict().items() if t.is_floating_point()}
    return {
        name: (t.half() if fp16 and t.ndim > 1 else t).detach().cpu().contiguous()
        for name, t in floats.items()
    }


def save(path: Path, tensors: dict[str, Tensor], facts: dict[str, Any]) -> None:
    """Write weights, tensors of any shape by name, as `--weights NETWORK=FILE` takes them.

    Raises:
        BadInputError: the disk is full or the file can't be written.
    """
    metadata = {"format": "pt", METADATA: json.dumps(facts, allow_nan=False)}
    data = in_order(serialised(tensors, metadata))
    replace(path, lambda file: file.write_bytes(data))


def facts(path: Path) -> dict[str, Any]:
    """Return what `save` was given: recipe, data, seed, scores and more.

    Raises:
        BadInputError: the file can't be read, or was not written by facebench.
    """
    try:
        with safe_open(regular(path), "pt") as file:
            return convert(parse_json((file.metadata() or {})[METADATA]), dict[str, Any])
    except (OSError, SafetensorError, KeyError, BadInputError) as error:
        raise BadInputError(f"{path} holds no weights that facebench trained") from error


def load(path: Path) -> dict[str, Tensor]:
    """Read the tensors, of any shape, by name that `save` wrote."""
    return load_file(path)


def add_scores(path: Path, records: Sequence[Record], source: str) -> dict[str, Any]:
    """Write the scores that records hold of a file of weights into its metadata.

    Args:
        path: the weights.
        records: any; those of other weights are passed over.
        source: where the records come from, to name.

    Returns:
        The metadata, as it is now.

    Raises:
        BadInputError: the file can't be read, or there is no score of it.
    """
    held = facts(path)
    identity = f"sha256:{file_digest(path)}"
    new = {
        record.case.dataset: figures(record.result)
        for record in records
        if isinstance(record.result, Accuracy)
        and record.result.scores is not None
        and record.case.weights == identity
    }
    if not new:
        raise BadInputError(
            f"{source} has no scores of {path}: 'facebench verify' with these weights and "
            f"-o {source} makes them"
        )
    scores = held.get("scores")
    if not isinstance(scores, dict):
        raise BadInputError(f"{path} has odd metadata (scores are no table): train it anew")
    scored = held | {"scores": scores | new}
    save(path, load(path), scored)
    return scored
