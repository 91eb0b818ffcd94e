"""Sysroots: folders that hold the files an ARM Linux has, for programs run by QEMU.

Debian's packages are downloaded with apt and unpacked. apt gets a state of its own,
so nothing of the system's is touched and no root is needed; the system's sources
and keys are used.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from urllib.parse import unquote

from facebench.architectures.errors import BadInputError, UnavailableError
from facebench.harness.devices.emulator import programs, qemu

# The architecture's name in Debian, and what our sessions need of it.
DEBIAN = {
    "aarch64": (
        "arm64",
        (
            "python3.11-minimal",
            "libpython3.11-minimal",
            "libpython3.11-stdlib",
            "libc6",
            "libgcc-s1",
            "libstdc++6",
            "libgomp1",
            "zlib1g",
            "libexpat1",
            "libffi8",
            "libbz2-1.0",
            "liblzma5",
            "libssl3",
            "libuuid1",
        ),
    ),
    "armhf": ("armhf", ("libc6", "libgcc-s1")),
}

# ELF's e_machine of 64-bit ARM, a 16-bit number at byte 18.
_EM_AARCH64 = 183

_MEND = (
    "check the network, or, on a system that is not like Debian 12, name with --sysroot a folder "
    f"that holds an aarch64 Linux with {qemu.PYTHON}"
)

# The `-c` file is read after the system's settings. Their hooks are cleared: as root
# they would refresh what other programs know of the system's packages.
_SETTINGS = """\
#clear APT::Architectures;
#clear APT::Update;
APT::Architecture "{architecture}";
APT::Architectures {{ "{architecture}"; }};
APT::Sandbox::User "root";
APT::Update::Error-Mode "any";
Acquire::Retries "3";
Debug::NoLocking "true";
Dir::State "{folder}";
Dir::State::status "{folder}/status";
Dir::State::lists "{folder}/lists";
Dir::Cache "{folder}/cache";
"""


def install(architecture: str, folder: Path) -> dict[str, str]:
    """Unpack Debian's packages for an architecture into a new folder.

    Args:
        architecture: `aarch64` or `armhf`.
        folder: what becomes the sysroot.

    Returns:
        The version of each package.

    Raises:
        UnavailableError: there is no apt, no network, or no such package.
    """
    _, packages = DEBIAN[architecture]
    folder.mkdir()
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix="packages-") as temporary:
        archives = _download(architecture, Path(temporary))
        for archive in archives:
            programs.run(["dpkg-deb", "-x", archive, folder], _MEND)
    # A file is NAME_VERSION_ARCHITECTURE.deb, with %3a for a colon.
    versions = dict(archive.name.split("_")[:2] for archive in archives)
    missing = sorted(set(packages) - set(versions))
    if missing:
        raise UnavailableError(f"apt-get downloaded no {missing[0]}: {_MEND}")
    return {name: unquote(version) for name, version in versions.items()}


def _download(architecture: str, folder: Path) -> list[Path]:
    name, packages = DEBIAN[architecture]
    for below in ("lists/partial", "cache/archives/partial", "archives"):
        (folder / below).mkdir(parents=True)
    (folder / "status").touch()
    settings = folder / "settings"
    settings.write_text(_SETTINGS.format(architecture=name, folder=folder))
    apt: list[str | Path] = ["apt-get", "-q", "-c", settings]
    refusal: UnavailableError | None = None
    try:
        programs.run([*apt, "update"], _MEND)
    except UnavailableError as error:
        # A mirror that is just being renewed lacks some list; the packages may be had.
        refusal = error
    try:
        programs.run([*apt, "download", *packages], _MEND, cwd=folder / "archives")
    except UnavailableError as error:
        raise refusal or error from error
    return sorted((folder / "archives").glob("*.deb"))


def check(folder: Path) -> dict[str, str]:
    """See that a user's own folder is a sysroot of aarch64 with Python 3.11.

    Returns:
        Python's version, as that of a package.

    Raises:
        BadInputError: it is none.
    """
    python = folder / qemu.PYTHON
    mend = f"name a folder that holds an aarch64 Linux with {qemu.PYTHON}"
    try:
        with python.open("rb") as file:
            header = file.read(20)
    except OSError as error:
        raise BadInputError(
            f"--sysroot {folder} is not valid, {python} cannot be read ({error.strerror}): {mend}"
        ) from error
    if header[:4] != b"\x7fELF" or int.from_bytes(header[18:20], "little") != _EM_AARCH64:
        raise BadInputError(
            f"--sysroot {folder} is not valid, {python} is no program of aarch64: {mend}"
        )
    try:
        said = qemu.run_python(folder, "import sys; print(sys.version)", mend)
    except UnavailableError as error:
        raise BadInputError(f"--sysroot {folder} is not valid, its {error}") from error
    version = said.split()[0] if said.split() else ""
    if not version.startswith("3.11."):
        raise BadInputError(f"--sysroot {folder} is not valid, its Python is {version!r}: {mend}")
    return {"python3.11": version}
