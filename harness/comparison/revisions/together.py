"""What is timed, case by case, all sides at once and in turns; a case that is done is kept."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from facebench.architectures.errors import BadInputError
from facebench.harness.comparison.interleaved import PROTOCOL
from facebench.harness.comparison.interleaved.prepared_case import Request, ask, prepare
from facebench.harness.comparison.interleaved.python_environment import PythonEnvironment
from facebench.harness.comparison.interleaved.turns import Turns
from facebench.harness.comparison.interleaved.turns import measure as measure_in_turns
from facebench.harness.comparison.revisions import kept
from facebench.harness.records.case import Case
from facebench.harness.records.record import Record
from facebench.harness.records.store import RECORDS, Store
from facebench.harness.storage import cache, writing
from facebench.harness.storage.progress import Progress, ProgressShare

_TURNS = 16
_PROTOCOL = "import importlib, sys; print(importlib.import_module(sys.argv[1]).PROTOCOL)"


def able(environment: PythonEnvironment) -> bool:
    """Return whether a side's own facebench can take turns, and as this one does."""
    done = environment.run_code(_PROTOCOL, environment.layout.protocol)
    return done.returncode == 0 and done.stdout.strip() == str(PROTOCOL)


def measure(
    environments: Sequence[PythonEnvironment],
    plans: Sequence[str],
    processes: int,
    folder: Path,
    progress: Progress,
) -> list[list[Record]]:
    """Return records of each side's timed cases.

    Args:
        environments: the sides, all of them `able`.
        plans: text of each one's plan.
        processes: of each case.
        folder: where cases are kept.
        progress: told how far it is.

    Raises:
        BadInputError: a side's facebench has no use for its plan, or can't prepare a case.
    """
    folder.mkdir(parents=True, exist_ok=True)
    asked = [
        _requests(environment, plan, folder / f"plan{number}.toml")
        for number, (environment, plan) in enumerate(zip(environments, plans, strict=True))
    ]
    cases = list(dict.fromkeys(case for requests in asked for case in requests))
    records: list[list[Record]] = [[] for _ in environments]
    for number, case in enumerate(cases):
        wanted = {side: requests[case] for side, requests in enumerate(asked) if case in requests}
        path = folder / cache.digest(case.key, processes)
        store = Store(path / RECORDS)
        share = ProgressShare(progress, number, len(cases), "cases")
        share.at(0, 1)
        if not kept.is_fresh(path):
            progress.newest(str(case))
            chosen = [environments[side] for side in wanted]
            kept.empty(path)
            for record in _in_turns(chosen, list(wanted.values()), processes, share):
                store.append(record)
            kept.complete(path)
        for side, record in zip(wanted, store.read(), strict=True):
            records[side].append(record)
        share.at(1, 1)
    return records


def _requests(environment: PythonEnvironment, plan: str, file: Path) -> dict[Case, Request]:
    """Return a side's timed jobs, by their cases without weights: two sides may differ in these."""
    writing.write(file, plan)
    answer, last = ask(environment, environment.layout.listing, "", str(file))
    try:
        found: Mapping[str, Any] = json.loads(answer)
        said = found.get("error")
        jobs = found.get("jobs", [])
        listed = {replace(Case(**job["case"]), weights=""): job for job in jobs}
    except (ValueError, TypeError, KeyError):
        said = last
    if said:
        why = str(said).replace(str(file), "the plan")
        raise BadInputError(f"{environment.name}, its own facebench: {why}")
    return listed


def _in_turns(
    environments: Sequence[PythonEnvironment],
    requests: Sequence[Request],
    processes: int,
    progress: Progress,
) -> list[Record]:
    prepared = list(map(prepare, environments, requests))
    budget = requests[0]["budget"]
    return measure_in_turns(
        prepared,
        Turns(processes, _TURNS, budget["sampling_s"] / _TURNS, budget["warmup_s"], budget["pin"]),
        progress,
    )
