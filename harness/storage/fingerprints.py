"""What a result depends on in our own code: a module and all of it that is imported from there.

Nothing is listed by hand. Imports are read from the source, those inside of functions too, so
that a module counts whether or not it was imported yet.
"""

from __future__ import annotations

import functools
import importlib.util
import re
from pathlib import Path

from facebench.harness.storage.cache import digest, file_digest

_PACKAGE = "facebench"
_IMPORT = re.compile(
    r"^[ \t]*(?:from[ \t]+(facebench[\w.]*)[ \t]+import[ \t]+(\([^)]*\)|[^\n#]*)"
    r"|import[ \t]+(facebench[\w.]*))",
    re.MULTILINE,
)


@functools.cache
def code(*names: str) -> str:
    """Hash of modules and of everything in facebench that they import, as deep as it goes.

    Args:
        names: full names; of a package, all its modules count.

    Raises:
        ModuleNotFoundError: there is no such module.

    Example:
        >>> code("facebench.harness.records.case") == code("facebench.harness.stats.ratios")
        False
    """
    return digest([(name, _files_digest(name)) for name in sorted(closure(*names))])


@functools.cache
def closure(*names: str) -> frozenset[str]:
    """Names of the modules that `code` hashes."""
    found: set[str] = set()
    waiting = [module for name in names for module in (name, *_inside(name))]
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += imported(name)
    return frozenset(found)


@functools.cache
def imported(name: str) -> frozenset[str]:
    """Names of the modules of facebench that a module imports, and of the packages they lie in."""
    found = set()
    for base, names, plain in _IMPORT.findall(_path(name).read_text(encoding="utf-8")):
        found.add(plain or base)
        for part in re.sub(r"#[^\n]*|[()\\]", " ", names).split(","):
            inside = f"{base}.{part.split()[0]}" if part.split() else base
            if _find(inside) is not None:
                found.add(inside)
    return frozenset(
        ".".join(parts[: depth + 1])
        for parts in (one.split(".") for one in found)
        for depth in range(len(parts))
    )


def _inside(name: str) -> list[str]:
    """All modules of a package; none where it is a module."""
    path = _path(name)
    if path.name != "__init__.py":
        return []
    relative = (one.relative_to(path.parent) for one in path.parent.rglob("*.py"))
    return [
        ".".join((name, *one.with_suffix("").parts))
        for one in relative
        if one.name != "__init__.py"
    ]


def _files_digest(name: str) -> list[str]:
    """Hashes of a module's source, and of the data file of its name that lies beside it."""
    path = _path(name)
    return [file_digest(one) for one in (path, path.with_suffix(".toml")) if one.is_file()]


def _path(name: str) -> Path:
    found = _find(name)
    if found is None:
        raise ModuleNotFoundError(name)
    return found


@functools.cache
def _find(name: str) -> Path | None:
    """The source of a module; found without importing it where it is one of ours."""
    if name.partition(".")[0] != _PACKAGE:
        spec = importlib.util.find_spec(name)
        return Path(spec.origin) if spec and spec.origin else None
    stem = Path(__file__).parents[2].joinpath(*name.split(".")[1:])
    candidates = stem.with_name(f"{stem.name}.py"), stem / "__init__.py"
    return next((path for path in candidates if path.is_file()), None)
