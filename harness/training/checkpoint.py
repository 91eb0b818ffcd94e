"""Provides checkpoints: a run's state on the disk, whole or not at all."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError

from facebench.architectures.errors import BadInputError
from facebench.harness.storage import writing

_VERSION = 1


def save(path: Path, identity: dict[str, Any], state: dict[str, Any]) -> None:
    """Write a checkpoint in place of the one before.

    Args:
        path: the file.
        identity: what run it is of, in JSON's types; see `load`.
        state: tensors and plain values.

    Raises:
        BadInputError: the disk is full or the file can't be written; the one before is whole.
    """
    content = {"version": _VERSION, "identity": identity, "state": state}
    replace(path, lambda file: torch.save(content, file))


def load(path: Path, identity: dict[str, Any], device: str = "cpu") -> dict[str, Any] | None:
    """Return the state that a run can go on from, or None where there is no checkpoint.

    Raises:
        BadInputError: it is damaged, or of another run; the message says what differs.
    """
    if not path.exists():
        return None
    try:
        content = torch.load(path, map_location=device, weights_only=True)
        version, found, state = content["version"], content["identity"], content["state"]
    except Exception as error:  # whatever the reader says, the file is the culprit
        raise BadInputError(
            f"{path} is no checkpoint that can be read: remove it and begin anew, or name another "
            "folder with --out"
        ) from error
    if version != _VERSION:
        raise BadInputError(
            f"{path} is a checkpoint of another version of facebench: name another folder with "
            "--out"
        )
    require_same(found, identity, path)
    loaded: dict[str, Any] = state
    return loaded


def require_same(found: dict[str, Any], wanted: dict[str, Any], path: Path) -> None:
    """Raise `BadInputError` where two runs differ in what they are of."""
    for key, (before, now) in _differences(found, wanted).items():
        raise BadInputError(
            f"{path} is of a run with another {key} ({before}, now {now}): name another folder "
            "with --out"
        )


def replace(path: Path, write: Callable[[Path], Any]) -> None:
    """Let `write` make a file, and give it its name once it is on the disk.

    Raises:
        BadInputError: the disk is full or the folder can't be written.
    """
    try:
        writing.replace(path, write)
    except (OSError, RuntimeError, SafetensorError) as error:
        why = error.strerror if isinstance(error, OSError) else str(error).splitlines()[0]
        raise BadInputError(
            f"cannot write {path}: {why}; what was there before is whole: make room, or name "
            "another folder, then run the same command again"
        ) from error


def _differences(
    found: dict[str, Any], wanted: dict[str, Any], prefix: str = ""
) -> dict[str, tuple[Any, Any]]:
    differing: dict[str, tuple[Any, Any]] = {}
    for key in [*wanted, *(key for key in found if key not in wanted)]:
        before, now = found.get(key), wanted.get(key)
        if isinstance(before, dict) and isinstance(now, dict):
            differing |= _differences(before, now, f"{prefix}{key} ")
        elif before != now:
            differing[f"{prefix}{key}"] = (before, now)
    return differing
