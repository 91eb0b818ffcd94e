"""Lists boards and phones by name: a named core at a device's clock and with its memory.

The values and where each comes from are data, in `boards.toml` beside this module.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from facebench.architectures.errors import BadInputError
from facebench.architectures.registry import Registry
from facebench.harness.machine import phones
from facebench.harness.machine.cores import CORES, Core
from facebench.harness.storage.serialization import convert, parse_toml


@dataclass(frozen=True)
class NamedBoard:
    """It is a device with one kind of core looked at.

    Attributes:
        name: as on the command line, after `emulated:`.
        description: for people.
        core: of `cores.CORES`; its caches are taken to be the device's.
        frequency_hz: the clock that it sustains.
        dram_bandwidth_bytes_s: read and written together, by one core.
        frequency_source: where the clock comes from.
        bandwidth_source: where the bandwidth comes from; "assumed: ..." where it is no
            publication.
    """

    name: str
    description: str
    core: str
    frequency_hz: int
    dram_bandwidth_bytes_s: float
    frequency_source: str
    bandwidth_source: str

    def described(self) -> Core:
        """Return the core with this device's clock and memory."""
        core = CORES[self.core]
        if core.figures is None:
            raise BadInputError(f"board {self.name}: {self.core} has no figures in cores.toml")
        figures = replace(
            core.figures,
            board=self.description,
            frequency_hz=self.frequency_hz,
            dram_bandwidth_bytes_s=self.dram_bandwidth_bytes_s,
        )
        sources = {
            "board": self.description,
            "frequency_hz": self.frequency_source,
            "dram_bandwidth_bytes_s": self.bandwidth_source,
        }
        return replace(core, figures=figures, sources={**core.sources, **sources})


BOARDS: Registry[NamedBoard] = Registry("board")


def parse(text: str) -> list[NamedBoard]:
    """Read the boards that a TOML text describes.

    Raises:
        BadInputError: a key is unknown or missing; it names which.
    """
    tables = convert(parse_toml(text), dict[str, dict[str, object]])
    return [convert({"name": name, **table}, NamedBoard) for name, table in tables.items()]


for _found in parse(Path(__file__).with_suffix(".toml").read_text(encoding="utf-8")):
    BOARDS.add(_found.name, _found)


def described(name: str) -> Core:
    """Return a core by its name, or by that of a board or a phone that has it.

    Raises:
        UnknownNameError: it is none of them.
    """
    if name in BOARDS:
        return BOARDS[name].described()
    phone = None if name in CORES else phones.find(name)
    return phone.described() if phone else CORES[name]
