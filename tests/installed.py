"""facebench as users have it: a wheel, installed into a virtual environment of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from tests.places import ROOT

# pytest and what it needs, by the names of their files.
PYTEST = ("pytest", "_pytest", "py.py", "pluggy", "iniconfig", "packaging", "pygments")

# What pip writes for pytest.
_PYTEST = "import sys\nfrom pytest import console_main\nsys.exit(console_main())\n"


@dataclass(frozen=True)
class Installed:
    """A virtual environment, and what its site-packages gained by facebench."""

    folder: Path
    gained: frozenset[str] = frozenset()

    @property
    def python(self) -> str:
        """Its interpreter."""
        return str(self.folder / "bin" / "python")

    def run(self, where: Path, *command: str) -> subprocess.CompletedProcess[str]:
        """Run one of its programs, or `python`, somewhere; no network is to be reached."""
        program, *arguments = command
        hidden = ("PYTHONPATH", "PYTHONHOME", "PYTEST_ADDOPTS", "VIRTUAL_ENV")
        variables = {name: value for name, value in os.environ.items() if name not in hidden}
        nowhere = dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"), "http://127.0.0.1:9")
        return subprocess.run(
            [str(self.folder / "bin" / program), *arguments],
            cwd=where, env=variables | nowhere, capture_output=True, text=True,
        )  # fmt: skip


def build_wheel(folder: Path) -> Path:
    """Build the wheel of this checkout."""
    _pip("wheel", "--no-deps", "--no-build-isolation", "-w", str(folder), str(ROOT))
    (built,) = folder.glob("*.whl")
    return built


def borrowing(folder: Path, only: Collection[str] = ()) -> Installed:
    """Make an environment that sees packages of the tests' own, but not its facebench.

    Args:
        folder: of the environment.
        only: names of files in site-packages; all of them where there are none.
    """
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    borrowed = folder / "borrowed"
    borrowed.mkdir()
    for packages in (Path(path) for path in sys.path if Path(path).name == "site-packages"):
        for path in packages.iterdir():
            ours = path.name.startswith(("facebench", "__editable__")) or path.suffix == ".pth"
            wanted = path.name in only if only else not ours
            if wanted and not (borrowed / path.name).exists():
                (borrowed / path.name).symlink_to(path)
    (_site_packages(folder) / "borrowed.pth").write_text(f"{borrowed}\n")
    program = folder / "bin" / "pytest"
    program.write_text(f"#!{folder / 'bin' / 'python'}\n{_PYTEST}")
    program.chmod(0o755)
    return Installed(folder)


def install(wheel: Path, environment: Installed) -> Installed:
    """Install the wheel, without what it depends on."""
    packages = _site_packages(environment.folder)
    before = {path.name for path in packages.iterdir()}
    _pip("--python", environment.python, "install", "--no-deps", "--no-index", str(wheel))
    return Installed(
        environment.folder, frozenset({path.name for path in packages.iterdir()} - before)
    )


def _site_packages(folder: Path) -> Path:
    (found,) = (folder / "lib").glob("python*/site-packages")
    return found


def _pip(*arguments: str) -> None:
    command = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", *arguments]
    done = subprocess.run(command, capture_output=True, text=True)
    assert not done.returncode, done.stderr
