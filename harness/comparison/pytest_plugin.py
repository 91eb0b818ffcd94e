"""For the tests of other repositories: a latency that must not be worse than its baseline.

pytest finds this by itself where facebench is installed:

    def test_the_network_stays_fast(facebench_latency):
        facebench_latency("onnx:new.onnx", runtime="ncnn", against="onnx:accepted.onnx")

Both are timed in turns, which decides what a baseline of another day can't. With
`baseline="main"` in place of `against` a network is held against stored times;
`pytest --facebench-update-baseline` writes what it measures to the baseline instead.
Nothing but pytest is imported until a test asks for the fixture.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from facebench.harness.comparison.baselines import Baselines
    from facebench.harness.comparison.entry import Entry
    from facebench.harness.comparison.verdict import Line


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options of all tests that use the fixture."""
    group = parser.getgroup("facebench")
    group.addoption(
        "--facebench-update-baseline",
        action="store_true",
        help="write what is measured to the baselines, and compare nothing",
    )
    group.addoption(
        "--facebench-store",
        metavar="DIR",
        help="folder of the baselines; results/baselines of the checkout by default",
    )


@pytest.fixture
def facebench_latency(request: pytest.FixtureRequest) -> Callable[..., None]:
    """Measure a network, and fail where its baseline is faster, and not by chance.

    Called with a network, and by name: `runtime`, `threads`, `batch`, `weights` (a file),
    `against` (a network that is timed now, in turns with it) or `baseline` (a name),
    `processes` (each a measurement from anew) and `margin` (0.01 is 1 %). A change that can't
    be decided is a warning; a baseline of another machine skips the test.
    """
    from facebench.harness.comparison.baselines import Baselines, default_root

    chosen = request.config.getoption("--facebench-store")
    baselines = Baselines(Path(chosen) if chosen else default_root())
    update = bool(request.config.getoption("--facebench-update-baseline"))

    def check(
        network: str,
        runtime: str = "onnxruntime",
        *,
        threads: int = 1,
        batch: int = 1,
        weights: str | None = None,
        against: str | None = None,
        baseline: str = "main",
        processes: int = 5,
        margin: float = 0.01,
    ) -> None:
        __tracebackhide__ = True
        if against is not None:
            if batch != 1:
                pytest.fail(
                    "facebench: networks in turns infer one image at a time: batch=1", False
                )
            _tell(_in_turns(network, against, runtime, threads, weights, processes, margin))
            return
        baselines.folder(baseline)
        entry = _measured(network, runtime, threads, batch, weights, processes)
        if update:
            baselines.save(baseline, [entry])
            return
        line = _compared(entry, baselines, baseline, margin)
        _tell(line)

    return check


def _measured(
    network: str, runtime: str, threads: int, batch: int, weights: str | None, processes: int
) -> Entry:
    from facebench.harness.comparison import extract
    from facebench.harness.models.networks import resolve
    from facebench.harness.runs import jobs, runner
    from facebench.harness.timing.sampler import Budget

    # So many processes and no more, with a second of samples each.
    budget = Budget(sampling_s=float(processes), processes=processes, known_to=math.inf)
    job = jobs.latency_job(resolve(network, weights), runtime, threads, batch, budget=budget)
    (record,) = runner.run([jobs.with_fingerprint(job)])
    if record.status != "ok":
        pytest.fail(f"facebench: {record.case}: {record.status}: {record.reason}", False)
    return extract.entry(record)


def _in_turns(
    network: str,
    against: str,
    runtime: str,
    threads: int,
    weights: str | None,
    processes: int,
    margin: float,
) -> Line:
    from facebench.harness.comparison import trial
    from facebench.harness.comparison.interleaved.turns import Turns
    from facebench.harness.comparison.verdict import Policy
    from facebench.harness.models.networks import resolve
    from facebench.harness.storage.progress import SILENT

    known, new = resolve(against), resolve(network, weights)
    question = trial.TrialQuestion(known, [new], [runtime], (), threads)
    records = question.timed(Turns(processes), SILENT)
    lines = trial.against(known, new, records, Policy(margin=margin)).lines
    return next(line for line in lines if line.case.measure == "latency")


def _compared(entry: Entry, baselines: Baselines, name: str, margin: float) -> Line:
    from facebench.architectures.errors import BadInputError
    from facebench.harness.comparison.compare import Side, compare
    from facebench.harness.comparison.verdict import Policy

    try:
        known = baselines.load(name)
    except BadInputError:
        known = []
    sides = Side(name, tuple(known)), Side("this test", (entry,))
    compared = compare(*sides, Policy(margin=margin)).lines
    lines = [line for line in compared if line.figure == "latency"]
    if not lines:
        pytest.fail(
            f"facebench: {entry.case} is not in the baseline {name} in {baselines.root}: run "
            "pytest --facebench-update-baseline on what is accepted, and commit the files",
            False,
        )
    return lines[0]


def _tell(line: Line) -> None:
    from facebench.harness.comparison.verdict import Verdict
    from facebench.harness.comparison.wording import case_text, change_text, interval_text, why

    figures = " ".join(filter(None, (change_text(line), interval_text(line))))
    text = f"facebench: {case_text(line.case)}: {line.verdict}: {figures} {why(line)}"
    if line.verdict.alarms:
        pytest.fail(text, False)
    if line.verdict is Verdict.NOT_COMPARABLE:
        pytest.skip(text)
    if line.verdict is Verdict.NOT_DECIDABLE:
        warnings.warn(text, stacklevel=3)
