"""The rooms of the product, and what its modules import, read from their texts."""

from __future__ import annotations

import ast
import functools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.places import ROOT

PACKAGE = "facebench"
PARTS = ("architectures", "harness", "reports")

# Of harness/, from the ground up: a room imports only from rooms before it.
ROOMS = (
    *("stats", "storage", "machine", "records", "verification", "models", "compiler", "timing"),
    *("runtimes", "devices", "measures", "runs", "comparison", "tuning", "training", "cli", "api"),
)


@dataclass(frozen=True)
class Import:
    """One import of one module by another.

    Attributes:
        importer: the module's full name, such as `facebench.harness.records.case`.
        imported: likewise.
        lazy: whether it stands inside a function, or is for types alone.
    """

    importer: str
    imported: str
    lazy: bool

    def __str__(self) -> str:
        return f"{self.importer} imports {self.imported}"


def modules(root: Path = ROOT) -> dict[str, Path]:
    """The files of the product by the full names of their modules."""
    return {
        _name(path.relative_to(root)): path
        for part in PARTS
        for path in sorted((root / part).rglob("*.py"))
    }


@functools.cache
def imports(root: Path = ROOT) -> list[Import]:
    """Every import of a module of the product by another, wherever in it that stands."""
    known = modules(root)
    found = {
        Import(importer, imported, lazy)
        for importer, path in known.items()
        for imported, lazy in _imported(ast.parse(path.read_text()), known, lazy=False)
        if imported != importer
    }
    return sorted(found, key=str)


def room(module: str) -> str:
    """The room of harness/ that a module is in; of one elsewhere, its part of the product."""
    _, part, *rest = module.split(".")
    return rest[0] if part == "harness" and rest else part


def _name(path: Path) -> str:
    parts = path.with_suffix("").parts
    return ".".join([PACKAGE, *(parts[:-1] if parts[-1] == "__init__" else parts)])


def _imported(node: ast.AST, known: dict[str, Path], lazy: bool) -> Iterator[tuple[str, bool]]:
    """The modules that a piece of code imports, and whether it does so inside a function."""
    for name in _named(node):
        if module := _module(name, known):
            yield module, lazy
    inside = lazy or isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) or _types(node)
    for child in ast.iter_child_nodes(node):
        if not isinstance(child, ast.expr):  # an import is a statement, and in no expression
            yield from _imported(child, known, inside)


def _types(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"


def _named(node: ast.AST) -> list[str]:
    """The full names that a statement imports: of modules, or of what is in them."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        assert node.level == 0, f"imports are absolute: line {node.lineno} has a relative one"
        return [f"{node.module}.{alias.name}" for alias in node.names]
    return []


def _module(name: str, known: dict[str, Path]) -> str | None:
    """The module of that name, or the one that holds what is called so."""
    if name in known:
        return name
    holder = name.rpartition(".")[0]
    return holder if holder in known else None
