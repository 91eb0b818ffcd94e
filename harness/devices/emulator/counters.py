"""Reads what an emulated inference executed: our plugin's counters, by kernel and by kind of work.

A session marks two regions, the second of one inference more than the first (see
`runtimes.counted_process`); their difference is one, without start-up and what surrounds it.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np

from facebench.architectures.errors import WrongAnswerError
from facebench.harness.devices.emulator import instructions, symbols
from facebench.harness.devices.emulator.pipeline.simulate import simulator
from facebench.harness.machine.cores import Figures
from facebench.harness.records.instructions import Work
from facebench.harness.stats.arrays import IntArray

# Columns of a line that the plugin writes, after the block's address and instructions.
# These are not the code's bytes over four: Thumb's are of two or four.
_FIGURES = ("executions", "loaded", "stored", "l1", "l2", "l3", "written")

_Key = tuple[int, int, str]


@dataclass(frozen=True)
class Block:
    """Code that is executed from its first instruction to its last.

    Attributes:
        address: of the first instruction.
        instructions: how many.
        code: the instructions' bytes.
        figures: executions; bytes loaded and stored; misses of each level of
            cache; lines written back to memory; of one inference.
    """

    address: int
    instructions: int
    code: bytes
    figures: tuple[int, ...]


@dataclass
class Tally:
    """Sums over blocks; see `records.instructions.Work` for what they are."""

    instructions: int = 0
    loaded: int = 0
    stored: int = 0
    l1: int = 0
    l2: int = 0
    l3: int = 0
    written: int = 0
    cycles: float = 0.0
    mix: dict[str, int] = field(default_factory=lambda: dict.fromkeys(instructions.KINDS, 0))

    def add(self, block: Block, mix: dict[str, int], cycles: float) -> None:
        """Add what a block did; `mix` and `cycles` are of one execution."""
        executions, *rest = block.figures
        self.instructions += executions * block.instructions
        self.cycles += executions * cycles
        for name, figure in zip(_FIGURES[1:], rest, strict=True):
            setattr(self, name, getattr(self, name) + figure)
        for kind, count in mix.items():
            self.mix[kind] += executions * count


def together(tallies: Iterable[Tally]) -> Tally:
    """Return the sum of tallies."""
    total = Tally()
    for tally in tallies:
        for name in (*_FIGURES[1:], "instructions", "cycles"):
            setattr(total, name, getattr(total, name) + getattr(tally, name))
        for kind, count in tally.mix.items():
            total.mix[kind] += count
    return total


def work(tally: Tally, levels: int) -> Work:
    """Return a tally of a core with so many levels of cache, as records have it."""
    return Work(
        instructions=tally.instructions,
        mix={kind: count for kind, count in tally.mix.items() if count},
        bytes_loaded=tally.loaded,
        bytes_stored=tally.stored,
        misses=(tally.l1, tally.l2, tally.l3)[:levels],
        lines_written=tally.written,
        cycles=round(tally.cycles, 1) if tally.cycles else None,
    )


def pack(maps: str, regions: Iterable[str]) -> bytes:
    """Return a session's memory map and its regions' counters, to travel."""
    return zlib.compress(json.dumps({"maps": maps, "regions": list(regions)}).encode())


def tally(packed: bytes, machine: str, figures: Figures | None) -> tuple[Tally, dict[str, Tally]]:
    """Return one inference: all of it, and by kernel.

    Args:
        packed: what `pack` made.
        machine: ELF name of the architecture, which says how instructions are read.
        figures: of the core, whose pipeline is simulated; where None, its cycles are 0.

    Raises:
        WrongAnswerError: there are no two regions, or the second is not larger.
    """
    travelled = json.loads(zlib.decompress(packed))
    if len(travelled["regions"]) != 2:
        raise WrongAnswerError(
            "the emulator left no counters: 'facebench device setup-emulated' mends its plugin"
        )
    one, two = (_blocks(text) for text in travelled["regions"])
    names = symbols.names(travelled["maps"])
    total, kernels = Tally(), dict[str, Tally]()
    for block in _difference(one, two):
        mix = instructions.mix(block.code, machine)
        cycles = simulator(figures).cycles(block.code) if figures and mix else 0.0
        total.add(block, mix, cycles)
        kernels.setdefault(names(block.address), Tally()).add(block, mix, cycles)
    if total.instructions <= 0:
        raise WrongAnswerError("an inference executed no more than none: nothing was counted")
    return total, kernels


def region(text: str, machine: str, figures: Figures) -> Tally:
    """Return all that was executed between two marks.

    Args:
        text: a region's counters.
        machine: as in `tally`.
        figures: as in `tally`.
    """
    total = Tally()
    for key, found in _blocks(text).items():
        block = _block(key, found)
        mix = instructions.mix(block.code, machine)
        total.add(block, mix, simulator(figures).cycles(block.code) if mix else 0.0)
    return total


def _blocks(text: str) -> dict[_Key, IntArray]:
    """Figures by address, length and code: code that was translated twice is one block."""
    found: dict[_Key, IntArray] = {}
    for line in text.splitlines():
        address, instructions, *figures, code = line.split(" ")
        key = (int(address), int(instructions), code)
        row = np.array(figures, dtype=np.int64)
        found[key] = found[key] + row if key in found else row
    return found


def _difference(one: dict[_Key, IntArray], two: dict[_Key, IntArray]) -> Iterator[Block]:
    none = np.zeros(len(_FIGURES), dtype=np.int64)
    for key in two.keys() | one.keys():
        figures = two.get(key, none) - one.get(key, none)
        if figures.any():
            yield _block(key, figures)


def _block(key: _Key, figures: IntArray) -> Block:
    address, instructions, code = key
    return Block(address, instructions, bytes.fromhex(code), tuple(int(f) for f in figures))
