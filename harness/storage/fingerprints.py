"""Finds what a result depends on in our own code: a module and all that it imports of it.

Nothing is listed by hand. Imports are read from the source, those inside of functions too, so
that a module counts whether or not it was imported yet; so does one whose full name stands in
quotes, since it runs in a process of its own. What a registry loads is imported nowhere:
`Registry.module` says which module a registered thing comes from.
"""

from __future__ import annotations

import importlib.util
import os
import re
import sys
from functools import lru_cache
from pathlib import Path

from facebench.harness.storage.cache import digest, file_digest

_PACKAGE = "facebench"
_IMPORT = re.compile(
    r"^[ \t]*(?:from[ \t]+(facebench[\w.]*)[ \t]+import[ \t]+(\([^)]*\)|[^\n#]*)"
    r"|import[ \t]+(facebench[\w.]*))",
    re.MULTILINE,
)
_QUOTED = re.compile(r"""["'](facebench(?:\.\w+)+)["']""")


class Sources:
    """They are the sources of facebench in one folder, each read once.

    Args:
        root: the package's folder, which holds `architectures` and `harness`.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self.code = lru_cache(None)(self._code)
        self.closure = lru_cache(None)(self._closure)
        self.imported = lru_cache(None)(self._imported)
        self._find = lru_cache(None)(self._found)
        self._files = lru_cache(None)(self._listed)

    def _code(self, *names: str) -> str:
        return digest([(name, self._files_digest(name)) for name in sorted(self.closure(*names))])

    def _closure(self, *names: str) -> frozenset[str]:
        found: set[str] = set()
        waiting = [module for name in names for module in (name, *self._inside(name))]
        while waiting:
            name = waiting.pop()
            if name not in found:
                found.add(name)
                waiting += self.imported(name)
        return frozenset(found)

    def _imported(self, name: str) -> frozenset[str]:
        path = self._path(name)
        text = path.read_text(encoding="utf-8", errors="replace") if path else ""
        # To look for names in quotes takes longer than to see that there are none.
        quoted = _QUOTED.findall(text) if f'"{_PACKAGE}.' in text or f"'{_PACKAGE}." in text else ()
        found = {one for one in quoted if self._find(one) is not None}
        for base, names, plain in _IMPORT.findall(text):
            found.add(plain or base)
            for part in re.sub(r"#[^\n]*|[()\\]", " ", names).split(","):
                words = part.split()
                if words and self._find(f"{base}.{words[0]}") is not None:
                    found.add(f"{base}.{words[0]}")
        return frozenset(
            ".".join(parts[: depth + 1])
            for parts in (one.split(".") for one in found)
            for depth in range(len(parts))
        )

    def _inside(self, name: str) -> list[str]:
        """Return all modules of a package; none where it is a module."""
        path = self._path(name)
        if path is None or path.name != "__init__.py":
            return []
        relative = (one.relative_to(path.parent) for one in path.parent.rglob("*.py"))
        return [
            ".".join((name, *one.with_suffix("").parts))
            for one in relative
            if one.name != "__init__.py"
        ]

    def _files_digest(self, name: str) -> list[str]:
        """Hashes of a module's source, and of the data file of its name that lies beside it."""
        path = self._path(name)
        files = (path, path.with_suffix(".toml")) if path else ()
        return [file_digest(one) for one in files if one.is_file()]

    def _path(self, name: str) -> Path | None:
        """Return the source of a module; None of one that has none, such as a notebook's."""
        found = self._find(name)
        if found is None and name not in sys.modules:
            raise ModuleNotFoundError(name)
        return found

    def _listed(self) -> frozenset[str]:
        """Return the paths of all sources, to ask the disk once and not for each import."""
        walked = os.walk(self._root, followlinks=True)
        return frozenset(
            os.path.relpath(os.path.join(folder, name), self._root)
            for folder, _, names in walked
            for name in names
            if name.endswith(".py")
        )

    def _found(self, name: str) -> Path | None:
        """Return the source of a module; found without importing it where it is one of ours."""
        package, _, inside = name.partition(".")
        if package != _PACKAGE:
            return _foreign(name)
        stem = inside.replace(".", "/")
        candidates = (f"{stem}.py", f"{stem}/__init__.py".removeprefix("/"))
        return next((self._root / path for path in candidates if path in self._files()), None)


def _foreign(name: str) -> Path | None:
    """Return the source of a module from elsewhere, which a user or a package registered from."""
    loaded = sys.modules.get(name)
    if loaded is not None:
        origin = getattr(loaded, "__file__", None)
    else:
        spec = importlib.util.find_spec(name)
        origin = spec.origin if spec else None
    return Path(origin) if origin and Path(origin).is_file() else None


# The code that runs.
OURS = Sources(Path(__file__).parents[2])


def code(*names: str) -> str:
    """Hash of modules and of everything in facebench that they import, as deep as it goes.

    Args:
        names: full names; of a package, all its modules count.

    Raises:
        ModuleNotFoundError: there is no such module.

    Example:
        >>> code("facebench.architectures") == code("facebench.harness")
        False
    """
    return OURS.code(*names)


def closure(*names: str) -> frozenset[str]:
    """Return the names of the modules that `code` hashes."""
    return OURS.closure(*names)


def whole() -> str:
    """Hash of all code that can have a part in a figure: what is no report."""
    return OURS.code("facebench.architectures", "facebench.harness")
