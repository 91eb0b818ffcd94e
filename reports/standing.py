"""Leaves a report as it stands where it is on the same records already: to draw it takes seconds.

What a report was rendered from is a hash of the records, of all code and templates, and of what
comes with the project; the hashes of the files that it came to are kept in the cache by that.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from facebench.architectures.errors import BadInputError
from facebench.harness.machine.environment import version
from facebench.harness.records.record import Record, to_json
from facebench.harness.storage import cache, fingerprints, shipped
from facebench.harness.storage.serialization import to_text

_FILE = "files.json"
_TEMPLATES = Path(__file__).parent / "templates"
_PACKAGES = ("jinja2", "markupsafe", "matplotlib", "numpy", "pandas", "scipy", "vl-convert-python")


def render(records: Sequence[Record], out: Path) -> list[Path]:
    """Return the files of the report on these records, `report.html` first.

    They are written where a file differs from what such a report came to, or none is known.

    Raises:
        BadInputError: there are no records, or the folder can't be written.
    """
    key = _key(records)
    known = cache.find("reports", key)
    if known is not None:
        hashes = json.loads((known / _FILE).read_text())
        if all(_hash(out / name) == found for name, found in hashes.items()):
            return [out / name for name in hashes]
    from facebench.reports.render import render as anew  # loads matplotlib

    files = anew(records, out)
    hashes = {path.name: _hash(path) for path in files}
    with suppress(BadInputError):  # it is rendered again next time
        cache.entry("reports", key, lambda made: _write(made, hashes))
    return files


def _write(folder: Path, hashes: dict[str, str]) -> None:
    (folder / _FILE).write_text(json.dumps(hashes, indent=1))


def _key(records: Sequence[Record]) -> str:
    data = [path for name in ("paper", "reference") for path in shipped.folder(name).iterdir()]
    return cache.digest(
        [to_text(to_json(record)) for record in records],
        fingerprints.code("facebench.reports"),
        [cache.file_digest(path) for path in sorted([*data, *_TEMPLATES.iterdir()])],
        [version(name) for name in _PACKAGES],
    )


def _hash(path: Path) -> str:
    """Return the hash of a file; empty where it cannot be read."""
    try:
        return cache.file_digest(path)
    except BadInputError:
        return ""
