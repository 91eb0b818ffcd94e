"""What an installed facebench costs a pytest run that does not use it."""

from __future__ import annotations

import resource
import statistics
from pathlib import Path

from pytest_benchmark.fixture import BenchmarkFixture

from tests.installed import PYTEST, Installed, borrowing, build_wheel, install

# What it may cost, in milliseconds.
_MOST_MS = 50


def cpu_ms(environment: Installed, where: Path) -> float:
    """CPU time of one run, which others on the machine disturb less than wall time."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = environment.run(where, "python", "-m", "pytest", "-q", "-p", "no:cacheprovider")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert "1 passed" in done.stdout, done.stdout + done.stderr
    return 1e3 * (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)


def test_a_run_of_pytest_with_the_plugin(benchmark: BenchmarkFixture, tmp_path: Path) -> None:
    (tmp_path / "project").mkdir()
    (tmp_path / "project" / "test_it.py").write_text("def test_it():\n    pass\n")
    without = borrowing(tmp_path / "without", PYTEST)
    having = install(build_wheel(tmp_path), borrowing(tmp_path / "with", PYTEST))
    costs: list[float] = []

    def in_turns() -> None:
        base = cpu_ms(without, tmp_path / "project")
        costs.append(cpu_ms(having, tmp_path / "project") - base)

    # The first compiles the modules.
    benchmark.pedantic(in_turns, rounds=20, warmup_rounds=1)
    cost = statistics.median(costs[1:])
    benchmark.extra_info["plugin_ms"] = round(cost, 1)
    assert cost < _MOST_MS
