"""Lists the tools whose JSON is read, and makes entries of what they say."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from facebench.architectures.errors import BadInputError
from facebench.architectures.registry import Registry
from facebench.harness.comparison.entry import Entry
from facebench.harness.records.case import Case
from facebench.harness.records.comparable import Timed

# Of a tool's units of time, how many milliseconds one has.
MILLISECONDS = {
    unit: factor
    for factor, units in (
        (1e-6, "ns nsec nanosecond nanoseconds"),
        (1e-3, "us µs μs usec microsecond microseconds"),
        (1.0, "ms msec millisecond milliseconds"),
        (1e3, "s sec second seconds"),
    )
    for unit in units.split()
}
# What a file raises that does not hold what it should.
_DAMAGE = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError, BadInputError)


@dataclass(frozen=True)
class BenchmarkTool:
    """A tool is what wrote a JSON file that is no results file of facebench.

    Attributes:
        name: as it calls itself; the runtime of its cases.
        is_one: says whether parsed JSON is such a file.
        read: gives a file's benchmarks as entries.
    """

    name: str
    is_one: Callable[[Any], bool]
    read: Callable[[Any], list[Entry]]

    def entries(self, data: Any, where: str) -> list[Entry]:
        """Return a file's benchmarks.

        Raises:
            BadInputError: it is damaged, or names a benchmark twice; `where` names it.
        """
        try:
            found = self.read(data)
        except (
            LookupError,
            TypeError,
            ValueError,
            AttributeError,
            OverflowError,
            BadInputError,
        ) as error:
            raise BadInputError(
                f"{where} is no JSON file of {self.name}, or damaged: {error!r}"
            ) from error
        if len({entry.case for entry in found}) < len(found):
            raise BadInputError(
                f"{where} names a benchmark twice, so that it is not clear which to compare: give "
                "each a name of its own"
            )
        return found


TOOLS: Registry[BenchmarkTool] = Registry("tool", "facebench.harness.comparison.tools")


def register(tool: BenchmarkTool) -> BenchmarkTool:
    """Add a tool."""
    return TOOLS.add(tool.name, tool)


def times(
    tool: str, benchmark: str, milliseconds: Iterable[float], samples: int = 1, **facts: Any
) -> Entry:
    """Return a benchmark that took these times, one a process, each the median of `samples`.

    Raises:
        ValueError: a time is not positive and finite.
    """
    medians = tuple(float(one) for one in milliseconds)
    figure = Timed("latency", "ms", medians, len(medians) * (samples,))
    return Entry(_case(tool, benchmark), "measured", figures=(figure,), **facts)


def without(tool: str, benchmark: str, status: str, reason: str, **facts: Any) -> Entry:
    """Return a benchmark that gave no time, for this reason."""
    return Entry(_case(tool, benchmark), "measured", status=status, reason=reason, **facts)


def renamed(facts: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    """Return what a tool tells of its machine, by the names that records have for it."""
    return {ours: facts[theirs] for theirs, ours in names.items() if facts.get(theirs)}


def _case(tool: str, benchmark: str) -> Case:
    return Case("latency", benchmark, "", runtime=tool)
