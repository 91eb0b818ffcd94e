"""The emulated device that was set up outside the tests, and a stage for setting one up."""

import contextlib
import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest

from facebench.architectures.errors import UnavailableError
from facebench.harness.devices.emulator import crossbuild, recipes, setup, wheels
from facebench.harness.devices.emulator.setup import Emulated
from facebench.harness.storage import cache
from tests.progress import Told

# The user's cache, or the one that CI names, as it is before the tests get one of their own.
_OUTSIDE = cache.root()


@pytest.fixture(scope="session")
def emulated(cache_folder: Path) -> Emulated:
    """What `facebench device setup-emulated` has set up on this machine."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FACEBENCH_CACHE", str(_OUTSIDE))
        try:
            return setup.find()
        except UnavailableError as error:
            pytest.skip(str(error))


@pytest.fixture
def emulated_here(
    emulated: Emulated, cache_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> Emulated:
    """The same, found by commands of this test, in a cache that all such tests share."""
    own = cache_folder.with_name("cache-emulated")
    own.mkdir(parents=True, exist_ok=True)
    with contextlib.suppress(FileExistsError):
        (own / "emulated").symlink_to(emulated.folder)
    monkeypatch.setenv("FACEBENCH_CACHE", str(own))
    return emulated


@dataclass(frozen=True)
class Stage:
    """Programs that only pretend, in front of the real ones, and what they were asked."""

    folder: Path

    def asked(self) -> list[str]:
        """What was run since the last call."""
        lines = self.log.read_text().splitlines()
        self.log.write_text("")
        return lines

    @property
    def log(self) -> Path:
        return self.folder / "log"

    def program(self, name: str, script: str) -> None:
        """Put a shell script in front."""
        path = self.folder / "bin" / name
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)

    def remove(self, *names: str) -> None:
        for name in names:
            (self.folder / "bin" / name).unlink()

    def set_up(self, sysroot: Path | None = None, ncnn: str = "") -> list[str]:
        """Run the set-up.

        Returns:
            The lines of its progress.
        """
        told = Told()
        setup.run(sysroot, told, ncnn)
        return told.said


_APT_GET = """\
shift 3
echo "apt-get $*" >> "$STAGE/log"
[ "$1" = update ] && exit 0
shift
for name; do touch "${name}_1%3a2.3-4_any.deb"; done
"""

_DPKG_DEB = """\
echo "dpkg-deb $(basename "$2")" >> "$STAGE/log"
mkdir -p "$3/usr/bin" && touch "$3/usr/bin/python3.11"
"""

_QEMU = """\
case "$1" in
    --help) echo "-plugin QEMU_PLUGIN [file=]<file>";;
    --version) echo "qemu-aarch64 version 9.9.9 (Pretended)";;
    *) for last; do :; done; echo "$(basename "$0") $last" >> "$STAGE/log"; echo "3.11.9 (main)";;
esac
"""

_PIP = """\
import os, pathlib, sys
with open(os.environ["STAGE"] + "/log", "a") as log:
    print("pip", *[word for word in sys.argv if "==" in word], file=log)
pathlib.Path(sys.argv[sys.argv.index("--target") + 1]).mkdir()
"""


@pytest.fixture
def stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Stage:
    """Nothing is downloaded, compiled or emulated."""
    folder = tmp_path / "stage"
    for below in ("bin", "python/pip", "sources"):
        (folder / below).mkdir(parents=True)
    made = Stage(folder)
    made.log.touch()
    made.program("apt-get", _APT_GET)
    made.program("dpkg-deb", _DPKG_DEB)
    made.program("qemu-aarch64", _QEMU)
    made.program("qemu-arm", _QEMU)
    (folder / "python" / "pip" / "__init__.py").touch()
    (folder / "python" / "pip" / "__main__.py").write_text(_PIP)
    for name in ("plugin.c", "session.c"):
        (folder / "sources" / name).write_text("first\n")
    monkeypatch.setenv("STAGE", str(folder))
    # What the scripts need of the system, and neither its qemu nor its apt.
    (folder / "tools").mkdir()
    for tool in ("basename", "mkdir", "sh", "touch"):
        (folder / "tools" / tool).symlink_to(shutil.which(tool) or pytest.fail(f"no {tool}"))
    monkeypatch.setenv("PATH", f"{folder / 'bin'}:{folder / 'tools'}")
    monkeypatch.setenv("PYTHONPATH", str(folder / "python"))
    monkeypatch.setenv("FACEBENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(recipes, "_SOURCES", folder / "sources")
    # Whatever is installed here; tests of extras name some.
    monkeypatch.setattr(wheels, "EXTRAS", {})

    def log(line: str) -> None:
        with made.log.open("a") as file:
            print(line, file=file)

    def session(triple: str, target: Path) -> Path:
        log(f"session {triple}")
        return shutil.copy(folder / "sources" / "session.c", target / "session")

    def native_library(source: Path, output: Path) -> None:
        log(f"library {source.name}")
        shutil.copy(source, output)

    monkeypatch.setattr(crossbuild, "session", session)
    monkeypatch.setattr(crossbuild, "native_library", native_library)
    return made
