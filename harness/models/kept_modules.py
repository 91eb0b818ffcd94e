"""Keeps modules of torch that a user passed from Python, for processes that run them.

The class of a module from a notebook is in no file that another process could import, so it is
pickled by value. Such a pickle lies in this user's own cache alone: no store serves the kind, an
exported network holds none, and nothing else is ever unpickled.
"""

from __future__ import annotations

import json
import pickle
import sys
import sysconfig
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from facebench.architectures.errors import BadInputError
from facebench.harness.storage import cache

if TYPE_CHECKING:
    from torch import nn

# The kind in the cache.
KIND = "modules"

_FILE, _FACTS = "module.pickle", "facts.json"

_by_value = threading.Lock()


def keep(key: str, module: nn.Module, facts: dict[str, Any]) -> Path:
    """Return the file of a module in the cache, written at the first call for this key.

    Args:
        key: hash of all that the module computes.
        module: in evaluation mode.
        facts: what is to be known of it without loading it, as JSON's types.

    Raises:
        BadInputError: it cannot be pickled, or the cache can't be written.
    """

    def write(folder: Path) -> None:
        (folder / _FILE).write_bytes(_pickled(module))
        (folder / _FACTS).write_text(json.dumps(facts, indent=1))

    return cache.entry(KIND, key, write) / _FILE


def load(key: str) -> nn.Module:
    """Return the module that `keep` kept.

    Raises:
        BadInputError: the cache holds it no more, or its parts cannot be imported here.
    """
    file = _folder(key) / _FILE
    try:
        found: nn.Module = pickle.loads(file.read_bytes())
    except Exception as error:  # what it is made of may raise anything
        raise BadInputError(
            f"a module that was passed from Python cannot be loaded ({type(error).__name__}: "
            f"{error}): define its class, and all that it calls, in the notebook or beside it"
        ) from error
    return found


def facts(key: str) -> dict[str, Any]:
    """Return what `keep` was told of a module.

    Raises:
        BadInputError: the cache holds it no more.
    """
    found: dict[str, Any] = json.loads((_folder(key) / _FACTS).read_text())
    return found


def _folder(key: str) -> Path:
    found = cache.find(KIND, key)
    if found is None:
        raise BadInputError(
            "a module that was passed from Python is not in this machine's cache any more: pass "
            "the module itself again"
        )
    return found


def _pickled(module: nn.Module) -> bytes:
    import cloudpickle

    try:
        with _users_modules_by_value():
            return bytes(cloudpickle.dumps(module))
    except Exception as error:  # what the module holds may raise anything
        raise BadInputError(
            f"{type(module).__name__} cannot be passed to another process ({type(error).__name__}: "
            f"{error}): keep open files, locks and hooks out of it"
        ) from error


@contextmanager
def _users_modules_by_value() -> Iterator[None]:
    """See that what lies beside a notebook travels along: other processes may find it no more, or
    changed.
    """
    import cloudpickle

    with _by_value:
        chosen = [one for one in list(sys.modules.values()) if _is_users(one)]
        for one in chosen:
            cloudpickle.register_pickle_by_value(one)
        try:
            yield
        finally:
            for one in chosen:
                cloudpickle.unregister_pickle_by_value(one)


def _is_users(module: ModuleType) -> bool:
    """Return whether a module is neither installed nor Python's nor ours."""
    name, file = getattr(module, "__name__", ""), getattr(module, "__file__", None)
    if not isinstance(file, str) or name.partition(".")[0] in ("facebench", "__main__"):
        return False
    if sys.modules.get(name) is not module:
        return False
    parts = Path(file).parts
    if "site-packages" in parts or "dist-packages" in parts:
        return False
    return not file.startswith((sysconfig.get_path("stdlib"), sysconfig.get_path("platstdlib")))
