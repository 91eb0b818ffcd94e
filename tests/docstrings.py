"""The docstrings of the product, read from its texts, and what they say of arrays."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from tests import house

# `(N,)`, `(N, 3, H, W)`, `(..., 5, 2)`; or in words, where a function takes whatever there is.
SHAPE = re.compile(
    r"`\((?:\.\.\.|[\w /·+-]+)(?:,|(?:, (?:\.\.\.|[\w /·+-]+))+|)\)`"
    r"|\((?:[A-Z]\w?|\d+),(?: (?:[A-Z]\w?|\d+),?)*\)"
    r"|\bany shape\b|\bsame shape\b|\bscalar\b"
)
ARRAYS = frozenset({"NDArray", "ndarray", "ArrayLike", "Tensor"})


@dataclass(frozen=True)
class Function:
    """A public function or method, with what is written about it.

    Attributes:
        where: its file and line, such as `harness/stats/drift.py:12`.
        name: its name, a method's with its class before it.
        docstring: its own and its class's, one after the other.
        takes_arrays: whether an array is among its parameters or results.
    """

    where: str
    name: str
    docstring: str
    takes_arrays: bool

    @property
    def states_a_shape(self) -> bool:
        return SHAPE.search(self.docstring) is not None

    def __str__(self) -> str:
        return f"{self.where} {self.name}"


# No verb begins so: of a function's docstring that begins otherwise the first word is one.
_NO_VERB = re.compile(
    r"(?:A|All|An|As|At|By|Each|How|Of|One|The|Those|Two|What|Whether|Where|Which)\b"
)
_NOUN = re.compile(
    r"(?:A|An|The|One)\b"
    r"(?!.*\b(?:is|are|was|has|holds|can|does|executes|turns|says|names|shows)\b)"
)


def phrases() -> Iterator[str]:
    """Docstrings of functions and classes, private ones too, that begin like no sentence."""
    for path in house.modules().values():
        for node in ast.walk(_tree(path)):
            if isinstance(node, ast.FunctionDef | ast.ClassDef):
                first = (ast.get_docstring(node) or "").partition(". ")[0].replace("\n", " ")
                rule = _NO_VERB if isinstance(node, ast.FunctionDef) else _NOUN
                if rule.match(first):
                    yield f"{path.relative_to(house.ROOT)}:{node.lineno} {node.name}: {first}"


def functions() -> Iterator[Function]:
    """The public functions and methods of the product."""
    for path in house.modules().values():
        for owner, node in _public(_tree(path).body):
            holder = ast.get_docstring(owner) or "" if owner else ""
            yield Function(
                where=f"{path.relative_to(house.ROOT)}:{node.lineno}",
                name=f"{owner.name}.{node.name}" if owner else node.name,
                docstring=f"{ast.get_docstring(node) or ''}\n{holder}",
                takes_arrays=any(map(_is_array, _annotations(node))),
            )


@cache
def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


def _public(
    body: Iterable[ast.stmt], owner: ast.ClassDef | None = None
) -> Iterator[tuple[ast.ClassDef | None, ast.FunctionDef]]:
    for node in body:
        if isinstance(node, ast.FunctionDef) and not node.name.startswith("_"):
            yield owner, node
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            yield from _public(node.body, node)


def _annotations(node: ast.FunctionDef) -> Iterator[ast.expr]:
    takes = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs, node.args.vararg]
    yield from (one.annotation for one in takes if one and one.annotation)
    if node.returns:
        yield node.returns


def _is_array(annotation: ast.AST) -> bool:
    """Whether an annotation holds an array; a function of arrays is none."""
    if isinstance(annotation, ast.Constant) and isinstance(annotation.value, str):
        return _is_array(ast.parse(annotation.value, mode="eval").body)
    if isinstance(annotation, ast.Name):
        return annotation.id in ARRAYS or annotation.id in _all_aliases()
    if isinstance(annotation, ast.Attribute):
        return annotation.attr in ARRAYS
    if isinstance(annotation, ast.Subscript) and "Callable" in ast.unparse(annotation.value):
        return False
    return any(map(_is_array, ast.iter_child_nodes(annotation)))


@cache
def _all_aliases() -> frozenset[str]:
    return frozenset(name for path in house.modules().values() for name in _aliases(_tree(path)))


def _aliases(module: ast.Module) -> Iterator[str]:
    """The names that a module gives to types of arrays, such as `Reals = NDArray[np.float64]`."""
    for node in module.body:
        match node:
            case ast.Assign(targets=[ast.Name(id=name)], value=ast.Subscript(value=generic)):
                if ast.unparse(generic).rpartition(".")[2] == "NDArray":
                    yield name
