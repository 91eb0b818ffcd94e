"""Keeps in the cache which networks are registered, since to import them is to import torch.

Ours depend on our code alone. Those of a user's file or of an installed package are imported.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

from facebench.architectures import extensions, registry
from facebench.architectures.errors import BadInputError
from facebench.architectures.registry import Architecture, Foretold, Preprocessing, Published
from facebench.harness.storage import cache, fingerprints

_FILE = "networks.json"


def told() -> Foretold | None:
    """Return which networks there are; None where they have to be imported."""
    if extensions.user_files() or entry_points(group="facebench.networks"):
        return None
    try:
        folder = cache.entry("networks", _key(), _write)
    except BadInputError:  # nothing can be kept
        return None
    data = json.loads((folder / _FILE).read_text())
    found = [_architecture(facts) for facts in data["architectures"]]
    return Foretold(found, data["modules"], data["families"])


def kept() -> bool:
    """Say whether `told` knows the networks without importing them, which loads torch."""
    return cache.find("networks", _key()) is not None


def _key() -> str:
    return cache.digest(fingerprints.code("facebench.architectures"), fingerprints.code(__name__))


def _write(folder: Path) -> None:
    (folder / _FILE).write_text(json.dumps(_plain(registry.imported()), indent=1))


def _plain(found: Foretold) -> dict[str, Any]:
    return {
        "architectures": [_facts(one) for one in found.architectures],
        "modules": found.modules,
        "families": found.families,
    }


def _facts(found: Architecture) -> dict[str, Any]:
    """Return an architecture as JSON's types, without what builds it."""
    published = found.published and vars(found.published) | {"build": bool(found.published.build)}
    facts = vars(found) | {"preprocessing": asdict(found.preprocessing), "published": published}
    del facts["build"]
    return facts


def _architecture(facts: dict[str, Any]) -> Architecture:
    plain, published = facts["preprocessing"], facts["published"]
    if published is not None:
        build = _unknown if published["build"] else None
        size = tuple(published["input_size"])
        published = Published(**published | {"build": build, "input_size": size})
    known = {
        "build": _unknown,
        "input_size": tuple(facts["input_size"]),
        "preprocessing": Preprocessing(
            plain["channels"], tuple(plain["mean"]), tuple(plain["scale"])
        ),
        "published": published,
    }
    return Architecture(**facts | known)


def _unknown() -> Any:
    raise NotImplementedError("what is foretold of a network does not build it")
