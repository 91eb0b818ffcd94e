"""Writes and reads what an ONNX file says of itself: the texts of its `metadata_props`.

`onnx` shows them as `model.metadata_props`, and ONNX Runtime as
`session.get_modelmeta().custom_metadata_map`. Ours begin with `facebench.`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from onnx import ModelProto

PREFIX = "facebench."
NETWORK, WEIGHTS = f"{PREFIX}network", f"{PREFIX}weights"
PREPROCESSING = f"{PREFIX}preprocessing"  # JSON: channels, and what is taken off pixels of 0 to 255


def of(model: ModelProto) -> dict[str, str]:
    """Return the texts that facebench wrote into a model, by their keys."""
    return {prop.key: prop.value for prop in model.metadata_props if prop.key.startswith(PREFIX)}


def put(model: ModelProto, facts: Mapping[str, str]) -> None:
    """Write texts into a model in place of those of the same keys; all others stay.

    Args:
        model: is changed.
        facts: by keys that begin with `PREFIX`.
    """
    others = [prop for prop in model.metadata_props if prop.key not in facts]
    kept = [(prop.key, prop.value) for prop in others]
    del model.metadata_props[:]
    for key, value in (*kept, *facts.items()):
        # A name of a file may be no Unicode, which protobuf does not take.
        model.metadata_props.add(key=key, value=value.encode(errors="replace").decode())
