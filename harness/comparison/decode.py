"""Dataclasses from JSON of other hands, with their types checked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar, get_type_hints

T = TypeVar("T")

_ACCEPTED: dict[Any, tuple[type, ...]] = {
    str: (str,),
    int: (int,),
    float: (int, float),
    bytes: (bytes,),
    tuple[str, ...]: (str,),
    tuple[int, ...]: (int,),
    tuple[float, ...]: (int, float),
}


def build(kind: type[T], data: Mapping[str, Any]) -> T:
    """Make a dataclass; lists become tuples.

    Raises:
        TypeError: a field is missing or unknown, or holds what it can't.

    Example:
        >>> from facebench.harness.records.comparable import Counted
        >>> build(Counted, {"name": "size", "unit": "bytes", "value": "3"})
        Traceback (most recent call last):
        ...
        TypeError: value can't be '3'
    """
    hints = get_type_hints(kind)
    values = {
        name: tuple(value) if isinstance(value, list) else value for name, value in data.items()
    }
    for name, value in values.items():
        accepted = _ACCEPTED.get(hints.get(name), (object,))
        items = value if isinstance(value, tuple) else (value,)
        if not all(isinstance(item, accepted) for item in items):
            raise TypeError(f"{name} can't be {value!r}")
    return kind(**values)
