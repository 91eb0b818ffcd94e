"""Latencies and records of processes as tests need them, without running anything."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from facebench.harness.machine.busy import Share, Wait
from facebench.harness.machine.conditions import Conditions
from facebench.harness.records.case import Case
from facebench.harness.records.latency import Latency, Process
from facebench.harness.records.record import Check, Record

CASE = Case("latency", "mobilefacenet", runtime="ncnn")
QUIET = Conditions((1,), Wait(0.1, True, 0.2, 1.0, None), Share(0.0, 0.0, 2))
FACTS = Process(8.0, 12, 3, settled=True, fastest_us=10.0, conditions=QUIET)


def process(samples_ms: Sequence[float], reference_us: float = 10.0, **facts: object) -> Latency:
    """What one process found."""
    return Latency(
        samples_ms=tuple(samples_ms),
        warmup_ms=(9.0,) * 12,
        load_ms=8.0,
        output_error=1e-6,
        reference_us=(reference_us,) * 3,
        process_facts=(replace(FACTS, **facts),),  # type: ignore[arg-type]
    )


def noise(level_ms: float, seed: int = 0, samples: int = 64, spread: float = 0.02) -> list[float]:
    """Times around a level."""
    rng = np.random.default_rng(seed)
    return (level_ms * np.exp(spread * rng.standard_normal(samples))).tolist()


def part(result: Latency, duration_s: float = 2.0, **environment: object) -> Record:
    """The record of one process."""
    return Record(
        CASE,
        "measured",
        "ok",
        result,
        checks=(Check("outputs agree with torch", True, "largest difference 1e-6"),),
        environment={"cpu_model": "x", "kernel": "6.1", "load_1min": 0.3} | environment,
        provenance={"artifact_sha256": "a"},
        fingerprint="f",
        duration_s=duration_s,
    )
