"""A search with MetaSchedule, whose space, strategy, builder and runner are ours.

A workload's definition is the module; the one decision of its space is the number of
a tiling, which is noted at the root block. MetaSchedule's own spaces are of loop
transformations of the definition; our kernels are emitted for a tiling instead, so the
builder reads the note and the runner asks a device what that tiling costs.
"""

from __future__ import annotations

import logging
import math
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

import tvm
from tvm import s_tir
from tvm.ir.utils import derived_object
from tvm.s_tir import meta_schedule as ms

from facebench.harness.compiler.definition import definition
from facebench.harness.compiler.tiling import Tiling
from facebench.harness.compiler.workload import Workload
from facebench.harness.tuning.costs import Failure, TilingCost
from facebench.harness.tuning.proposals import Proposals

# Tilings that are measured beside each other, with the best so far among them.
_BATCH = 8

# The model's choice is the first of the tilings.
MODEL = 0

_INTRINSICS = "tvm.s_tir.tensor_intrin"
_NOTE = "facebench.tiling"

# TVM's own log would be files in the current folder.
_LOGGER = logging.getLogger(__name__)


@dataclass
class Trials:
    """What was tried.

    Attributes:
        tilings: of the workload, by modelled cost.
        costs: of those that were tried, by number, as if all had been measured at once.
        best: the cheapest one's number; the model's choice before there is any.
        failures: why others have no cost, by number.
    """

    tilings: Sequence[Tiling]
    costs: dict[int, float] = field(default_factory=dict)
    best: int = MODEL
    failures: dict[int, str] = field(default_factory=dict)

    @property
    def count(self) -> int:
        """Tilings that were tried."""
        return len(self.costs) + len(self.failures)

    def add(self, numbers: Sequence[int], found: Sequence[float | Failure]) -> None:
        """Add what was measured at once.

        The best so far is measured again each time: as much slower as it is than before
        was the machine, and with it the others.
        """
        measured = {n: c for n, c in zip(numbers, found, strict=True) if isinstance(c, float)}
        again = measured.get(self.best, math.nan)
        slower = again / self.costs.get(self.best, again)
        for number, cost in zip(numbers, found, strict=True):
            if number in self.costs:
                continue
            if isinstance(cost, Failure):
                self.failures[number] = cost.reason
            else:
                self.costs[number] = cost / slower if math.isfinite(slower) else cost
        if self.costs:
            self.best = min(self.costs, key=self.costs.__getitem__)


# Told of what was tried so far.
Listener = Callable[[Trials], None]


def search(
    work: Workload,
    tilings: Sequence[Tiling],
    cost: TilingCost,
    trials: int,
    listen: Listener,
) -> Trials:
    """Try tilings of a workload.

    Args:
        tilings: by modelled cost.
        cost: where they are tried.
        trials: how many of them.
        listen: told after each batch.

    Raises:
        LostError: the device answers no more.
    """
    done = Trials(tilings)
    # A context imports tensor intrinsics, of GPUs for the most part: half a minute for
    # nothing that is used here.
    sys.modules.setdefault(_INTRINSICS, ModuleType(_INTRINSICS))
    context = ms.TuneContext(
        mod=definition(work),
        target=tvm.target.Target("llvm"),
        space_generator=ms.space_generator.ScheduleFn(
            lambda schedule: _decide(schedule, len(tilings)), [], [], {}
        ),
        search_strategy=_Strategy(done),
        num_threads=1,
        logger=_LOGGER,
    )
    stopped: list[BaseException] = []
    builder, runner = _Builder(), _Runner(work, tilings, cost, stopped)
    context.pre_tuning(trials, _BATCH)
    while (candidates := context.generate_measure_candidates()) is not None:
        inputs = [ms.builder.BuilderInput(one.sch.mod, context.target) for one in candidates]
        built = builder.build(inputs)
        runs = [ms.runner.RunnerInput(one.artifact_path, "cpu", []) for one in built]
        results = [future.result() for future in runner.run(runs)]
        if stopped:
            raise stopped[0]
        context.notify_runner_results(candidates, results)
        listen(done)
    context.post_tuning()
    return done


def _decide(schedule: Any, count: int) -> None:
    """The space: which of so many tilings, noted where the builder finds it."""
    number = schedule.sample_categorical(list(range(count)), [1 / count] * count)
    schedule.annotate(schedule.get_sblock("root"), _NOTE, number)


def _noted(module: Any) -> int:
    return int(module["main"].body.block.annotations[_NOTE])


@derived_object
class _Strategy(ms.search_strategy.PySearchStrategy):  # type: ignore[misc]
    """Proposes numbers of tilings, the best so far with each batch."""

    def __init__(self, done: Trials) -> None:
        self._done = done
        self._proposals = Proposals(done.tilings)

    def _initialize_with_tune_context(self, context: Any) -> None:
        self._module = context.mod

    def pre_tuning(
        self,
        max_trials: int,
        num_trials_per_iter: int,
        design_spaces: Any,
        database: Any = None,
        cost_model: Any = None,
    ) -> None:
        self._trials = max_trials
        self._batch = num_trials_per_iter
        self._trace = design_spaces[0].trace
        (self._decision,) = (i for i in self._trace.insts if i.kind.name == "SampleCategorical")

    def post_tuning(self) -> None:
        pass

    def generate_measure_candidates(self) -> Any:
        done = self._done
        left = self._trials - done.count
        if not done.count:
            numbers = self._proposals.first(min(self._batch, left))
        else:
            numbers = self._proposals.next(min(self._batch - 1, left), done.best)
            numbers = [done.best, *numbers] if numbers else []
        candidates = [ms.MeasureCandidate(self._decided(n), []) for n in numbers]
        return candidates or None

    def notify_runner_results(self, measure_candidates: Any, results: Any) -> None:
        numbers = [_noted(candidate.sch.mod) for candidate in measure_candidates]
        self._done.add(
            numbers,
            [
                Failure(str(one.error_msg)) if one.error_msg else float(one.run_secs[0])
                for one in results
            ],
        )

    def clone(self) -> Any:
        return _Strategy(self._done)

    def _decided(self, number: int) -> Any:
        schedule = s_tir.Schedule(self._module)
        trace = self._trace.with_decision(self._decision, number, remove_postproc=True)
        trace.apply_to_schedule(schedule, remove_postproc=True)
        return schedule


@derived_object
class _Builder(ms.builder.PyBuilder):  # type: ignore[misc]
    """From a module to what stands for its kernel: the number of its tiling.

    The runner emits and compiles it, for all kernels of a batch are of one library: of
    one process, then, where the core is emulated.
    """

    def build(self, build_inputs: Any) -> Any:
        return [ms.builder.BuilderResult(str(_noted(one.mod)), None) for one in build_inputs]


@derived_object
class _Runner(ms.runner.PyRunner):  # type: ignore[misc]
    """Asks what tilings cost; where costs are cycles, seconds are what MetaSchedule calls them."""

    def __init__(
        self,
        work: Workload,
        tilings: Sequence[Tiling],
        cost: TilingCost,
        stopped: list[BaseException],
    ) -> None:
        self._work = work
        self._tilings = tilings
        self._cost = cost
        self._stopped = stopped

    def run(self, runner_inputs: Any) -> Any:
        numbers = [int(one.artifact_path) for one in runner_inputs]
        try:
            found = self._cost.measure_all(self._work, [self._tilings[n] for n in numbers])
        except BaseException as error:  # its kind would be lost on the way through TVM
            self._stopped.append(error)
            return []
        return [_done(cost) for cost in found]


def _done(cost: float | Failure) -> Any:
    """A measured cost as MetaSchedule hands it over."""
    if isinstance(cost, Failure):
        result = ms.runner.RunnerResult(None, cost.reason)
    else:
        result = ms.runner.RunnerResult([cost], None)
    return ms.runner.RunnerFuture(lambda: True, lambda: result)
