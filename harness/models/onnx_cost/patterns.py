"""Finds what torch calls one operator and an exporter wrote as several.

A pattern is an operator's name with patterns of its inputs; a word in lower case is any value,
the same wherever the word stands again, and `#` is any value that does not depend on the image.
"""

from __future__ import annotations

from dataclasses import replace
from math import prod
from typing import Any

from facebench.harness.models.onnx_cost.graph import OnnxGraph, Operator

Pattern = Any  # a word, or (operator, *patterns)

_CHANNELS_LAST = frozenset({"MatMul", "LayerNormalization", "RMSNormalization"})
_COMMUTATIVE = frozenset({"Add", "Mul"})

_CENTERED = ("Sub", "x", ("ReduceMean", "x", "?"))
_SQUARES = (("Pow", _CENTERED, "#"), ("Mul", _CENTERED, _CENTERED))
_NORMALIZED = tuple(
    ("Div", _CENTERED, ("Sqrt", ("Add", ("ReduceMean", square, "?"), "#"))) for square in _SQUARES
)
_ERF = ("Add", ("Erf", ("Div", "x", "#")), "#")
_ROOT = ("Sqrt", ("Add", ("ReduceMean", ("Pow", "x", "#"), "?"), "#"))
_BY_ROOT = ("Mul", "x", ("Reciprocal", _ROOT))
_GROUPS = ("Reshape", ("InstanceNormalization", ("Reshape", "x", "#"), "#", "#"), "#")

# What stands for the operator named first, and which of its values that then reads.
PATTERNS: tuple[tuple[str, tuple[str, ...], Pattern], ...] = (
    ("Silu", ("x",), ("Mul", "x", ("Sigmoid", "x"))),
    ("HardSwish", ("x",), ("Mul", "x", ("HardSigmoid", "x"))),
    ("Mish", ("x",), ("Mul", "x", ("Tanh", ("Softplus", "x")))),
    # Where the exponential would overflow, torch gives back what came in.
    ("Softplus", ("x",), ("Where", ("Greater", "x", "#"), "x", ("Softplus", "x"))),
    ("Clip", ("x",), ("Min", ("Max", "x", "#"), "#")),
    ("Rsqrt", ("x",), ("Reciprocal", ("Sqrt", "x"))),
    ("Gelu", ("x",), ("Mul", ("Mul", "x", _ERF), "#")),
    ("Gelu", ("x",), ("Mul", "x", ("Mul", _ERF, "#"))),
    ("Gelu", ("x",), ("Mul", ("Mul", "x", "#"), _ERF)),
    *(
        ("LayerNormalization", ("x", "w", "b"), ("Add", ("Mul", whole, "w"), "b"))
        for whole in _NORMALIZED
    ),
    *(("LayerNormalization", ("x",), whole) for whole in _NORMALIZED),
    ("RMSNormalization", ("x", "w"), ("Mul", _BY_ROOT, "w")),
    ("RMSNormalization", ("x",), _BY_ROOT),
    ("GroupNormalization", ("x", "w", "b"), ("Add", ("Mul", _GROUPS, "w"), "b")),
    ("MatMul", ("x", "w", "b"), ("Add", ("MatMul", "x", "w"), "b")),
    ("Conv", ("x", "w", "b"), ("Add", ("Conv", "x", "w"), "b")),
)


def joined(graph: OnnxGraph) -> OnnxGraph:
    """Return the graph with one operator for each place where a pattern fits."""
    gone: set[str] = set()
    made: list[Operator] = []
    for one in reversed(graph.operators):
        if one.output in gone or one.output not in graph.mapped:
            made += [one] if one.output not in gone else []
            continue
        found = _found(graph, one)
        if found is None:
            made.append(one)
        else:
            operator, inside = found
            made.append(operator)
            gone |= inside
    return replace(graph, operators=made[::-1])


def _found(graph: OnnxGraph, one: Operator) -> tuple[Operator, set[str]] | None:
    """Return what one operator is the last part of, and the other parts' outputs."""
    for kind, words, pattern in PATTERNS:
        match = _Match(graph)
        if not match.fits(pattern, one.output):
            continue
        inside = match.inside - {one.output}
        read = [name for maker in match.inside for name in graph.makers[maker].inputs]
        # A part that others read too has to be worked out anyway.
        if any(graph.readers[part] != read.count(part) for part in inside):
            continue
        made = replace(one, kind=kind, inputs=tuple(match.words[word] for word in words))
        if _constants_fit(graph, made):
            return made, inside
    return None


def _constants_fit(graph: OnnxGraph, made: Operator) -> bool:
    """Say whether one value is mapped, and the last of the others has one number a channel."""
    first, *others = made.inputs
    if first not in graph.mapped or graph.mapped.intersection(others):
        return False
    if not others:
        return True
    channels = graph.shapes[made.output][-1 if made.kind in _CHANNELS_LAST else 1]
    return prod(graph.shapes[others[-1]]) == channels


class _Match:
    def __init__(self, graph: OnnxGraph) -> None:
        self.graph = graph
        self.words: dict[str, str] = {}
        self.inside: set[str] = set()

    def fits(self, pattern: Pattern, value: str) -> bool:
        if pattern == "#":
            return value not in self.graph.mapped
        if isinstance(pattern, str):
            return self.words.setdefault(pattern, value) == value
        kind, *parts = pattern
        maker = self.graph.makers.get(value)
        if maker is None or maker.kind != kind:
            return False
        inputs = [name for name in maker.inputs if name]
        if parts[-1] == "?":  # older opsets say the axes in an attribute
            parts = [*parts[:-1], *("#" for _ in inputs[len(parts) - 1 :])]
        if len(inputs) != len(parts):
            return False
        orders = [inputs, inputs[::-1]] if kind in _COMMUTATIVE else [inputs]
        for order in orders:
            before = dict(self.words), set(self.inside)
            if all(self.fits(p, name) for p, name in zip(parts, order, strict=True)):
                self.inside.add(value)
                return True
            self.words, self.inside = before
        return False
