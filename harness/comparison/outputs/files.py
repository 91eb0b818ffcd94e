"""Writes a comparison into the files that other tools read."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from facebench.harness.comparison.outputs import benchmark_action, junit
from facebench.harness.comparison.request import ComparisonOutcome
from facebench.harness.comparison.tools import pytest_benchmark
from facebench.harness.storage import writing


@dataclass(frozen=True)
class OutputFiles:
    """It names the files that are wanted; None for those that are not.

    Attributes:
        junit: JUnit XML.
        benchmark_action: the new side, as github-action-benchmark's `customSmallerIsBetter`.
        pytest_benchmark: the times of the new side, as pytest-benchmark's JSON.
    """

    junit: Path | None = None
    benchmark_action: Path | None = None
    pytest_benchmark: Path | None = None

    def write(self, outcome: ComparisonOutcome) -> None:
        """Write the files, and the folders they are in.

        Raises:
            OSError: a file cannot be written.
        """
        # All texts first: where one cannot be made, no file is left behind.
        for path, text in list(self._texts(outcome)):
            writing.write(path, text)

    def _texts(self, outcome: ComparisonOutcome) -> Iterator[tuple[Path, str]]:
        entries = outcome.new.entries
        if self.junit:
            yield self.junit, junit.to_xml(outcome.comparison)
        if self.benchmark_action:
            yield self.benchmark_action, _dumped(benchmark_action.to_json(entries))
        if self.pytest_benchmark:
            yield self.pytest_benchmark, _dumped(pytest_benchmark.write(entries))


def _dumped(data: Any) -> str:
    return json.dumps(data, indent=1, allow_nan=False, default=str) + "\n"
