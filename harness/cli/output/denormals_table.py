"""Renders tables of denormal numbers, and of what flushing them gains."""

from __future__ import annotations

from collections.abc import Sequence

from rich.markup import escape
from rich.table import Table

from facebench.harness.cli.output import terminal
from facebench.harness.comparison import denormals_advice
from facebench.harness.comparison.denormals_effect import DenormalsEffect
from facebench.harness.records.denormals import DenormalCount, Denormals, worst_first
from facebench.harness.records.record import Record
from facebench.harness.runtimes.registry import RUNTIMES

# Of weights, and of layers, of one network.
_SHOWN = 10


def counts(records: Sequence[Record]) -> None:
    """Print a table of networks; then the worst of each that has any, and a sentence on each."""
    found = [(r.case.network, r.result) for r in records if isinstance(r.result, Denormals)]
    if found:
        terminal.out.print(_networks(found))
    for network, result in found:
        if not result.none:
            terminal.out.print(_worst(network, result))
    for network, result in found:
        terminal.out.print(
            denormals_advice.of_counts(network, result), markup=False, soft_wrap=True
        )


def effects(found: Sequence[DenormalsEffect]) -> None:
    """Print a table with cases down; both times, and how many times as fast flushing makes them."""
    if not found:
        return
    table = terminal.new_table(
        "network", "runtime", "threads", "ms, kept", "ms, flushed", "speedup"
    )
    table.add_column("95 % interval", justify="right")
    for one in found:
        table.add_row(
            escape(one.case.network),
            one.case.runtime,
            str(one.case.threads),
            f"{one.kept_ms:.3g}",
            f"{one.flushed_ms:.3g}",
            f"{one.speedup:.3g}",
            "refused" if one.interval is None else "{:.3g} to {:.3g}".format(*one.interval),
        )
    terminal.out.print(table)
    for one in found:
        sentence = denormals_advice.of_effect(one, RUNTIMES[one.case.runtime].flushing)
        terminal.out.print(sentence, markup=False, soft_wrap=True)


def _networks(found: Sequence[tuple[str, Denormals]]) -> Table:
    table = terminal.new_table("network", "weights", "denormal", "layers", "elements computed")
    table.add_column("denormal", justify="right")
    for network, result in found:
        elements = sum(one.elements for one in result.activations) // result.images
        table.add_row(
            escape(network),
            f"{sum(one.elements for one in result.weights):,}",
            denormals_advice.percent(result.weight_share),
            str(len(result.activations)),
            f"{elements:,} an image",
            denormals_advice.percent(result.activation_share),
        )
    return table


def _worst(network: str, result: Denormals) -> Table:
    table = terminal.new_table(f"{escape(network)}: worst first", "what", "elements", "denormal")
    for what, all_of_it in (("computed", result.activations), ("weights", result.weights)):
        worst = worst_first(all_of_it)
        for one in worst[:_SHOWN]:
            _row(table, what, one)
        if len(worst) > _SHOWN:
            table.add_row(f"and {len(worst) - _SHOWN} more", what, "", "")
    return table


def _row(table: Table, what: str, one: DenormalCount) -> None:
    table.add_row(escape(one.name), what, f"{one.elements:,}", denormals_advice.percent(one.share))
