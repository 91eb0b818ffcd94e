"""Holds the counts of a network against limits: so many multiply-adds at most, for instance."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from facebench.architectures.errors import BadInputError
from facebench.harness.records.cost import Cost

# What may be limited, and how it is counted.
FIGURES: Mapping[str, Callable[[Cost], int]] = {
    "parameters": lambda cost: cost.parameters,
    "madds": lambda cost: cost.madds["conv+linear"],
    "bytes": lambda cost: cost.size_bytes["fp32"],
}

_UNITS = {"": 1, "k": 10**3, "M": 10**6, "G": 10**9}
_LIMIT = re.compile(r"(\w+)=(\d+(?:\.\d+)?)([kMG]?)")


def limits(text: str) -> dict[str, int]:
    """Return the limits that a text such as `madds=220M,parameters=1.2M` names.

    Raises:
        BadInputError: it does not read so, or nothing is counted by that name.
    """
    found = {}
    for part in filter(None, map(str.strip, text.split(","))):
        match = _LIMIT.fullmatch(part)
        if match is None or match[1] not in FIGURES:
            raise BadInputError(
                f"{part!r} is no limit: write such as madds=220M, of {', '.join(FIGURES)}, "
                "with k, M or G"
            )
        found[match[1]] = round(float(match[2]) * _UNITS[match[3]])
    return found


def exceeded(cost: Cost, most: Mapping[str, int]) -> list[str]:
    """Return what is above its limit, each as `madds 439,777,792 of 220,000,000 at most`."""
    counted = {name: FIGURES[name](cost) for name in most}
    return [
        f"{name} {counted[name]:,} of {limit:,} at most"
        for name, limit in most.items()
        if counted[name] > limit
    ]
