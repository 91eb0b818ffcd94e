"""Shares costly files between several machines: a folder, or any address that fsspec knows.

`FACEBENCH_STORE` names it: `/mnt/lab/facebench`, `s3://bucket/facebench`. Entries of the
cache are fetched from there before they are made, and put there once they are. They hold
compiled code: whoever can write there can have code run on the machines that read.
"""

from __future__ import annotations

import io
import os
import tarfile
import uuid
from pathlib import Path
from typing import Any

from facebench.architectures.errors import UnavailableError
from facebench.harness.storage.unpacking import unpack

# What is made for any machine, and is small for the time it takes. Crops are neither.
KINDS = frozenset(
    {
        *("embeddings", "emulation", "executorch", "export", "kernels", "landmarks", "litert"),
        *("lowered", "mnn", "ncnn", "search", "tvm"),
    }
)

# An entry is not larger: what a damaged or hostile store sends can't fill the memory.
_LARGEST = 2 * 10**9


def serves(kind: str) -> bool:
    """Say whether there is a store for entries of this kind."""
    return bool(os.environ.get("FACEBENCH_STORE")) and kind in KINDS


def fetch(kind: str, key: str, folder: Path) -> bool:
    """Unpack an entry into an empty folder, where the store has it.

    What is damaged is as good as absent: the caller looks at the hashes of what came.

    Raises:
        UnavailableError: the store can't be reached.
    """
    files, root = _place()
    path = f"{root}/{kind}/{key}.tar"
    try:
        if not files.exists(path) or files.size(path) > _LARGEST:
            return False
        data = files.cat_file(path)
    except FileNotFoundError:
        return False
    except Exception as error:  # each kind of store has its own
        raise _unreachable(error) from error
    try:
        with tarfile.open(fileobj=io.BytesIO(data)) as archive:
            unpack(archive, folder, _LARGEST)
    except (tarfile.TarError, OSError, EOFError):
        return False
    return True


def publish(kind: str, key: str, folder: Path) -> None:
    """Put an entry into the store; it appears whole or not at all.

    Raises:
        UnavailableError: the store can't be reached.
    """
    if not serves(kind):
        return
    files, root = _place()
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        archive.add(folder, arcname=".")
    path = f"{root}/{kind}/{key}.tar"
    made = f"{root}/{kind}/.making-{uuid.uuid4().hex}"
    try:
        if files.exists(path):
            return
        files.makedirs(f"{root}/{kind}", exist_ok=True)
        files.pipe_file(made, packed.getvalue())
        files.mv(made, path)
    except Exception as error:
        raise _unreachable(error) from error


def _place() -> tuple[Any, str]:
    """Return the store's files, and the path within."""
    from fsspec.core import url_to_fs

    try:
        files, root = url_to_fs(os.environ["FACEBENCH_STORE"])
    except Exception as error:
        raise _unreachable(error) from error
    return files, str(root).rstrip("/")


def _unreachable(error: Exception) -> UnavailableError:
    said = str(error).strip().splitlines() or [type(error).__name__]
    return UnavailableError(
        f"cannot use the shared store {os.environ.get('FACEBENCH_STORE')} ({said[0]}): mend "
        "FACEBENCH_STORE, or unset it to do without"
    )
