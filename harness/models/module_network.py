"""Makes a network of a module of torch that a user passed from Python.

What it is known by is what it computes: its graph, as trained and as deployed, and its weights.
Two modules of one class that differ in either are two networks; one that is defined anew, in
another cell or another process, and computes the same is the same.
"""

from __future__ import annotations

import copy
import hashlib
import platform
from typing import TYPE_CHECKING

from facebench.architectures.errors import BadInputError
from facebench.architectures.registry import Preprocessing
from facebench.harness.machine.environment import version
from facebench.harness.models import kept_modules
from facebench.harness.models.networks import MODULE_PREFIX, Network, is_random
from facebench.harness.storage import cache, fingerprints

if TYPE_CHECKING:
    from torch import nn

# Digits of the hash in a network's name.
_DIGITS = 8


def of_module(
    module: nn.Module,
    size: tuple[int, int],
    weights: str = "",
    name: str = "",
    preprocessing: Preprocessing | None = None,
) -> Network:
    """Return a module as a network; it is left as it is.

    Args:
        module: maps images `(N, 3, H, W)` to embeddings `(N, E)`, float32.
        size: height and width of its images.
        weights: `random:<seed>` draws trained-like ones; where empty, it keeps its own.
        name: by which it is shown; where empty, that of its class.
        preprocessing: how pixels become its input; None for the default.

    Raises:
        BadInputError: it gives no embeddings for images of this size, cannot be copied, exported
            or passed to another process, or the weights are neither.
    """
    if weights and not is_random(weights):
        raise BadInputError(
            f"weights {weights!r} are not a module's: load them into it, or give random:<seed>"
        )
    shown = name or type(module).__name__
    own = _evaluated(module, shown)
    embedding_size = _embedding_size(own, size, shown)
    if weights:
        from facebench.architectures.initialise import drawn

        own = drawn(own, size, int(weights.partition(":")[2]))
    graph, tensors = _identity(own, size)
    identity = cache.digest(graph, tensors, size)
    # Another torch, or another facebench, may not read what this one keeps.
    made_by = (platform.python_version(), version("torch"), version("cloudpickle"))
    key = cache.digest(identity, made_by, fingerprints.code("facebench.architectures"))
    path = kept_modules.keep(key, own, {"embedding_size": embedding_size})
    # Modules that differ in weights alone have one name, as trained networks do.
    told = (identity if weights else cache.digest(graph, size))[:_DIGITS]
    return Network(
        f"{MODULE_PREFIX}{shown}@{told}",
        weights or f"sha256:{tensors}",
        path,
        preprocessing,
        source=key,
        size=size,
    )


def _evaluated(module: nn.Module, shown: str) -> nn.Module:
    """Return a copy in evaluation mode, on the CPU."""
    try:
        return copy.deepcopy(module).cpu().eval().requires_grad_(False)
    except Exception as error:  # what the module holds may raise anything
        raise BadInputError(
            f"{shown} cannot be copied ({type(error).__name__}: {error}): keep open files, locks "
            "and intermediate results out of it"
        ) from error


def _embedding_size(module: nn.Module, size: tuple[int, int], shown: str) -> int:
    """Return how many elements an embedding has."""
    import torch

    height, width = size
    images = f"images (2, 3, {height}, {width})"
    try:
        with torch.no_grad():
            found = module(torch.zeros(2, 3, height, width))
    except Exception as error:  # the user's code may raise anything
        said = (str(error).strip().splitlines() or [""])[0]
        raise BadInputError(
            f"{shown} does not run on {images} ({type(error).__name__}: {said}): give the size "
            "that it takes, size=(height, width)"
        ) from error
    if not isinstance(found, torch.Tensor):
        raise BadInputError(
            f"{shown} gives {type(found).__name__} for {images}, not a tensor: wrap it so that it "
            "returns the embedding alone"
        )
    if found.ndim != 2 or len(found) != 2 or found.dtype != torch.float32:
        raise BadInputError(
            f"{shown} gives {tuple(found.shape)} of {found.dtype} for {images}, not embeddings "
            "(2, E) of torch.float32: put pooling and a flattening at its end, as "
            "facebench.architectures.embedding has them"
        )
    return int(found.shape[1])


def _identity(module: nn.Module, size: tuple[int, int]) -> tuple[str, str]:
    """Return hashes of what a module computes: of the graph, and of the tensors in it."""
    import torch

    from facebench.harness.models.bn_folding import fold_batch_norm
    from facebench.harness.models.export import onnx_bytes

    images = torch.zeros(1, 3, *size)
    with torch.no_grad():
        forms = [onnx_bytes(one, images) for one in (module, fold_batch_norm(module, size))]
    graphs, tensors = hashlib.sha256(repr(module).encode()), hashlib.sha256()
    for form in forms:
        _add(form, graphs, tensors)
    for name, tensor in module.state_dict().items():
        if isinstance(tensor, torch.Tensor):
            tensors.update(f"{name} {tuple(tensor.shape)} {tensor.dtype}".encode())
            tensors.update(tensor.detach().contiguous().flatten().view(torch.uint8).numpy().data)
    return graphs.hexdigest(), tensors.hexdigest()


def _add(form: bytes, graphs: hashlib._Hash, tensors: hashlib._Hash) -> None:
    """Add an ONNX model to two hashes: its graph, and the tensors that it holds beside."""
    import onnx

    graph = onnx.load_from_string(form).graph
    for one in graph.initializer:
        tensors.update(one.SerializeToString(deterministic=True))
        graphs.update(f"{one.name} {tuple(one.dims)} {one.data_type}".encode())
    del graph.initializer[:]
    for node in graph.node:
        node.ClearField("doc_string")
    graphs.update(graph.SerializeToString(deterministic=True))
