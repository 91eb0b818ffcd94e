"""Says what the pieces of the emulated device are made of, and how."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from facebench.harness.devices.emulator import crossbuild, qemu, sysroot, wheels
from facebench.harness.devices.emulator.bytecode import PACKAGES
from facebench.harness.devices.emulator.overlay import overlay
from facebench.harness.devices.emulator.pieces import Make, Piece, folder, read, write
from facebench.harness.machine.cores import CORES
from facebench.harness.runtimes import registry
from facebench.harness.storage import cache, fingerprints

# The architectures that are emulated, by the triple that their session is built for.
TRIPLES = {"aarch64": "aarch64-linux-gnu", "armhf": "arm-linux-gnueabihf"}

_SOURCES = Path(__file__).parent

# Says which ncnn was asked for.
_NCNN = "ncnn.json"

# As which wheels are tried out, with the extensions of its day.
_TRIED = "cortex-a76"


def pieces(given: Path | None) -> list[Piece]:
    """Return all that there must be, in the order they are made in.

    Args:
        given: a folder of the user's that serves as the sysroot of aarch64; None
            means the one that does already, or Debian's packages.

    Raises:
        UnavailableError: a package is not installed here, so its version is not known.
    """
    chosen = given.resolve() if given else linked()
    root = _debian("aarch64") if chosen is None else _given(chosen)
    return [root, _debian("armhf"), _site(), *built()]


def built() -> list[Piece]:
    """Return what is built from the project's own sources; it needs no network."""
    digests = sources()
    plugin = Piece("plugin.so", "QEMU's plugin", digests["plugin.c"], _build_plugin)
    sessions = [
        Piece(
            f"{architecture}/session",
            f"the session in C for {triple}",
            digests["session.c"],
            partial(_build_session, triple),
        )
        for architecture, triple in TRIPLES.items()
    ]
    return [plugin, *sessions]


def extras() -> list[Piece]:
    """Return the runtimes that are installed here on demand, by their names; each was imported
    under QEMU once it is made.
    """
    installed = {runtime: wheels.extra(runtime) for runtime in wheels.EXTRAS}
    return [
        _wheels(extra(runtime), packages, partial(_install_extra, runtime, packages))
        for runtime, packages in installed.items()
        if packages
    ]


def extra(runtime: str) -> str:
    """Return the path of a runtime of `wheels.EXTRAS` below `folder()`."""
    return f"aarch64/{runtime}"


def try_out(code: str, mend: str, *own: Path) -> None:
    """Run Python code on the emulated machine, where it sees a core as in a session.

    Args:
        code: statements.
        mend: what to do where it fails.
        own: folders that it may import from, beside what all runtimes need.

    Raises:
        UnavailableError: it fails.
    """
    root = overlay(folder() / "aarch64" / "root", CORES[_TRIED])
    packages = [str(path) for path in (*own, folder() / "aarch64" / "site", PACKAGES)]
    # facebench comes first: it says what no package may do, such as report to its makers.
    code = f"import sys; sys.path[:0] = {packages}; import facebench; {code}"
    qemu.run_python(root, code, mend)


def linked() -> Path | None:
    """Return the folder of the user's that serves as the sysroot of aarch64, where one does."""
    root = folder() / "aarch64" / "root"
    return root.readlink() if root.is_symlink() and root.is_dir() else None


def sources() -> dict[str, str]:
    """Digest of each C source with what builds it: other options are a reason to build again."""
    builder = fingerprints.code(crossbuild.__name__)
    names = ("plugin.c", "session.c")
    return {name: cache.digest(builder, cache.file_digest(_SOURCES / name)) for name in names}


def _debian(architecture: str) -> Piece:
    packages = sysroot.DEBIAN[architecture]
    return Piece(
        f"{architecture}/root",
        f"Debian's {packages[0]} packages: {', '.join(packages[1])}",
        cache.digest(packages),
        partial(sysroot.install, architecture),
    )


def _given(root: Path) -> Piece:
    return Piece("aarch64/root", f"the sysroot {root}", str(root), partial(_link, root))


def _link(root: Path, path: Path) -> dict[str, str]:
    versions = sysroot.check(root)
    path.symlink_to(root)
    return versions


def chosen_ncnn() -> str:
    """Return the version of ncnn that was asked for; empty where it is to be this machine's."""
    return str(read(folder() / _NCNN).get("version", ""))


def choose_ncnn(version: str) -> None:
    """Keep the version of ncnn that the emulated machine is to have."""
    write(folder() / _NCNN, {"version": version})


def _site() -> Piece:
    packages = wheels.wanted(chosen_ncnn())
    return _wheels("aarch64/site", packages, partial(wheels.install, packages))


def _wheels(path: str, packages: dict[str, str], make: Make) -> Piece:
    names = ", ".join(f"{name} {version}" for name, version in packages.items())
    return Piece(path, f"aarch64 wheels: {names}", cache.digest(packages), make)


def _install_extra(runtime: str, packages: dict[str, str], path: Path) -> dict[str, str]:
    versions = wheels.install(packages, path)
    load = f"from {registry.__name__} import RUNTIMES; RUNTIMES[{runtime!r}].load()"
    try_out(load, f"another release of {runtime} may run", path)
    return versions


def _build_plugin(path: Path) -> dict[str, str]:
    crossbuild.native_library(_SOURCES / "plugin.c", path)
    return {}


def _build_session(triple: str, path: Path) -> dict[str, str]:
    crossbuild.session(triple, path.parent).rename(path)
    return {}
