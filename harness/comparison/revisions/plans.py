"""A revision's plan in two: what is exact, and obtained once; and what is timed, in turns."""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from facebench.architectures.errors import BadInputError
from facebench.harness.comparison.interleaved.python_environment import PythonEnvironment
from facebench.harness.measures.registry import MEASURES
from facebench.harness.storage.serialization import read_toml

_WHERE = (
    "import importlib.util, sys;"
    "print(*importlib.util.find_spec(sys.argv[1]).submodule_search_locations)"
)


@dataclass(frozen=True)
class Halves:
    """They are the texts of two plans; empty where there is nothing of the sort to obtain.

    Attributes:
        name: as the user gave it, to show.
        exact: without anything timed.
        timed: without what takes long and is exact, one process a case.
    """

    name: str
    exact: str
    timed: str


def halves(name: str, environment: PythonEnvironment, measures: Collection[str] = ()) -> Halves:
    """Return the plan of a revision.

    Args:
        name: a file, relative to where the revision's processes stand: its own; with its full
            path it is the same file for all; or the name of a plan that is built in there.
        environment: of the revision.
        measures: only these are wanted; all where there are none.

    Raises:
        UnknownNameError: there is no such measure.
        BadInputError: the revision has no such plan, or it can't be read.
    """
    wanted = [MEASURES[name] for name in measures] or list(MEASURES)
    path = _find(name, environment)
    plan = _read(path, environment)
    devices = plan.get("devices", ["local"])
    emulated = [one for one in devices if str(one).startswith("emulated:")]
    exact_keys = {one.per for one in MEASURES} - {one.per for one in MEASURES if one.timed}
    nothing: dict[str, list[str]] = {per.value: [] for per in exact_keys if per is not None}
    asked = {one.per.value for one in wanted if one.per is not None}
    unwanted = {key: nothing[key] for key in nothing if key not in asked}
    exact = plan | unwanted | {"runtimes": [], "devices": emulated}
    timed = plan | nothing | {"processes": 1, "devices": [d for d in devices if d not in emulated]}
    return Halves(
        name,
        to_toml(exact) if not all(one.in_turns for one in wanted) else "",
        to_toml(timed) if any(one.in_turns for one in wanted) else "",
    )


def _find(name: str, environment: PythonEnvironment) -> Path:
    path = (environment.folder or Path()) / name
    if path.is_file():
        return path
    if name.isidentifier():
        built_in = _built_in(environment) / f"{name}.toml"
        if built_in.is_file():
            return built_in
    raise BadInputError(
        f"{environment.name} has no plan {name}: name one that it has, or a file outside of it "
        "with its full path"
    )


def _built_in(environment: PythonEnvironment) -> Path:
    package = environment.run_code(_WHERE, environment.layout.plans).stdout.strip()
    return Path(package) / "plans"


def _read(path: Path, environment: PythonEnvironment) -> dict[str, Any]:
    try:
        plan = read_toml(path, "plan")
    except BadInputError as error:
        # Its folder is in the cache, where the user has not put it.
        said = str(error).replace(str(path), path.name)
        raise BadInputError(f"{environment.name}: {said}") from error
    weights = plan.get("weights")
    if isinstance(weights, dict):
        # They are relative to the plan's folder, which is another one for its halves.
        plan["weights"] = {name: str(path.parent / str(file)) for name, file in weights.items()}
    return plan


def to_toml(plan: dict[str, Any]) -> str:
    """Return a plan as TOML, tables last; its values are written as JSON writes them."""
    lines = [
        f"{_json(key)} = {_json(value)}" for key, value in plan.items() if type(value) is not dict
    ]
    for key, table in plan.items():
        if isinstance(table, dict):
            lines.append(f"[{_json(key)}]")
            lines += [f"{_json(name)} = {_json(value)}" for name, value in table.items()]
    return "\n".join(lines) + "\n"


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, default=str).replace("\x7f", "\\u007F")
