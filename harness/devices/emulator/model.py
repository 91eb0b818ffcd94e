"""Models the time of one thread on a named core from what an emulated inference executed.

    seconds = PIPELINE x simulated cycles / frequency
            + L1_MISSES x misses of the first level x latency of the second / frequency
            + MEMORY x bytes to and from memory / bandwidth of a copy

The three constants are the same for all cores. They, and how far times were off on
families of cores that they were not fitted to, are in `results/arm_model/constants.toml`,
which benchmarks/arm_model.py writes. docs/model.md explains the terms and their error.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from facebench.harness.devices.emulator.ratio_spread import Load, RatioSpread
from facebench.harness.devices.emulator.terms import Terms
from facebench.harness.records.instructions import Cycles
from facebench.harness.storage import shipped
from facebench.harness.storage.serialization import convert, parse_toml

if TYPE_CHECKING:
    from facebench.harness.machine.cores import Figures
    from facebench.harness.records.instructions import Instructions, Work


@dataclass(frozen=True)
class Constants:
    """These are the model's constants, and how far it is off.

    All errors are natural logarithms of published over modelled, of families of cores
    that were left out.

    Attributes:
        pipeline, l1_misses, memory: by which the terms are multiplied.
        rows: published times that they were fitted to.
        devices, families: how many these are of.
        fitted_to: what these are, in words.
        time_reach: 95 % of the errors of times are no larger.
        ratio_base, ratio_memory, ratio_size: of `RatioSpread`: how far ratios of two networks on
            one device vary.
        ratio_reach: 95 % of the errors of ratios are no larger, in so many of their deviations.
        between, within: standard deviations of what a device's errors share, and of the rest.
    """

    pipeline: float
    l1_misses: float
    memory: float
    rows: int
    devices: int
    families: int
    fitted_to: str
    time_reach: float
    ratio_base: float
    ratio_memory: float
    ratio_size: float
    ratio_reach: float
    between: float
    within: float

    def seconds(self, terms: Terms) -> float:
        """Return the modelled time."""
        row = (self.pipeline, self.l1_misses, self.memory)
        return sum(a * b for a, b in zip(row, terms.as_row(), strict=True))


@dataclass(frozen=True)
class Anchor:
    """It is what figures measured on a device say of the model there.

    Attributes:
        factor: by which modelled times are multiplied.
        reach: of what a time is off then, a natural logarithm; 95 % are off by no more.
        rows: how many figures there are.
    """

    factor: float
    reach: float
    rows: int


@dataclass(frozen=True)
class Table2:
    """They are constants for ratios alone: fitted to the paper's ten times of four threads.

    Attributes:
        pipeline, memory: as of `Constants`; misses of the first level stand for nothing here.
        threads: that the first term is divided by.
    """

    pipeline: float
    memory: float
    threads: int = 4

    def seconds(self, terms: Terms) -> float:
        """Return a time that says something over another one only."""
        return self.pipeline * terms.pipeline / self.threads + self.memory * terms.memory


# Of `fit.fit` on the ten networks of Table 2 that are unambiguous, ncnn, 4 threads.
TABLE_2 = Table2(pipeline=2.07, memory=2.11)


@cache
def constants() -> Constants:
    """Return the shipped constants."""
    path = shipped.folder("arm_model") / "constants.toml"
    return convert(parse_toml(path.read_text(encoding="utf-8")), Constants)


def terms(work: Work, figures: Figures) -> Terms:
    """Return the terms of a whole inference, or of a part of it.

    Args:
        work: what was counted.
        figures: of the core whose caches were simulated, and of its board.
    """
    misses = work.misses[0] if work.misses else 0
    transferred = work.memory_bytes([level.line_bytes for level in figures.levels])
    return Terms.of(work.cycles or 0.0, misses, transferred, figures)


def term_cycles(work: Work, figures: Figures) -> dict[str, float]:
    """Return the modelled cycles of one thread, by term."""
    found, by = terms(work, figures), constants()
    return {
        "pipeline": by.pipeline * found.pipeline * figures.frequency_hz,
        "l1 misses": by.l1_misses * found.l1_misses * figures.frequency_hz,
        "memory": by.memory * found.memory * figures.frequency_hz,
    }


def anchor(errors: Sequence[float]) -> Anchor:
    """Return what measured figures of a device say.

    The mean of their errors is believed as far as the spread of devices is larger than
    that of a mean of so many networks; without figures, nothing is corrected.

    Args:
        errors: natural logarithms of measured over modelled.
    """
    by = constants()
    if not errors:
        return Anchor(1.0, by.time_reach, 0)
    of_mean = by.within**2 / len(errors)
    believed = by.between**2 / (by.between**2 + of_mean)
    left = math.hypot(by.within, by.between * math.sqrt(1 - believed))
    share = left / math.hypot(by.within, by.between)
    mean = math.fsum(errors) / len(errors)
    return Anchor(math.exp(believed * mean), by.time_reach * share, len(errors))


def reach_text(found: Anchor) -> str:
    """Return what an anchor's interval is, in words."""
    times = math.exp(found.reach)
    return f"reach from {100 / times - 100:+.0f} % to {100 * times - 100:+.0f} % (95 %)"


def cycles(
    emulated: Instructions,
    figures: Figures,
    runtime: str,
    known: Anchor | None = None,
    validated: bool = True,
) -> Cycles:
    """Return the modelled time of an emulated inference on the core it was emulated for.

    Args:
        emulated: what was counted.
        figures: of the core, with the clock and memory of the board that is meant.
        runtime: with its version, such as `ncnn 1.0.20261020`.
        known: what figures measured on the device say.
        validated: whether published times of this runtime were held against the model; without
            them no interval is known.
    """
    by, known = constants(), known or anchor([])
    ms = known.factor * by.seconds(terms(emulated.work, figures)) * 1e3
    reach = math.exp(known.reach)
    return Cycles(
        core=emulated.core,
        board=figures.board,
        frequency_hz=figures.frequency_hz,
        terms={name: round(term) for name, term in term_cycles(emulated.work, figures).items()},
        milliseconds={"1": ms},
        fitted_to=by.fitted_to,
        label=emulated.label,
        interval_ms=(ms / reach, ms * reach) if validated else None,
        runtime=runtime,
        measured_rows=known.rows,
    )


def ratio_interval(ratio: float, one: Load, other: Load) -> tuple[float, float]:
    """Return the 95 % interval of a ratio of two networks' modelled times on one device."""
    by = constants()
    spread = RatioSpread(by.ratio_base, by.ratio_memory, by.ratio_size)
    reach = math.exp(by.ratio_reach * spread.deviation(one, other))
    return ratio / reach, ratio * reach
