"""Sides of comparisons, made without measuring anything."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from facebench.harness.comparison.compare import Side
from facebench.harness.comparison.entry import Entry
from facebench.harness.records.case import Case
from facebench.harness.records.comparable import Counted, Decided, Decisions, Figure, Timed

ENVIRONMENT: dict[str, object] = {
    "cpu_model": "AMD EPYC 9B45", "cores": 2, "machine": "x86_64", "kernel": "6.1.0",
    "python": "3.11.7", "torch": "2.15.0", "onnxruntime": "1.20.0", "ncnn": "1.0.20261020",
    "governor": "performance", "load_1min": 0.3, "host": "a",
}  # fmt: skip
LATENCY = Case("latency", "mobilefacenet", runtime="onnxruntime")
COST = Case("cost", "mobilefacenet")
ACCURACY = Case("accuracy", "mobilefacenet", runtime="onnxruntime", dataset="lfw")
HOSTILE = (
    "onnx:<script>alert('1')</script>&amp;]]>",
    "onnx:a|b\n::error::`d`**e**[f](http://g.example/h) www.i.example @someone #1",
    "onnx:\u202e\u0007\x1b[2J顔\ud800" + "long" * 40,
    "onnx:::set-output name=a::b%0A::error::",
)


def processes(
    ms: float = 5.0, spread: float = 0.005, count: int = 10, seed: int = 0
) -> tuple[float, ...]:
    """Medians of so many processes whose standard deviation is `spread`, relative."""
    draw = np.random.default_rng(seed)
    return tuple(float(x) for x in ms * np.exp(spread * draw.normal(size=count)))


def timed(medians: Sequence[float], jobs: Sequence[int] | None = None) -> Timed:
    """Of as many jobs as processes, where nothing else is said."""
    given = tuple([1] * len(medians) if jobs is None else jobs)
    return Timed("latency", "ms", tuple(medians), (64,) * len(medians), jobs=given)


def entry(case: Case, *figures: Figure, **fields: object) -> Entry:
    given: dict[str, object] = {"environment": ENVIRONMENT, "created": "2026-11-25T08:00:00"}
    kind = {"cost": "counted", "instructions": "emulated"}.get(case.measure, "measured")
    return Entry(case, kind, figures=figures, **{**given, **fields})  # type: ignore[arg-type]


def latency(ms: float = 5.0, case: Case = LATENCY, seed: int = 0, **fields: object) -> Entry:
    return entry(case, timed(processes(ms, seed=seed)), **fields)


def cost(parameters: int = 1_003_136, case: Case = COST, **fields: object) -> Entry:
    return entry(case, Counted("parameters", "", parameters), **fields)


def accuracy(
    wrong: Sequence[int] = (), pairs: int = 6000, digest: str = "lfw", **fields: object
) -> Entry:
    """Wrong on the pairs with these numbers."""
    right = np.ones(pairs, np.bool_)
    right[list(wrong)] = False
    return entry(
        ACCURACY, Decided.pack("accuracy", Decisions(right, np.zeros(10)), digest, ()), **fields
    )


def side(*entries: Entry, name: str = "side") -> Side:
    return Side(name, entries)
