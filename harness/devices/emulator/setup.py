"""Provides the emulated ARM device: set up once, in the cache's folder `emulated`.

`setup.json` is written last, when all pieces were tried out; an interrupted set-up
goes on where it was.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from facebench.architectures.errors import BadInputError, UnavailableError
from facebench.harness.devices.emulator import bytecode, pieces, qemu, recipes, wheels
from facebench.harness.devices.emulator.pieces import Piece
from facebench.harness.storage.progress import Progress

COMMAND = "facebench device setup-emulated"

_SETUP = "setup.json"
_NCNN = re.compile(r"1\.0\.20\d{6}")
_ARMV7 = "armhf/root"


@dataclass(frozen=True)
class Emulated:
    """What is set up.

    Attributes:
        folder: holds all of it.
    """

    folder: Path

    def root(self, architecture: str) -> Path:
        """Return the sysroot of `aarch64` or `armhf`, for `qemu -L`.

        Raises:
            UnavailableError: there is none for it.
        """
        return self._of(architecture, "root")

    def session(self, architecture: str) -> Path:
        """Return the session in C, an executable of `aarch64` or `armhf`.

        Raises:
            UnavailableError: there is none for it.
        """
        return self._of(architecture, "session")

    @property
    def python(self) -> Path:
        """Return the aarch64 Python, in its sysroot."""
        return self.root("aarch64") / qemu.PYTHON

    @property
    def site(self) -> Path:
        """Return the folder of Python packages for aarch64."""
        return self.folder / "aarch64" / "site"

    def packages(self, runtime: str) -> list[Path]:
        """Return the folders that Python packages of a runtime are imported from."""
        own = [self.folder / recipes.extra(runtime)] if runtime in wheels.EXTRAS else []
        return [*own, self.site, bytecode.PACKAGES]

    def extras(self) -> list[str]:
        """Return the runtimes of `wheels.EXTRAS` that run there, in this machine's versions."""
        return [piece.path.rpartition("/")[2] for piece in self._extras()]

    def absent(self, runtime: str) -> str:
        """Return why a runtime could not be set up; empty where that was not tried."""
        kept = pieces.read(self.folder / _SETUP)
        return str(kept["absent"].get(recipes.extra(runtime), ""))

    @property
    def plugin(self) -> Path:
        """Return QEMU's plugin that counts, built for this machine."""
        return self.folder / "plugin.so"

    @property
    def versions(self) -> dict[str, str]:
        """Return versions of the emulator and of the sysroot's and Python's packages, by name."""
        kept = pieces.read(self.folder / _SETUP)
        extras = {
            name: found for piece in self._extras() for name, found in piece.versions().items()
        }
        return {
            **kept["packages"]["aarch64"],
            **kept["wheels"],
            **extras,
            "qemu": qemu.version(),
        }

    def _extras(self) -> list[Piece]:
        return [piece for piece in recipes.extras() if piece.is_made()]

    def _of(self, architecture: str, name: str) -> Path:
        path = self.folder / architecture / name
        if not path.exists():
            raise UnavailableError(
                f"{architecture} is not set up, {path} is missing: '{COMMAND}' sets it up where "
                "apt-get has its packages"
            )
        return path


def find() -> Emulated:
    """Return the emulated device that is set up here.

    Raises:
        UnavailableError: none is, or it lacks something; the sentence says what to do.
    """
    ensure_current()
    reason = ready()
    if reason:
        raise UnavailableError(reason)
    return Emulated(pieces.folder())


def ready() -> str:
    """Say in a sentence what to mend; empty where all is set up as this version wants it."""
    if not pieces.folder().is_dir():
        return f"no emulated device is set up: '{COMMAND}' sets one up (about 60 MB, a minute)"
    kept = pieces.read(pieces.folder() / _SETUP)
    if not kept:
        return f"the set-up of the emulated device did not end: '{COMMAND}' goes on with it"
    try:
        wanted = recipes.pieces(None)
    except UnavailableError as error:
        return str(error)
    missing = [p for p in wanted if p.path not in kept["absent"] and not p.is_made()]
    if missing:
        return (
            f"the emulated device lacks {missing[0].name} as this version wants it: '{COMMAND}' "
            "makes what is missing"
        )
    return qemu.problem()


def ensure_current() -> None:
    """Build again what was built from older sources; that needs no network.

    Raises:
        UnavailableError: no C compiler is installed, or it fails.
    """
    setup = pieces.folder() / _SETUP
    if not pieces.read(setup) or all(piece.is_made() for piece in recipes.built()):
        return
    with pieces.alone():
        for piece in recipes.built():
            if not piece.is_made():
                piece.put()
        pieces.write(setup, pieces.read(setup) | {"sources": recipes.sources()})


def run(sysroot: Path | None, progress: Progress, ncnn: str = "") -> Emulated:
    """Set the emulated device up, or go on with that.

    Args:
        ncnn: a version of it other than this machine's; empty keeps the one that was
            chosen before.
        sysroot: a folder with an aarch64 Linux and its Python 3.11; None downloads
            Debian's packages, or keeps the folder that was given before.
        progress: told each step before it is done.

    Raises:
        UnavailableError: something is missing here; the sentence says what to do.
        BadInputError: the folder holds no such Linux.
    """
    reason = qemu.problem()
    if reason:
        raise UnavailableError(reason)
    if ncnn and not _NCNN.fullmatch(ncnn):
        raise BadInputError(
            f"--ncnn {ncnn} is no version of ncnn: they are dates, such as 1.0.20230816"
        )
    with pieces.alone():
        return _set_up(sysroot, progress, ncnn or recipes.chosen_ncnn())


def _set_up(sysroot: Path | None, progress: Progress, ncnn: str) -> Emulated:
    before = recipes.chosen_ncnn()
    recipes.choose_ncnn(ncnn)
    try:
        return _complete(sysroot, progress)
    except UnavailableError:
        # A version that cannot be had is not kept.
        recipes.choose_ncnn(before)
        raise


def _complete(sysroot: Path | None, progress: Progress) -> Emulated:
    demanded, extras = recipes.pieces(sysroot), recipes.extras()
    wanted = [*demanded, *extras]
    setup = pieces.folder() / _SETUP
    kept = pieces.read(setup)
    emulated = Emulated(pieces.folder())
    if kept and all(piece.is_made() for piece in wanted):
        progress.say(f"all is there: {emulated.folder}")
        return emulated
    setup.unlink(missing_ok=True)
    optional = {piece.path: piece.name for piece in extras}
    if sysroot or recipes.linked():
        # A folder of the user's stands for apt, which may be missing altogether.
        optional[_ARMV7] = "ARMv7"
    absent = _make(wanted, optional, progress)
    bytecode.of_folder(emulated.folder / "aarch64")
    progress.say("trying all of it out under QEMU")
    _try_out(emulated)
    pieces.write(setup, _summary(demanded, absent))
    return emulated


def _make(wanted: list[Piece], optional: dict[str, str], progress: Progress) -> dict[str, str]:
    """Make what is not there.

    Args:
        optional: what one goes on without where it cannot be made: paths, and names for people.

    Returns:
        Why an optional piece could not be made, by its path.
    """
    absent = {}
    for piece in wanted:
        if piece.is_made():
            progress.say(f"there already: {piece.name}")
            continue
        progress.say(f"getting {piece.name}")
        try:
            piece.put()
        except UnavailableError as error:
            if piece.path not in optional:
                raise
            absent[piece.path] = str(error)
            progress.say(f"goes on without {optional[piece.path]}: {error}")
    return absent


def _try_out(emulated: Emulated) -> None:
    """Run what was made once."""
    mend = f"remove {emulated.folder} and run '{COMMAND}' again"
    recipes.try_out(f"import {', '.join(wheels.wanted())}", mend)
    for architecture in recipes.TRIPLES:
        root = emulated.folder / architecture / "root"
        if root.exists():
            qemu.run(architecture, root, [emulated.session(architecture)], mend)


def _summary(wanted: list[Piece], absent: dict[str, str]) -> dict[str, Any]:
    versions = {piece.path: piece.versions() for piece in wanted}
    return {
        "qemu": qemu.version(),
        "packages": {name: versions[f"{name}/root"] for name in recipes.TRIPLES},
        "wheels": versions["aarch64/site"],
        "sources": recipes.sources(),
        "absent": absent,
    }
