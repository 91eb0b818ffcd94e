"""Where the two sides come from: results files, runs, baselines, files of other tools."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

from facebench.architectures.errors import BadInputError
from facebench.harness.comparison import extract
from facebench.harness.comparison.baselines import PREFIX, Baselines
from facebench.harness.comparison.compare import Side
from facebench.harness.comparison.entry import Entry
from facebench.harness.comparison.tools.registry import TOOLS, BenchmarkTool
from facebench.harness.measures.registry import MEASURES
from facebench.harness.records.store import RECORDS, Store

# How a line of a results file begins; with sorted keys where a tool wrote it anew.
_RECORD = (b'{"schema"', b'{"case"')


def load(text: str, baselines: Baselines, measures: Collection[str] = ()) -> Side:
    """Return the side that a user named.

    Args:
        text: `baseline:NAME`; a results file; the folder of a run; a JSON file of a tool
            that is known (`TOOLS`), or a folder of them, each of which is one process then.
        baselines: where names are looked for.
        measures: only cases of these are taken; of all where there are none.

    Raises:
        UnknownNameError: there is no such measure.
        BadInputError: there is no such thing, or nothing in it.
    """
    for measure in measures:
        MEASURES[measure]
    name = text.removeprefix(PREFIX)
    found = baselines.load(name) if name != text else _read(Path(text))
    if not found:
        raise BadInputError(f"{text} holds no records, so there is nothing to compare")
    kept = [entry for entry in found if not measures or entry.case.measure in measures]
    return Side(text, tuple(kept))


def _read(path: Path) -> list[Entry]:
    if (path / RECORDS).is_file():
        path = path / RECORDS
    if path.is_dir():
        return _folder(path)
    if not path.is_file():
        raise BadInputError(
            f"no results file {path}: give a file of records, a run's folder, {PREFIX}NAME or "
            "git:REVISION"
        )
    data = _one_object(path)
    if tool := _tool(data):
        return tool.entries(data, str(path))
    _require_records(path, data)
    return extract.entries(Store(path).read())


def _folder(path: Path) -> list[Entry]:
    files = sorted(path.glob("*.json"))
    loaded = [(file, data, _tool(data)) for file in files if (data := _one_object(file))]
    known = [
        entry for file, data, tool in loaded if tool for entry in tool.entries(data, str(file))
    ]
    if not known:
        raise BadInputError(
            f"{path} holds neither {RECORDS} nor JSON files of {_tools()}: give a run's folder or "
            "a results file"
        )
    return _by_case(path, known)


def _by_case(path: Path, entries: list[Entry]) -> list[Entry]:
    groups: dict[str, list[Entry]] = {}
    for entry in entries:
        groups.setdefault(entry.case.key, []).append(entry)
    for group in groups.values():
        revisions = list(dict.fromkeys(entry.revision for entry in group))
        if len(revisions) > 1:
            raise BadInputError(
                f"{path} holds results of several commits ({revisions[0][:12]} and "
                f"{revisions[1][:12]}): name the file of one"
            )
    return [extract.join(group) for group in groups.values()]


def _tool(data: Any) -> BenchmarkTool | None:
    return next((tool for tool in TOOLS if tool.is_one(data)), None)


def _tools() -> str:
    *names, last = TOOLS.names()
    return f"{', '.join(names)} or {last}"


def _require_records(path: Path, data: Any) -> None:
    """Refuse a file without any line of records, saying what it is instead.

    Raises:
        BadInputError: it is some other text, or JSON that no known tool writes.
    """
    with path.open("rb") as file:
        begun = [line.lstrip() for line in file if line.strip()]
    if not begun or any(line.startswith(_RECORD) for line in begun):
        return
    if isinstance(data, dict):
        what = f"JSON that no known tool writes (it has {', '.join(list(data)[:4]) or 'nothing'})"
    elif data is not None:
        what = "JSON that no known tool writes"
    elif begun[0].startswith((b"{", b"[")):
        what = "no whole JSON text"
    else:
        what = "no JSON"
    raise BadInputError(
        f"{path} is no results file: it is {what}; give a file of records, a run's folder, or "
        f"JSON of {_tools()}"
    )


def _one_object(path: Path) -> Any:
    """Return what a file holds that is a single JSON text; None for lines of records, and for no
    JSON.
    """
    parse: Callable[[str], Any] = json.loads
    try:
        return parse(path.read_text(encoding="utf-8-sig", errors="replace"))
    except (ValueError, RecursionError):
        return None
