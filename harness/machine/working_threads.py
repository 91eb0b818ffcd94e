"""Counts the threads of this process that work, whatever a runtime was asked for."""

from __future__ import annotations

from pathlib import Path

_TASKS = Path("/proc/self/task")

# Of the time in between: a thread that waits for the others' work takes far less.
_LEAST_SHARE = 0.1


def cpu_seconds(tasks: Path = _TASKS) -> dict[str, float]:
    """Return the seconds that each thread has had a CPU, by its id; nothing where Linux does not
    tell (sched-stats.rst of its documentation: the first figure of schedstat, in nanoseconds).
    """
    found = {}
    for task in tasks.glob("[0-9]*"):
        try:
            found[task.name] = int((task / "schedstat").read_text().split()[0]) / 1e9
        except (OSError, ValueError, IndexError):
            continue  # it ended, or nothing is told
    return found


def worked(before: dict[str, float], after: dict[str, float], seconds: float) -> int | None:
    """Return how many threads worked between two looks; None where that is not known.

    Args:
        before: the first look.
        after: the second one.
        seconds: that passed in between.
    """
    if not after or seconds <= 0:
        return None
    spent = [end - before.get(name, 0.0) for name, end in after.items()]
    return sum(one >= _LEAST_SHARE * seconds for one in spent)
