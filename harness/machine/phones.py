"""Keeps phones of the user's own: a core, its clock, and what was measured there.

Each is a file of JSON in the user's data folder; `facebench phone add` writes it.
"""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import platformdirs

from facebench.architectures.errors import BadInputError
from facebench.harness.machine.cores import CORES, Core
from facebench.harness.storage import writing
from facebench.harness.storage.serialization import convert, parse_json, to_text

_NAME = re.compile(r"[a-z0-9][a-z0-9.-]{0,62}")

# No clock of a phone is outside, in GHz.
_SLOWEST, _FASTEST = 0.2, 6.0


@dataclass(frozen=True)
class Figure:
    """It is a time that somebody measured on a phone, with one thread of ncnn.

    Attributes:
        network: as ncnn's benchmark calls it.
        ms: of one inference.
    """

    network: str
    ms: float


@dataclass(frozen=True)
class Phone:
    """It is a phone of the user's.

    Attributes:
        name: as on the command line, after `emulated:`.
        core: of `cores.CORES`; caches and memory are taken to be those of its board there.
        ghz: the core's clock.
        measured: what was measured there.
    """

    name: str
    core: str
    ghz: float
    measured: tuple[Figure, ...] = ()

    def described(self) -> Core:
        """Return the core at this phone's clock.

        Raises:
            BadInputError: there are no figures of the core to model times with.
        """
        core = CORES[self.core]
        if core.figures is None:
            able = ", ".join(one.name for one in CORES if one.figures)
            raise BadInputError(f"--core {self.core} has no figures to model times with: {able}")
        figures = replace(core.figures, board=self.name, frequency_hz=round(self.ghz * 1e9))
        said = {"board": "told by its owner", "frequency_hz": "told by its owner"}
        return replace(core, figures=figures, sources={**core.sources, **said})


def folder() -> Path:
    """Return where phones are kept."""
    return Path(platformdirs.user_data_dir("facebench")) / "phones"


def names() -> list[str]:
    """Return the names of the phones that are kept."""
    return sorted(path.stem for path in folder().glob("*.json"))


def find(name: str) -> Phone | None:
    """Return a phone that is kept; None where none has the name.

    Raises:
        BadInputError: its file is damaged.
    """
    path = folder() / f"{name}.json"
    if not _NAME.fullmatch(name) or not path.is_file():
        return None
    try:
        return convert(parse_json(path.read_bytes()), Phone)
    except BadInputError as error:
        raise BadInputError(
            f"{path} describes no phone ({error}): 'facebench phone add {name}' writes it anew"
        ) from error


def keep(phone: Phone) -> Path:
    """Keep a phone in place of what had its name.

    Returns:
        The file.

    Raises:
        BadInputError: its name or its clock cannot be.
    """
    if not _NAME.fullmatch(phone.name) or phone.name in CORES:
        raise BadInputError(
            f"{phone.name!r} cannot be a phone's name: use small letters, digits, dots and "
            "hyphens, and not the name of a core or a board"
        )
    if not _SLOWEST <= phone.ghz <= _FASTEST:
        raise BadInputError(
            f"--ghz {phone.ghz:g} is no clock of a phone: give it in GHz, such as 2.8"
        )
    phone.described()
    path = folder() / f"{phone.name}.json"
    writing.write(path, to_text(asdict(phone)))
    return path
