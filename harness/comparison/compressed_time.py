"""Times compressed weights beside the weights as they were, in turns: what zeros gain in time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from facebench.harness.comparison.compare import Side, compare
from facebench.harness.comparison.compression import Compression
from facebench.harness.comparison.extract import entries
from facebench.harness.comparison.interleaved.turns import Turns
from facebench.harness.comparison.trial import TrialQuestion
from facebench.harness.comparison.verdict import Comparison
from facebench.harness.models import networks
from facebench.harness.models.networks import Network
from facebench.harness.storage.progress import SILENT, Progress


def timed(
    made: Compression,
    runtimes: Sequence[str],
    budget: Turns,
    progress: Progress = SILENT,
) -> list[Comparison]:
    """Return each file held against the weights as they were, in each runtime.

    Args:
        made: files of a network's weights.
        runtimes: in which all are timed, on one thread.
        budget: of each runtime.
        progress: told of the rounds that are done, a step a runtime.
    """
    known = made.network
    smaller = [networks.resolve(known.name, one.path, known.preprocessing) for one in made.files]
    records = TrialQuestion(known, smaller, runtimes, ()).timed(budget, progress)

    def side(name: str, network: Network) -> Side:
        own = [record for record in records if record.case.weights == network.weights]
        # One case, so that the weights are what differs.
        alike = [replace(one, case=replace(one.case, weights=known.weights)) for one in own]
        return Side(name, tuple(entries(alike)))

    return [
        compare(side("the weights as they were", known), side(one.path.name, network))
        for one, network in zip(made.files, smaller, strict=True)
    ]
