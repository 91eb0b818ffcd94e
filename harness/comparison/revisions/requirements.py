"""What a checkout says it depends on, and whether facebench is among it.

Read is what needs no build: `[project]` of pyproject.toml, and lists of requirements for pip.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from facebench.architectures.errors import BadInputError
from facebench.harness.storage.cache import digest
from facebench.harness.storage.serialization import parse_toml

_PATTERNS = ("pyproject.toml", "requirements*.txt", "requirements/**/*.txt", "constraints*.txt")

# Tables of pyproject.toml that no installation reads.
_CHECKERS = (
    "black", "coverage", "isort", "mypy", "pylint", "pyright", "pytest", "ruff", "tox",
)  # fmt: skip

_NAMED = re.compile(r"^\s*facebench(?![\w.-])", re.IGNORECASE | re.MULTILINE)
_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?")

# Lines that refer to other files: an editable install, a path, and files of requirements.
_LOCAL = re.compile(r"^\s*(?:-e\b|--editable\b|\.{1,2}(?:/|$)|/)|file:", re.MULTILINE)
_INCLUDED = re.compile(
    r"^\s*(?:-r|-c|--requirement|--constraint)[\s=]*(\S+)", re.MULTILINE
)  # fmt: skip


@dataclass(frozen=True)
class Requirements:
    """They say how pip makes the environment that a checkout asks for.

    Attributes:
        commands: arguments of pip, one after the other; none where the checkout does not
            ask for facebench, so that it says nothing of what to measure with.
        untold: whether the checkout leaves it to a build to tell its dependencies, which
            are not read then.
        own: whether the checkout is facebench itself.
        key: hash of all that the environment depends on, but for the interpreter; it holds
            nothing of the sources, unless what is installed is made of them.
    """

    commands: tuple[tuple[str, ...], ...]
    own: bool
    untold: bool
    key: str


def project(tree: Path, prefix: Path) -> Path:
    """Return the folder whose dependencies count: the nearest that states any, from `prefix` up."""
    for folder in (prefix, *prefix.parents):
        if any((tree / folder / name).is_file() for name in ("pyproject.toml", "requirements.txt")):
            return tree / folder
    return tree


def read(folder: Path, sources: str) -> Requirements:
    """Read what a project's folder asks for.

    Args:
        folder: as `project` found it.
        sources: hash of the checkout; the environment's, where it is made of the sources.

    Raises:
        BadInputError: `it is to be installed, and its name is no name of a distribution.
    """
    name, dependencies = _distribution(folder)
    own = name == "facebench"
    lists = [path for path in _files(folder) if path.name != "pyproject.toml" and _names_it(path)]
    built = own or any(map(_NAMED.match, dependencies or ()))
    arguments = [word for path in lists for word in ("-r", str(path.relative_to(folder)))]
    if built:
        arguments.append(".")
    untold = dependencies is None
    if not arguments:
        return Requirements((), False, untold, "")
    commands = [("install", *arguments)]
    if built and not own:
        if not _NAME.fullmatch(name):
            raise BadInputError(f"{folder / 'pyproject.toml'}: {name!r} is no name of a project")
        # Only its dependencies are wanted: a copy of one revision's sources would be stale
        # for the next one.
        commands.append(("uninstall", "--yes", name))
    local = any(map(_is_local, _files(folder)))
    contents = {str(path.relative_to(folder)): _content(path) for path in _files(folder)}
    key = digest(commands, own, contents, sources if local else "")
    return Requirements(tuple(commands), own, untold, key)


def _files(folder: Path) -> list[Path]:
    found = {path for pattern in _PATTERNS for path in folder.glob(pattern) if path.is_file()}
    return sorted(found)


def _content(path: Path) -> Any:
    data = _toml(path) if path.name == "pyproject.toml" else {}
    if not data:
        return path.read_bytes().hex()
    tools = {name: table for name, table in data.get("tool", {}).items() if name not in _CHECKERS}
    return data | {"tool": tools}


def _toml(path: Path) -> dict[str, Any]:
    """Return what the file holds; nothing where it is none, or damaged: pip will say it better."""
    try:
        return parse_toml(path.read_text())
    except (OSError, UnicodeDecodeError, BadInputError):
        return {}


def _names_it(path: Path) -> bool:
    """Return whether a list of requirements, not one of locked ones, names facebench."""
    listed = path.suffix == ".txt" and not path.name.startswith("constraints")
    return listed and bool(_NAMED.search(path.read_text(errors="replace")))


def _distribution(folder: Path) -> tuple[str, list[str] | None]:
    """Return the project's name and what it depends on; None where only a build can tell that."""
    pyproject = _toml(folder / "pyproject.toml")
    if "project" not in pyproject:
        built = "build-system" in pyproject or (folder / "setup.py").is_file()
        return "", None if built else []
    project = pyproject["project"] if isinstance(pyproject["project"], dict) else {}
    name = str(project.get("name", ""))
    if "dependencies" in project.get("dynamic", []):
        return name, None
    listed = project.get("dependencies", [])
    return name, [str(one) for one in listed] if isinstance(listed, list) else []


def _is_local(path: Path) -> bool:
    """Return whether a file refers to others that its digest does not cover."""
    text = path.read_text(errors="replace")
    if path.suffix != ".txt":
        return path.name == "pyproject.toml" and "file:" in text
    included = [path.parent / name for name in _INCLUDED.findall(text)]
    known = [one.resolve() for one in _files(path.parent)]
    return bool(_LOCAL.search(text)) or any(one.resolve() not in known for one in included)
