"""What a search for faster kernels was for, and what came of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import geometric_mean
from typing import Any

from facebench.harness.compiler.records import TuningRecord


@dataclass(frozen=True)
class TuningSummary:
    """What a search for one target was for, and what came of it.

    Attributes:
        target: whose records these are.
        path: the file they are in.
        how: how costs were obtained.
        workloads: of all networks, each once.
        kept: that had a record already.
        found: records made now.
        failures: why others have none.
    """

    target: str
    path: str
    how: str
    workloads: int
    kept: int
    found: Sequence[TuningRecord]
    failures: Sequence[str]

    @property
    def improved(self) -> int:
        """Return the records whose tiling is not the model's choice."""
        return sum(record.gain > 1 for record in self.found)

    @property
    def gain(self) -> float:
        """Return the geometric mean over the records of how many times cheaper they are.

        Measured costs are those by which the search chose the cheapest, and luck has a part in
        that: another measurement shows no more of a gain, and mostly less.
        """
        return geometric_mean(record.gain for record in self.found) if self.found else 1.0

    def in_words(self) -> str:
        """Return the summary in a line."""
        kept = f", {self.kept} had records" if self.kept else ""
        lost = f", {len(self.failures)} failed" if self.failures else ""
        gain = ""
        if self.found:
            # What a model counts is exact; of what was measured the luckiest were chosen.
            measured = self.found[0].unit == "seconds"
            most = "at most " if measured else ""
            gain = (
                f"; {self.improved} improved, {most}{self.gain:.3f} times as fast in the geometric "
                f"mean of those tuned ({self.how}"
                + (", by the timings that the search chose by)" if measured else ")")
            )
        return (
            f"{self.target}: {self.workloads} workloads{kept}, {len(self.found)} tuned{lost}{gain}"
        )

    def to_json(self) -> dict[str, Any]:
        """Return the summary in JSON's types."""
        return {
            "target": self.target,
            "path": self.path,
            "how": self.how,
            "workloads": self.workloads,
            "kept": self.kept,
            "tuned": len(self.found),
            "improved": self.improved,
            "gain": self.gain,
            "failures": list(self.failures),
        }
