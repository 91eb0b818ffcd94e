"""Keeps baselines: what was accepted, in a folder of small files that git can keep and merge.

A file holds one case: its figures as far as comparing needs them, not the samples. Its
name follows from the case, so two branches that measure different cases touch different
files, and the same figures give the same bytes.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Sequence
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any

from facebench.architectures.errors import BadInputError
from facebench.harness.comparison.entry import Entry
from facebench.harness.machine import facts
from facebench.harness.records.case import Case
from facebench.harness.records.comparable import Counted, Decided, Figure, Timed
from facebench.harness.storage import writing
from facebench.harness.storage.cache import digest
from facebench.harness.storage.reading import regular
from facebench.harness.storage.serialization import convert, parse_json, without

# 2: `Decided.lost`.
FORMAT = 2
FOLDER = Path("results/baselines")

# Before a baseline's name, where a side of a comparison is asked for.
PREFIX = "baseline:"

# A name is a folder's: no separators, nothing hidden, nothing that climbs.
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_SORTS: dict[str, type[Figure]] = {
    "timed": Timed,
    "counted": Counted,
    "decided": Decided,
}

# An entry but for its figures, each of which says its sort.
_ENVELOPE = without(Entry, "figures")


class Baselines:
    """It holds all baselines of a store.

    Example:
        >>> import tempfile
        >>> from facebench.harness.records.case import Case
        >>> store = Baselines(Path(tempfile.mkdtemp()))
        >>> size = Counted("parameters", "", 1_003_136)
        >>> made = Entry(Case("cost", "mobilefacenet"), "counted", figures=(size,))
        >>> [path.name for path in store.save("main", [made])]
        ['cost-mobilefacenet-3b88f49e.json']
        >>> store.load("main") == [made], store.names()
        (True, ['main'])
    """

    def __init__(self, root: Path) -> None:
        self.root = root

    def folder(self, name: str) -> Path:
        """Return where a baseline's files are.

        Raises:
            BadInputError: the name is not valid.
        """
        if not _NAME.fullmatch(name):
            raise BadInputError(
                f"{name!r} is no name of a baseline: use letters, digits, '.', '_' and '-', "
                "beginning with a letter or digit, 64 at most"
            )
        return self.root / name

    def names(self) -> list[str]:
        """Return those there are."""
        if not self.root.is_dir():
            return []
        folders = [path for path in self.root.iterdir() if _NAME.fullmatch(path.name)]
        return sorted(path.name for path in folders if any(path.glob("*.json")))

    def save(self, name: str, entries: Sequence[Entry]) -> list[Path]:
        """Write the entries that have figures; other cases of the baseline stay as they are.

        Returns:
            The files of these entries. One that says the same already is not touched: a
            new date is no news.
        """
        folder = writing.folder(self.folder(name), below=self.root)
        written = []
        for entry in entries:
            if entry.status == "ok" and entry.figures:
                path = folder / file_name(entry.case)
                if not _says_the_same(path, entry):
                    writing.write(path, to_text(entry))
                written.append(path)
        return written

    def load(self, name: str) -> list[Entry]:
        """Return the entries of a baseline, in the order of their files' names.

        Raises:
            BadInputError: there is none of that name, or a file is damaged.
        """
        paths = self._files(name)
        return [from_text(path.read_text(errors="replace"), str(path)) for path in paths]

    def remove(self, name: str) -> int:
        """Delete a baseline; what else is in its folder stays.

        Returns:
            How many cases it held.

        Raises:
            BadInputError: there is none of that name.
        """
        paths = self._files(name)
        for path in paths:
            path.unlink()
        folder = self.folder(name)
        if not any(folder.iterdir()):
            folder.rmdir()
        return len(paths)

    def _files(self, name: str) -> list[Path]:
        paths = sorted(self.folder(name).glob("*.json"))
        if not paths:
            known = ", ".join(self.names()) or "none"
            raise BadInputError(
                f"no baseline {name} in {self.root} (there: {known}); "
                f"'facebench baseline save {name} RESULTS' makes one"
            )
        return paths


def default_root() -> Path:
    """Return `results/baselines` of the checkout of the current folder, or of the folder.

    Raises:
        BadInputError: it is a link, or lies below one: nobody chose what that leads to.
    """
    here = Path.cwd()
    checkout = next((p for p in (here, *here.parents) if (p / ".git").exists()), here)
    return writing.unchosen(checkout / FOLDER, checkout, "--store")


def file_name(case: Case) -> str:
    """Return a readable name; no two cases share one.

    Example:
        >>> file_name(Case("latency", "onnx:../a b", runtime="ncnn", threads=2))
        'latency-onnx_.._a_b-ncnn-bce4139e.json'
    """
    words = [case.measure, case.network, case.runtime, case.dataset]
    clean = [re.sub(r"[^A-Za-z0-9.]+", "_", word)[:40] for word in words if word]
    # A field that a later version adds holds its default in the cases of this one.
    chosen = {f.name: v for f in fields(case) if (v := getattr(case, f.name)) != f.default}
    return "-".join((*clean, digest(chosen)[:8])) + ".json"


def to_text(entry: Entry) -> str:
    """Return an entry as a file's text."""
    data = asdict(entry) | {
        "format": FORMAT,
        "environment": facts.relevant(entry.environment),
        "figures": [_figure(figure) for figure in entry.figures],
    }
    if entry.long_run is None:
        del data["long_run"]
    return json.dumps(data, indent=1, sort_keys=True, allow_nan=False, default=str) + "\n"


def from_text(text: str, where: str) -> Entry:
    """Return the entry that `to_text` wrote.

    Raises:
        BadInputError: the text is damaged, or of a newer facebench; `where` names it.
    """
    try:
        data = convert(parse_json(text), dict[str, Any])
        written = convert(data.pop("format", None), int)
        entry = _entry(data) if written <= FORMAT else None
    except BadInputError as error:
        raise BadInputError(f"{where} is no case of a baseline, or damaged: {error}") from error
    if entry is None:
        raise BadInputError(
            f"{where} is a baseline of format {written}, written by a newer facebench "
            f"(this one reads up to {FORMAT}): upgrade facebench to read it"
        )
    return entry


def _entry(data: dict[str, Any]) -> Entry:
    figures = convert(data.pop("figures", None), tuple[dict[str, Any], ...])
    envelope = convert(data, _ENVELOPE)
    return Entry(**vars(envelope) | {"figures": tuple(map(_from_figure, figures))})


def _says_the_same(path: Path, entry: Entry) -> bool:
    try:
        known = from_text(regular(path).read_text(), str(path))
    except (OSError, BadInputError):
        return False
    undated = replace(entry, created=known.created, revision=known.revision)
    return to_text(known) == to_text(undated)


def _figure(figure: Figure) -> dict[str, Any]:
    data: dict[str, Any] = asdict(figure)
    if isinstance(figure, Decided):
        data["right"] = base64.b64encode(figure.right).decode()
        # The pairs' digest stands for them, and a new record holds them again.
        del data["identities"]
    if isinstance(figure, Timed):
        # Nothing that is measured later lies beside these.
        del data["beside"], data["turns"]
        if not data["jobs"]:
            del data["jobs"]
    return data | {"sort": type(figure).__name__.lower()}


def _from_figure(data: dict[str, Any]) -> Figure:
    sort = data.pop("sort", None)
    if sort not in _SORTS:
        raise BadInputError(f"sort: expected one of {', '.join(_SORTS)}, got {sort!r:.60}")
    return convert(data, _SORTS[sort])
