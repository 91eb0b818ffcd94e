"""One `facebench run` of a side, in its own environment."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from facebench.architectures.errors import BadInputError
from facebench.harness.comparison.interleaved.python_environment import PythonEnvironment
from facebench.harness.machine.processes import follow
from facebench.harness.records.record import Record
from facebench.harness.records.store import RECORDS, Store
from facebench.harness.storage import writing
from facebench.harness.storage.progress import Progress

_LINE = re.compile(r"\[(\d+)/(\d+)\] (.*)")

# Exit codes after which the records tell all: 1 says that a case failed.
_DONE = (0, 1)


def run(
    environment: PythonEnvironment,
    plan: str,
    folder: Path,
    known: Sequence[Record],
    progress: Progress,
) -> list[Record]:
    """Return the records of a plan, as the side's own facebench obtains them.

    Args:
        environment: the side.
        plan: text of the plan.
        folder: to write to.
        known: records of the same side that are not to be obtained again.
        progress: told of each case.

    Raises:
        BadInputError: facebench said no, or was ended.
    """
    folder.mkdir(parents=True)
    file = folder / "plan.toml"
    writing.write(file, plan)
    store = Store(folder / RECORDS)
    for record in known:
        store.append(record)
    code, said = _run(
        environment,
        environment.command(environment.layout.cli, "run", str(file), "-o", str(folder)),
        progress,
    )
    found = store.read()
    # A crash has the exit code of a failed case, and leaves nothing.
    if code not in _DONE or len(found) == len(known):
        why = said.replace(str(file), "the plan") or f"it ended with exit code {code}"
        raise BadInputError(f"{environment.name}, its own facebench: {why}")
    return found


def _run(
    environment: PythonEnvironment, command: Sequence[str], progress: Progress
) -> tuple[int, str]:
    """Return the exit code, and the last line of standard error."""

    def tell(line: str) -> None:
        if told := _LINE.fullmatch(line):
            progress.newest(told[3])
            progress.at(int(told[1]), int(told[2]))

    # Where it is killed, its workers end with it.
    code, last = follow(
        command,
        tell,
        environment=environment.all_variables(),
        folder=environment.folder,
        output=False,
    )
    told_by_it = [line for line in last if line.startswith("facebench: ")]
    said = (told_by_it or last or [""])[-1]
    return code, said.removeprefix("facebench: ")
