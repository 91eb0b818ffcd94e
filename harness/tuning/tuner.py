"""Tunes one workload: searches, compares the finalists, and checks the winner."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from facebench.architectures.errors import BadInputError, WrongAnswerError
from facebench.harness.compiler import records
from facebench.harness.compiler.records import Records, TuningRecord
from facebench.harness.compiler.tiling import Tiling
from facebench.harness.compiler.workload import Workload, key
from facebench.harness.tuning import correctness
from facebench.harness.tuning.costs import Failure, TilingCost
from facebench.harness.tuning.kernels import SearchedKernels
from facebench.harness.tuning.search import MODEL, Trials, search

# Tilings that are measured once more, beside the model's choice.
_FINALISTS = 3


def tune(
    work: Workload,
    cost: TilingCost,
    trials: int,
    listen: Callable[[Trials], None] = lambda done: None,
    warn: Callable[[str], None] = lambda sentence: None,
    known: Sequence[Tiling] = (),
) -> TuningRecord:
    """Find the tiling of a workload that costs least.

    Another than the model's choice is taken where it is believed to be cheaper when both are
    measured side by side, and its kernel is right.

    Args:
        work: the workload.
        cost: where tilings are tried.
        trials: tilings to try at most.
        listen: told how far the search is.
        warn: told of kernels that are wrong.
        known: what searches found before, which are tried among the first.

    Raises:
        WrongAnswerError: the model's choice is wrong, or cannot be run.
        LostError: the device answers no more.
    """
    by_model = cost.kernels.tilings(work)
    done = Trials(by_model)
    for done in search(work, by_model, cost, trials, known):
        listen(done)
    costs = _compared(work, done, cost)
    winner = _winner(work, done, costs, cost, warn)
    return records.made(
        work,
        done.tilings[winner],
        cost=costs[winner],
        scheduled=costs[MODEL],
        unit=cost.unit,
        how=cost.how,
        trials=done.count,
        precision=cost.kernels.registers.precision,
    )


def known(found: Records, work: Workload, kernels: SearchedKernels) -> Tiling | None:
    """Return the tiling of a workload's record; None where it has none that its kernel can have."""
    record = found.get(key(work))
    if record is None:
        return None
    try:
        return records.tiling_of(record, work, kernels.registers)
    except BadInputError:
        return None


def proposed(before: Sequence[Records], work: Workload, kernels: SearchedKernels) -> list[Tiling]:
    """Return each tiling that records have of a workload, in order, and its kernel can have."""
    found = (known(one, work, kernels) for one in before)
    return list(dict.fromkeys(tiling for tiling in found if tiling is not None))


def enough(record: TuningRecord, work: Workload, kernels: SearchedKernels, trials: int) -> bool:
    """Return whether a record has had so many trials, or as many as there are tilings."""
    return record.trials >= min(trials, len(kernels.tilings(work)))


def _compared(work: Workload, done: Trials, cost: TilingCost) -> dict[int, float]:
    """Return costs of the finalists and of the model's choice, measured once more beside each
    other; of all that were tried where costs are exact.
    """
    if cost.exact and MODEL in done.costs:
        return done.costs
    ranked = sorted(done.costs, key=done.costs.__getitem__)
    finalists = [MODEL, *[number for number in ranked if number != MODEL][:_FINALISTS]]
    found = cost.measure_all(work, [done.tilings[number] for number in finalists])
    if isinstance(found[0], Failure):
        raise WrongAnswerError(
            f"the kernel of '{key(work)}' with the model's choice {done.tilings[MODEL]} cannot "
            f"be run: {found[0].reason}"
        )
    return {n: c for n, c in zip(finalists, found, strict=True) if isinstance(c, float)}


def _winner(
    work: Workload,
    done: Trials,
    costs: dict[int, float],
    cost: TilingCost,
    warn: Callable[[str], None],
) -> int:
    """Return the cheapest finalist whose kernel is right."""
    tilings, least = done.tilings, costs[MODEL]
    better = [
        number
        for number in sorted(costs, key=costs.__getitem__)
        if number != MODEL
        and cost.cheaper(work, tilings[number], tilings[MODEL], costs[number] / least)
    ]
    for number in better:
        try:
            correctness.require(cost, work, done.tilings[number])
        except WrongAnswerError as error:
            warn(str(error))
        else:
            return number
    correctness.require(cost, work, done.tilings[MODEL])
    return MODEL
