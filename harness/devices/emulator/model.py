"""Models the time on a named core from what an emulated inference executed.

    seconds = COMPUTE x issue cycles / frequency / threads
            + MEMORY x bytes to and from memory / bandwidth

Issue cycles are what the core's units need at least for each block of code; bytes
are the lines that the last level of cache misses and writes back. Memory is shared,
so threads do not make it faster. docs/model.md explains the terms and their error.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from facebench.harness.records.instructions import Cycles

if TYPE_CHECKING:
    from facebench.harness.machine.cores import Figures
    from facebench.harness.records.instructions import Instructions, Work


@dataclass(frozen=True)
class Constants:
    """How much longer the two terms take than the core's figures say.

    Attributes:
        compute: latencies, uneven work of threads, software older than ours.
        memory: against the bandwidth that one core reaches when it copies.
        fitted_to: what they were fitted to.
    """

    compute: float
    memory: float
    fitted_to: str


# Of `fit.fit` on the ten networks of Table 2 that are unambiguous, ncnn, 4 threads.
FITTED = Constants(
    compute=2.02,
    memory=2.13,
    fitted_to="the ten unambiguous latencies of arXiv 1804.07573, Table 2 "
    "(Snapdragon 820, ncnn, 4 threads)",
)

# Threads that times are given for; the published ones are for four.
_THREADS = (1, 2, 4)


def issue_cycles(mix: Mapping[str, int], figures: Figures, chain: int = 0) -> float:
    """Return the cycles that a block of code needs at least: those of the unit that is busiest.

    Args:
        mix: its instructions by kind, of `instructions.KINDS`.
        figures: of the core; vector instructions are taken to be of 128 bits.
        chain: of `instructions.chain`, where multiply-adds are waited for; the constants
            were fitted without.
    """
    vectors_per_cycle = figures.fma_lanes_per_cycle / 4
    loads, stores = mix["load"], mix["store"]
    return max(
        sum(mix.values()) / figures.decode_width,
        (mix["fma"] + mix["simd"]) / max(vectors_per_cycle, 1.0),
        mix["fma"] / vectors_per_cycle,
        loads / figures.loads_per_cycle,
        stores / figures.stores_per_cycle,
        (loads + stores) / figures.memory_operations_per_cycle,
        float(chain * figures.fma_accumulate_cycles),
    )


def compute_s(work: Work, frequency_hz: int) -> float:
    """Return seconds of one thread that issue cycles take."""
    return work.issue_cycles / frequency_hz


def memory_s(emulated: Instructions, bandwidth_bytes_s: float) -> float:
    """Return seconds that the traffic to memory takes at full bandwidth."""
    return emulated.memory_bytes / bandwidth_bytes_s


def terms(work: Work, figures: Figures, constants: Constants = FITTED) -> dict[str, float]:
    """Return the cycles of one thread by term of the model.

    Args:
        work: of a whole inference, or of a part of it.
        figures: of the core whose caches were simulated.
    """
    transferred = work.memory_bytes([level.line_bytes for level in figures.levels])
    cycles_a_byte = figures.frequency_hz / figures.dram_bandwidth_bytes_s
    return {
        "compute": constants.compute * work.issue_cycles,
        "memory": constants.memory * transferred * cycles_a_byte,
    }


def cycles(emulated: Instructions, figures: Figures, constants: Constants = FITTED) -> Cycles:
    """Return the modelled time of an emulated inference on the core it was emulated for."""
    of_one = terms(emulated.work, figures, constants)
    compute, memory = (of_one[term] / figures.frequency_hz for term in ("compute", "memory"))
    return Cycles(
        core=emulated.core,
        board=figures.board,
        frequency_hz=figures.frequency_hz,
        terms={name: round(term) for name, term in of_one.items()},
        milliseconds={str(threads): (compute / threads + memory) * 1e3 for threads in _THREADS},
        fitted_to=constants.fitted_to,
        label=emulated.label,
    )
