"""Where the two sides come from: results files, runs, baselines, files of pytest-benchmark."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

from facebench.architectures.errors import BadInputError
from facebench.harness.comparison import extract, pytest_benchmark
from facebench.harness.comparison.baselines import PREFIX, Baselines
from facebench.harness.comparison.compare import Side
from facebench.harness.comparison.entry import Entry
from facebench.harness.measures.registry import MEASURES
from facebench.harness.records.store import RECORDS, Store


def load(text: str, baselines: Baselines, measures: Collection[str] = ()) -> Side:
    """Return the side that a user named.

    Args:
        text: `baseline:NAME`; a results file; the folder of a run; a JSON file of
            pytest-benchmark, or a folder of them, each of which is one process then.
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
    if data is not None and pytest_benchmark.is_one(data):
        return pytest_benchmark.read(data, str(path))
    return extract.entries(Store(path).read())


def _folder(path: Path) -> list[Entry]:
    files = sorted(path.glob("*.json"))
    loaded = [(file, _one_object(file)) for file in files]
    ours = [(file, data) for file, data in loaded if data and pytest_benchmark.is_one(data)]
    if not ours:
        raise BadInputError(
            f"{path} holds neither {RECORDS} nor JSON files of pytest-benchmark: give a run's "
            "folder or a results file"
        )
    return _by_case([one for file, data in ours for one in pytest_benchmark.read(data, str(file))])


def _by_case(entries: list[Entry]) -> list[Entry]:
    groups: dict[str, list[Entry]] = {}
    for entry in entries:
        groups.setdefault(entry.case.key, []).append(entry)
    return [extract.join(group) for group in groups.values()]


def _one_object(path: Path) -> Any:
    """Return what a file holds that is a single JSON text; None for lines of records, and for no
    JSON.
    """
    parse: Callable[[str], Any] = json.loads
    try:
        return parse(path.read_text(errors="replace"))
    except (ValueError, RecursionError):
        return None
