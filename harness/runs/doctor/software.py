"""Looks at what is installed: Python, packages, runtimes and programs."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import platform
import shutil
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from facebench.architectures.errors import FacebenchError
from facebench.harness.devices.emulator import qemu, setup
from facebench.harness.machine.environment import version, versions
from facebench.harness.runs.doctor.observation import MISSING, OK, WARNING, Observation, Place
from facebench.harness.runtimes.registry import RUNTIMES, Runtime
from facebench.harness.verification.detectors.registry import DETECTORS, Detector

_INSTALL = "pip install --upgrade facebench"

# A package of native code takes some seconds to import, on a busy machine many.
_IMPORT_S = 120.0
_IMPORT = (
    "import sys; from facebench.harness.runtimes.registry import RUNTIMES; "
    "RUNTIMES[sys.argv[1]].load()"
)


def python(place: Place) -> Iterator[Observation]:
    """Check the interpreter."""
    asked = importlib.metadata.metadata("facebench")["Requires-Python"] or ""
    found = f"{platform.python_version()} at {sys.executable}"
    if SpecifierSet(asked).contains(platform.python_version(), prereleases=True):
        yield Observation("python", OK, found)
    else:
        mend = "install facebench in an environment of such a Python"
        yield Observation("python", MISSING, f"{found}, not {asked}", mend)


def facebench(place: Place) -> Iterator[Observation]:
    """Check which facebench this is."""
    here = Path(__file__).resolve().parents[3]
    yield Observation("facebench", OK, f"{version('facebench')} in {here}")


def packages(place: Place) -> Iterator[Observation]:
    """Check the packages without which facebench does not run."""
    wrong = list(filter(None, map(_wrong, importlib.metadata.requires("facebench") or [])))
    if wrong:
        yield Observation("packages", MISSING, "; ".join(wrong), _INSTALL)
    else:
        told = ", ".join(f"{name} {found}" for name, found in versions().items())
        yield Observation("packages", OK, f"all that facebench asks for, among them {told}")


def _wrong(line: str) -> str:
    """Return what is wrong with a requirement of facebench; empty where nothing is, or an extra
    asks.
    """
    asked = Requirement(line)
    if asked.marker and not asked.marker.evaluate({"extra": ""}):
        return ""
    found = version(asked.name)
    if found is None:
        return f"{asked.name} is not installed"
    if not asked.specifier.contains(found, prereleases=True):
        return f"{asked.name} is {found}, not {asked.specifier}"
    return ""


def runtimes(place: Place) -> Iterator[Observation]:
    """Check the runtimes: each is imported, in a process of its own."""
    with ThreadPoolExecutor(max_workers=2) as pool:
        yield from pool.map(_runtime, RUNTIMES)


def _runtime(runtime: Runtime) -> Observation:
    if not runtime.installed():
        return Observation(runtime.name, MISSING, "not installed", runtime.install)
    found = version(runtime.packages[0]) or "of unknown version"
    command = [sys.executable, "-P", "-c", _IMPORT, runtime.name]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_IMPORT_S)
    except subprocess.TimeoutExpired:
        says = f"{found}, which is not imported within {_IMPORT_S:.0f} s"
        return Observation(runtime.name, WARNING, says, "try again when the machine is less busy")
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["it ended without a reason"])[-1]
        says = f"{found}, which cannot be imported: {last}"
        return Observation(runtime.name, MISSING, says, f"{runtime.install} --force-reinstall")
    return Observation(runtime.name, OK, found)


def ray(place: Place) -> Iterator[Observation]:
    """Check Ray, which shares work among machines."""
    yield _package("ray", "pip install 'facebench[cluster]'")


def git(place: Place) -> Iterator[Observation]:
    """Check git, for comparisons of revisions."""
    yield _program("git", "sudo apt-get install git")


def installer(place: Place) -> Iterator[Observation]:
    """Check what installs a revision's dependencies: uv or pip."""
    if path := shutil.which("uv"):
        yield Observation("uv or pip", OK, path)
    elif importlib.util.find_spec("pip") and importlib.util.find_spec("ensurepip"):
        yield Observation("uv or pip", OK, f"pip {version('pip')}")
    else:
        yield Observation("uv or pip", MISSING, "neither is here", f"{sys.executable} -m ensurepip")


def ssh(place: Place) -> Iterator[Observation]:
    """Check the way to a board."""
    yield _program("ssh", "sudo apt-get install openssh-client")


def emulator(place: Place) -> Iterator[Observation]:
    """Check QEMU, and the emulated device that is set up for it."""
    if problem := qemu.problem():
        yield Observation("qemu-user", MISSING, problem, "sudo apt-get install qemu-user")
        return
    yield Observation("qemu-user", OK, qemu.version())
    if reason := setup.ready():
        yield Observation("emulated device", MISSING, reason, setup.COMMAND)
    else:
        yield Observation("emulated device", OK, "set up")


def browser(place: Place) -> Iterator[Observation]:
    """Check a browser, in which the tests try reports."""
    names = ("chromium", "chromium-browser", "google-chrome")
    path = next(filter(None, map(shutil.which, names)), None)
    if path:
        yield Observation("chromium", OK, path)
    else:
        yield Observation("chromium", MISSING, "not installed", "sudo apt-get install chromium")


def latex(place: Place) -> Iterator[Observation]:
    """Check LaTeX, with which the tests compile tables."""
    yield _program("pdflatex", "sudo apt-get install texlive-latex-recommended texlive-science")


def detectors(place: Place) -> Iterator[Observation]:
    """Check the weights of the face detectors."""
    yield from map(_detector, DETECTORS)


def _detector(detector: Detector) -> Observation:
    try:
        files = detector.files(None)
    except FacebenchError as error:
        return Observation(detector.name, MISSING, str(error), detector.install)
    return Observation(detector.name, OK, ", ".join(sorted({str(path.parent) for path in files})))


def _package(name: str, mend: str) -> Observation:
    found = version(name)
    return (
        Observation(name, OK, found) if found else Observation(name, MISSING, "not installed", mend)
    )


def _program(name: str, mend: str) -> Observation:
    path = shutil.which(name)
    return (
        Observation(name, OK, path) if path else Observation(name, MISSING, "not installed", mend)
    )
