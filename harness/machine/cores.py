"""Lists named CPU cores: how a board names them, and the figures a model of them needs.

The values and where each comes from are data, in `cores.toml` beside this module.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from facebench.architectures.errors import BadInputError
from facebench.architectures.registry import Registry
from facebench.harness.storage.serialization import convert, parse_toml


@dataclass(frozen=True)
class Cache:
    """It is a data cache.

    Attributes:
        shared: by the cores of the cluster; else each core has its own.
        latency_cycles: from a load to its use, when it hits here.
    """

    size_bytes: int
    associativity: int
    line_bytes: int
    shared: bool
    latency_cycles: int


# What only a core that is in order has, and what only one that is not.
_IN_ORDER = ("lone_vector_load_bytes", "narrow_vectors_per_cycle")
_OUT_OF_ORDER = ("window", "micro_operations_per_vector")


@dataclass(frozen=True)
class Figures:
    """What a core does in a cycle, and what memory costs it on one named board.

    Attributes:
        board: whose clock, caches and memory these are.
        frequency_hz: the clock that the board sustains.
        cores: how many cores of this kind the board has.
        in_order: instructions issue in program order.
        decode_width: instructions a cycle; out of order, micro-operations that enter the window.
        fma_lanes_per_cycle: 32-bit floating-point multiply-adds a cycle.
        fma_latency_cycles: from a multiply-add to a use of its result.
        fma_accumulate_cycles: from a multiply-add to one that adds to its result.
        loads_per_cycle: of 128 bits.
        stores_per_cycle: of 128 bits.
        memory_operations_per_cycle: loads and stores together.
        vector_operations_per_cycle: of 128 bits, other than multiply-adds.
        vector_latency_cycles: from such a one to a use of its result.
        vector_load_latency_cycles: from the load of a vector to its use.
        division_cycles: that a division of 128 bits holds the vector units.
        integer_operations_per_cycle: simple ones.
        dram_latency_ns: of a load that misses every cache, page walks included.
        dram_bandwidth_bytes_s: read and written together, by one core.
        l1d, l2, l3: levels of data cache, from the core outwards; few cores have three.
        window: micro-operations in flight, of a core out of order.
        micro_operations_per_vector: that an operation of 128 bits is, of a core out of order.
        lone_vector_load_bytes: of the smallest vector load that no vector operation issues
            beside, of a core in order.
        narrow_vectors_per_cycle: vector operations of 64 bits in the time of one of 128, of a
            core in order.
    """

    board: str
    frequency_hz: int
    cores: int
    in_order: bool
    decode_width: int
    fma_lanes_per_cycle: float
    fma_latency_cycles: int
    fma_accumulate_cycles: int
    loads_per_cycle: float
    stores_per_cycle: float
    memory_operations_per_cycle: float
    vector_operations_per_cycle: float
    vector_latency_cycles: int
    vector_load_latency_cycles: int
    division_cycles: int
    integer_operations_per_cycle: float
    dram_latency_ns: float
    dram_bandwidth_bytes_s: float
    l1d: Cache
    l2: Cache
    l3: Cache | None = None
    window: int | None = None
    micro_operations_per_vector: int | None = None
    lone_vector_load_bytes: int | None = None
    narrow_vectors_per_cycle: float | None = None

    def __post_init__(self) -> None:
        """See that what the pipeline's order demands is there."""
        demanded = _IN_ORDER if self.in_order else _OUT_OF_ORDER
        missing = [name for name in demanded if getattr(self, name) is None]
        if missing:
            order = "in" if self.in_order else "out of"
            raise BadInputError(f"figures: {missing[0]} is missing of a core {order} order")

    @property
    def fmas_per_cycle(self) -> float:
        """Return multiply-adds of 128 bits a cycle."""
        return self.fma_lanes_per_cycle / 4

    @property
    def levels(self) -> tuple[Cache, ...]:
        """Return the caches there are, from the core outwards."""
        return tuple(level for level in (self.l1d, self.l2, self.l3) if level is not None)


@dataclass(frozen=True)
class Core:
    """It is a CPU core.

    Attributes:
        name: as on the command line and in records.
        description: for people, with boards that have it.
        target: what to compile for, a name in `facebench.harness.compiler.targets`.
        qemu_cpu: the nearest core that QEMU 7.2 knows: no instruction is missing there
            that code for `target` uses.
        implementer: the designer's number in MIDR (`CPU implementer` in /proc/cpuinfo).
        parts: the core's numbers there (`CPU part`).
        features: what Linux says there that its programs may use (`Features`), in Linux's order;
            of that, what `qemu_cpu` executes.
        figures: for modelling; None for a core that is only recognised.
        sources: where each figure comes from, by its name or that of its cache.
    """

    name: str
    description: str
    target: str
    qemu_cpu: str
    implementer: int
    parts: tuple[int, ...]
    features: str
    figures: Figures | None = None
    sources: Mapping[str, str] = field(default_factory=dict, hash=False)

    def source(self, figure: str) -> str:
        """Return where a figure comes from; "assumed: ..." where it is no publication.

        Args:
            figure: a field's name, such as `frequency_hz` or `l2.latency_cycles`.

        Raises:
            KeyError: it has no such figure.
        """
        cache = figure.partition(".")[0]
        return self.sources[figure] if figure in self.sources else self.sources[cache]


CORES: Registry[Core] = Registry("core")


def identify(cpuinfo: str) -> list[str]:
    """Return the cores in the text of /proc/cpuinfo, one a processor, in its order.

    A part that is in no description is named by its numbers, such as
    `arm:0x41:0xd4a`; a text of another architecture has no parts, and gives none.

    Example:
        >>> identify("processor: 0\\nCPU implementer: 0x41\\nCPU part: 0xd08\\n")
        ['cortex-a72']
    """
    known = {(core.implementer, part): core.name for core in CORES for part in core.parts}
    names, implementer = [], 0
    for key, value in _PART.findall(cpuinfo):
        if key == "implementer":
            implementer = int(value, 16)
        else:
            part = int(value, 16)
            names.append(known.get((implementer, part), f"arm:{implementer:#x}:{part:#x}"))
    return names


_PART = re.compile(r"^CPU (implementer|part)\s*:\s*(0x[0-9a-f]+)\s*$", re.MULTILINE)


def parse(text: str) -> list[Core]:
    """Read the cores that a TOML text describes.

    Raises:
        BadInputError: a key is unknown, or a value or its source is missing; it names which.
    """
    tables = convert(parse_toml(text), dict[str, dict[str, Any]])
    return [_core(name, table) for name, table in tables.items()]


def _core(name: str, table: dict[str, Any]) -> Core:
    try:
        core = convert({"name": name, **table}, Core)
    except BadInputError as error:
        raise BadInputError(f"core {name}: {error}") from error
    _check_sources(core)
    return core


def _check_sources(core: Core) -> None:
    names = [] if core.figures is None else list(_names(core.figures))
    for name in names:
        if not core.sources.get(name) and not core.sources.get(name.partition(".")[0]):
            raise BadInputError(f"{core.name}.sources has none for {name}")
    for name in core.sources:
        if name not in {*names, *(known.partition(".")[0] for known in names)}:
            raise BadInputError(f"{core.name}.sources has an unknown key {name!r}")


def _names(figures: Figures) -> Iterator[str]:
    """Yield the names of single values: fields, and those of caches as `l2.size_bytes`."""
    for f in fields(figures):
        value = getattr(figures, f.name)
        if isinstance(value, Cache):
            yield from (f"{f.name}.{inner.name}" for inner in fields(value))
        elif value is not None:
            yield f.name


for _found in parse(Path(__file__).with_suffix(".toml").read_text(encoding="utf-8")):
    CORES.add(_found.name, _found)
