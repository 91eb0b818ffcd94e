"""Sees that a network's numbers fit half precision, before it is compiled for it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from facebench.architectures.errors import RefusedError
from facebench.harness.models.export import Exported
from facebench.harness.models.half_range import Reach, reaches
from facebench.harness.runtimes.registry import RUNTIMES

# What is rounded to infinity; and where sums that are rounded on their way may come to it.
_INFINITE, _NEAR = 65520.0, 6e4


def require_range(exported: Exported) -> None:
    """See that TVM's library in half precision gives finite embeddings of the reference inputs.

    Where no sum can come near to infinity, nothing is compiled to know it; else the same bits are
    computed here.

    Raises:
        RefusedError: it does not, or its weights are too large.
    """
    near = [one for one in reaches(exported) if one.bound >= _NEAR]
    if near and not _finite(exported):
        raise RefusedError(
            f"{exported.facts()['name']} overflows in fp16, whose numbers are less than "
            f"{_INFINITE:.0f}: its embeddings of random pixels are not finite, and "
            f"{_largest(near)}; use fp32 or int8"
        )


def _finite(exported: Exported) -> bool:
    """Return whether embeddings are finite, computed here with the same bits."""
    runtime, batch = RUNTIMES["tvm"], exported.facts()["batch"] or 1
    assert runtime.half is not None
    infer = runtime.open(runtime.half.prepare(exported, batch, "host").path, 1)
    images, _ = exported.reference()
    found = [infer(np.repeat(image[None], batch, axis=0)) for image in images]
    return bool(np.isfinite(found).all())


def _largest(near: Sequence[Reach]) -> str:
    """Say which layer is the first that overflows, or that may."""
    over = [one for one in near if one.largest >= _INFINITE]
    if over:
        return f"layer {over[0].layer} reaches {over[0].largest:.2g}"
    return f"sums of layer {near[0].layer} may reach {near[0].bound:.2g}"
