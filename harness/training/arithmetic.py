"""Says in which arithmetic a recipe is computed where it is trained."""

from __future__ import annotations

import torch

from facebench.harness.machine.environment import identity

_TYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
# Of /proc/cpuinfo: what makes bfloat16 faster than single precision, and not slower.
_HALF_ON_CPU = "avx512_bf16"


def arithmetic(precision: str, device: str) -> torch.dtype:
    """Return what products are computed in; sums, weights and their updates are single anyhow.

    Args:
        precision: the recipe's.
        device: as torch names it. A CPU without instructions for bfloat16 computes in single.
    """
    if precision == "bf16" and device == "cpu" and not _half_on_cpu():
        return torch.float32
    return _TYPES[precision]


def named(kind: torch.dtype) -> str:
    """Return what recipes call an arithmetic."""
    return next(name for name, one in _TYPES.items() if one == kind)


def use_tensor_cores() -> None:
    """Let a GPU round factors of single-precision products to TF32, and time its convolutions.

    Products in bfloat16 are as they were: this is for what stays single, such as projections
    and class centres. Convolutions' algorithms are tried once for each shape.
    """
    torch.set_float32_matmul_precision("high")
    torch.backends.cudnn.benchmark = True


def _half_on_cpu() -> bool:
    return _HALF_ON_CPU in identity()["cpu_features"].split()
