"""Reads published latencies of TensorFlow Lite, each with counts of what it executes.

The data are in `results/arm_model`: `litert_published.csv`, times of pytorchcv's networks on one
core of a phone, in single precision, in TensorFlow Lite 2.10 (github qed-usc/mobile-ml-benchmark,
dataset/tflite_cnn_e2e.csv at commit 40ba833 of February 2024, MIT); `litert_counts.csv`, what an
inference of these networks executed on an emulated core, by release and by whose kernels
computed it. The times do not say whose kernels they are of; docs/model.md holds them against
both.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from functools import cache

from facebench.harness.devices.emulator.published import Count, PublishedTime, Row, row, table

_PUBLISHED = date(2024, 2, 22)


@dataclass(frozen=True)
class Code:
    """It is code that networks were counted in.

    Attributes:
        release: of TensorFlow Lite (`tflite 2.14.0`) or LiteRT (`litert 2.3.0`).
        kernels: `xnnpack`, its default, or `builtin`, TensorFlow Lite's own.
    """

    release: str
    kernels: str


# What the published times are of, as far as errors tell.
OWN_KERNELS = Code("tflite 2.14.0", "builtin")


@cache
def times() -> tuple[PublishedTime, ...]:
    """Return all published times of TensorFlow Lite that are shipped."""
    return tuple(
        PublishedTime(
            one["board"],
            one["device"],
            one["network"],
            "fp32",
            float(one["ms"]),
            _PUBLISHED,
            int(one["line"]),
        )
        for one in table("litert_published.csv")
    )


@cache
def counts() -> dict[Code, tuple[Count, ...]]:
    """Return all counts of LiteRT that are shipped, by code."""
    found: dict[Code, list[Count]] = {}
    for one in table("litert_counts.csv"):
        code = Code(one["release"], one["kernels"])
        count = Count(
            one["release"],
            one["core"],
            one["core"],
            one["network"],
            "fp32",
            *(int(one[name]) for name in ("instructions", "cycles", "l1_misses", "memory_bytes")),
        )
        found.setdefault(code, []).append(count)
    return {code: tuple(some) for code, some in found.items()}


def rows(code: Code) -> list[Row]:
    """Return the times of networks and cores that were counted in some code."""
    counted = {(one.core, one.network): one for one in counts()[code]}
    return [
        row(time, counted[time.core, time.network])
        for time in times()
        if (time.core, time.network) in counted
    ]
