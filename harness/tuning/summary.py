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
        """Return the geometric mean over the records of how many times cheaper they are."""
        return geometric_mean(record.gain for record in self.found) if self.found else 1.0

    def in_words(self) -> str:
        """Return the summary in a line."""
        kept = f", {self.kept} had records" if self.kept else ""
        lost = f", {len(self.failures)} failed" if self.failures else ""
        gain = (
            f"; {self.improved} improved, {self.gain:.3f} times as fast in the geometric mean of "
            f"those tuned ({self.how})"
            if self.found
            else ""
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
