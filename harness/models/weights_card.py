"""Reads under which conditions weights were trained, as their file says, without torch."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from facebench.harness.storage.cache import digest
from facebench.harness.storage.reading import regular

# Of a safetensors file's metadata: what `facebench train` writes.
METADATA = "facebench"


def conditions(path: Path) -> dict[str, Any]:
    """Return what a record tells of the training: recipe, data, seed, and the conditions as one
    hash.

    Networks whose `conditions` agree had the same recipe, data and teacher; the seed is
    not among them.

    Returns:
        Nothing where the file was not written by `facebench train`.
    """
    from safetensors import SafetensorError, safe_open  # a board has none, and needs none

    try:
        with safe_open(regular(path), "numpy") as file:
            facts = json.loads((file.metadata() or {})[METADATA])
        run, recipe = facts["run"], facts["run"]["recipe"]
        kept = {name: value for name, value in run.items() if name not in ("network", "seed")}
        return {
            "recipe": str(recipe["name"]),
            "epochs": float(recipe["epochs"]),
            "seed": int(run["seed"]),
            "images": int(facts["images"]),
            "people": int(facts["people"]),
            "conditions": digest(kept),
        }
    except (
        OSError,
        SafetensorError,
        KeyError,
        TypeError,
        ValueError,
        ArithmeticError,
        RecursionError,
    ):
        return {}
