"""Commands on the cache: what it holds, and making room."""

from __future__ import annotations

from datetime import datetime
from itertools import groupby
from typing import Any

import click
from rich.filesize import decimal

from facebench.architectures.errors import BadInputError
from facebench.harness.cli import options
from facebench.harness.cli.output import terminal
from facebench.harness.storage import cache as caches
from facebench.harness.storage import eviction, locks


@click.group()
def cache() -> None:
    """See what the cache holds, and make room.

    It is in FACEBENCH_CACHE, or in your cache folder. A run leaves at most
    FACEBENCH_CACHE_LIMIT in it (20G where that is not set) of what can be made again.

    \b
    facebench cache info
    facebench cache prune --to 2G
    """


@cache.command()
@options.as_json
def info(as_json: bool) -> None:
    """Say where the cache is, what it holds, and when that was used last.

    \b
    facebench cache info
    """
    found = eviction.items()
    rows = [_row(kind, list(of)) for kind, of in groupby(_by_kind(found), lambda item: item.kind)]
    path, held = str(caches.root()), sum(item.size for item in found)
    limit, kept = eviction.limit(), eviction.other_bytes(found)
    if as_json:
        facts = {"path": path, "bytes": held, "limit_bytes": limit, "kept_bytes": kept}
        terminal.as_json(facts | {"kinds": rows})
        return
    for row in rows:
        row["bytes"] = decimal(row["bytes"])
    terminal.out.print(terminal.rows(rows))
    text = (
        f"{path}: {decimal(held)} that can be made again (a run leaves at most "
        f"{decimal(limit)}), and {decimal(kept)} that stay"
    )
    terminal.out.print(text, markup=False, soft_wrap=True)


@cache.command()
@click.option(
    "--to", "limit", metavar="SIZE",
    help="Bytes to leave at most, such as 500M. Default: FACEBENCH_CACHE_LIMIT, or 20G.",
)  # fmt: skip
@options.as_json
def prune(limit: str | None, as_json: bool) -> None:
    """Remove what was used least recently, never what a run is using.

    All of it can be made again: the next run that needs it takes longer.

    \b
    facebench cache prune
    facebench cache prune --to 2G
    facebench cache prune --to 0            all that nobody uses
    """
    bytes_left = eviction.limit() if limit is None else eviction.parse_size(limit, "--to")
    if not locks.is_ours(caches.root()):
        raise BadInputError(
            f"{caches.root()} holds other things than the cache, so nothing is removed from it: "
            "set FACEBENCH_CACHE to a folder of its own"
        )
    removed = eviction.prune(bytes_left)
    left = sum(item.size for item in eviction.items())
    if as_json:
        freed = sum(item.size for item in removed)
        terminal.as_json({"removed": len(removed), "freed_bytes": freed, "bytes": left})
        return
    text = (
        f"{len(removed)} entries removed, {decimal(sum(item.size for item in removed))}; "
        f"{decimal(left)} left"
    )
    if left > bytes_left:
        text += ", which are in use"
    terminal.out.print(text, markup=False, soft_wrap=True)


def _by_kind(found: list[eviction.Item]) -> list[eviction.Item]:
    return sorted(found, key=lambda item: item.kind)


def _row(kind: str, found: list[eviction.Item]) -> dict[str, Any]:
    return {
        "kind": kind,
        "entries": len(found),
        "bytes": sum(item.size for item in found),
        "used last": _when(max(item.used for item in found)),
    }


def _when(seconds: float) -> str:
    return datetime.fromtimestamp(seconds).isoformat(" ", "minutes")
