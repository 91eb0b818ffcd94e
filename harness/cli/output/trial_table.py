"""Prints where a network's time goes, and what it must beat to have a place on the front."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.markup import escape

from facebench.harness.cli.output import comparison, training
from facebench.harness.cli.output.terminal import new_table, out
from facebench.harness.comparison.trial import TrialQuestion
from facebench.harness.measures.layers import LAYERS_IN
from facebench.harness.records.accuracy import Accuracy
from facebench.harness.records.cost import Cost
from facebench.harness.records.layers import LayerTimes
from facebench.harness.records.record import Record
from facebench.harness.records.store import RECORDS, Store
from facebench.harness.storage import shipped
from facebench.harness.verification.intervals import accuracy

if TYPE_CHECKING:  # loads torch
    from facebench.harness.training.trial import TrialOutcome

_MOST = 6


def show(outcome: TrialOutcome) -> None:
    """Print the trained files, each comparison, where the time goes, and what the front asks."""
    if outcome.training is not None:
        training.show(outcome.training, as_json=False)
    for one in outcome.comparisons:
        out.print(f"\n{one.new} beside {one.base}", style="bold", highlight=False)
        comparison.show(one)
    layers(outcome.records)
    front(outcome.question, outcome.records)


def layers(records: Sequence[Record]) -> None:
    """Print each network's time by operator, and its slowest layers."""
    for record in records:
        if not isinstance(found := record.result, LayerTimes):
            continue
        shares = list(found.shares.items())[:_MOST]
        out.print(f"\n{escape(record.case.network)}: where the time goes", style="bold")
        table = new_table("operator", "share")
        for operator, share in shares:
            table.add_row(escape(operator), f"{share:.0%}")
        out.print(table)
        slowest = sorted(found.layers, key=lambda layer: -layer.ms)[:_MOST]
        named = ", ".join(f"{layer.name} {layer.ms:.2f} ms" for layer in slowest)
        text = f"slowest layers in {LAYERS_IN} (measured, with its profiler): {named}"
        out.print(text, markup=False, highlight=False, soft_wrap=True)


def front(question: TrialQuestion, records: Sequence[Record]) -> None:
    """Print what a network must be more accurate than, for a place on the front by MAdds."""
    known = _reference()
    if not known:
        return
    for network in question.networks:
        cost = next(
            (
                record.result
                for record in records
                if record.case.network == network.name and isinstance(record.result, Cost)
            ),
            None,
        )
        if cost is None:
            continue
        madds = cost.madds["conv+linear"]
        rivals = {name: score for name, (count, score) in known.items() if count <= madds}
        if not rivals:
            text = "takes fewer MAdds than every reference network: it is on the front anyhow"
        else:
            best = max(rivals, key=lambda name: rivals[name].accuracy)
            text = (
                f"must be shown to be more accurate on lfw than {best}, which takes no more MAdds "
                f"and scores {_score(rivals[best])}, distilled as the reference was, for a place "
                "on the front of accuracy against MAdds"
            )
        out.print(f"{network.name} {text}", markup=False, highlight=False, soft_wrap=True)


def _score(found: Accuracy) -> str:
    sure = accuracy(found)
    if sure is None or sure.interval is None:
        return f"{found.accuracy:.2%}"
    low, high = sure.interval
    return f"{sure.value:.2%} ({low:.2%} to {high:.2%})"


def _reference() -> dict[str, tuple[int, Accuracy]]:
    """Return MAdds and accuracy on LFW of the networks with shipped weights."""
    path = shipped.folder("reference") / RECORDS
    if not path.exists():
        return {}
    records = Store(path).read()
    madds = {
        r.case.network: r.result.madds["conv+linear"] for r in records if isinstance(r.result, Cost)
    }
    return {
        record.case.network: (madds[record.case.network], record.result)
        for record in records
        if isinstance(record.result, Accuracy) and record.case.network in madds
    }
