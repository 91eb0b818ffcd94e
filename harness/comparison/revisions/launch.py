"""One `facebench run` of a side, in its own environment."""

from __future__ import annotations

import re
import subprocess
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path

from facebench.architectures.errors import BadInputError
from facebench.harness.comparison.interleaved.python_environment import PythonEnvironment
from facebench.harness.records.record import Record
from facebench.harness.records.store import RECORDS, Store

# Told what came, and of how many cases how many there are.
Listen = Callable[[str, int, int], None]

_LINE = re.compile(r"\[(\d+)/(\d+)\] (.*)")
_LAST_LINES = 20

# Exit codes after which the records tell all: 1 says that a case failed.
_DONE = (0, 1)


def run(
    environment: PythonEnvironment, plan: str, folder: Path, known: Sequence[Record], listen: Listen
) -> list[Record]:
    """The records of a plan, as the side's own facebench obtains them.

    Args:
        environment: the side.
        plan: text of the plan.
        folder: to write to.
        known: records of the same side that are not to be obtained again.
        listen: told of each case.

    Raises:
        BadInputError: facebench said no, or was ended.
    """
    folder.mkdir(parents=True)
    file = folder / "plan.toml"
    file.write_text(plan)
    store = Store(folder / RECORDS)
    for record in known:
        store.append(record)
    code, said = _run(
        environment,
        environment.command(environment.layout.cli, "run", str(file), "-o", str(folder)),
        listen,
    )
    found = store.read()
    # A crash has the exit code of a failed case, and leaves nothing.
    if code not in _DONE or len(found) == len(known):
        why = said.replace(str(file), "the plan") or f"it ended with exit code {code}"
        raise BadInputError(f"{environment.name}, its own facebench: {why}")
    return found


def _run(environment: PythonEnvironment, command: Sequence[str], listen: Listen) -> tuple[int, str]:
    """The exit code, and the last line of standard error."""
    last: deque[str] = deque(maxlen=_LAST_LINES)
    with subprocess.Popen(
        command,
        cwd=environment.folder,
        env=environment.all_variables(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
    ) as process:
        assert process.stderr is not None
        try:
            for line in filter(None, map(str.strip, process.stderr)):
                last.append(line)
                if told := _LINE.fullmatch(line):
                    listen(told[3], int(told[1]), int(told[2]))
        except BaseException:
            # Its workers end with it.
            process.kill()
            raise
    told_by_it = [line for line in last if line.startswith("facebench: ")]
    said = (told_by_it or list(last) or [""])[-1]
    return process.returncode, said.removeprefix("facebench: ")
