"""Registers the procedures that print an interval or a verdict, each where it is defined.

`benchmarks/truth.py` holds each of them against simulated truth, and a test fails where one
has no entry there: what is registered here is what docs/truth.md answers for.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

PROCEDURES: dict[str, str] = {}

_Procedure = TypeVar("_Procedure", bound=Callable[..., object])


def procedure(name: str) -> Callable[[_Procedure], _Procedure]:
    """Register the decorated function as a procedure that says how sure a figure is."""

    def register(function: _Procedure) -> _Procedure:
        if name in PROCEDURES:
            raise ValueError(f"two procedures are called {name!r}: {PROCEDURES[name]} is one")
        PROCEDURES[name] = f"{function.__module__}.{function.__qualname__}"
        return function

    return register
