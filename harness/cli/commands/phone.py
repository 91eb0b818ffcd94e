"""Offers the commands on phones of the user's own."""

from __future__ import annotations

from typing import TextIO

import click

from facebench.harness.cli import options
from facebench.harness.cli.output import terminal
from facebench.harness.devices.emulator import anchors, measured, model
from facebench.harness.devices.emulator.anchors import Held
from facebench.harness.machine.boards import BOARDS
from facebench.harness.machine.phones import Phone, keep


@click.group()
def phone() -> None:
    """Phones of your own, for modelled times.

    \b
    facebench phone add mine --core cortex-a76 --ghz 2.8
    facebench latency mobilefacenet --runtime ncnn --device emulated:mine
    """


@phone.command()
@click.argument("name")
@click.option("--core", required=True, help="See 'facebench list cores'.")
@click.option("--ghz", required=True, type=float, help="The core's clock.")
@click.option(
    "--measured", "figures", type=click.File(),
    help="Times of one thread of ncnn measured there: a file, or - for what is pasted: lines "
    "such as 'MobileNetV1 31.5 ms', or what benchncnn prints.",
)  # fmt: skip
@options.as_json
def add(name: str, core: str, ghz: float, figures: TextIO | None, as_json: bool) -> None:
    """Keep a phone under a name: its core, its clock, and what was measured there.

    One figure that was measured makes modelled times of the phone better, several more so.

    \b
    facebench phone add mine --core cortex-a76 --ghz 2.8
    echo 'MobileNetV1 31.5 ms' | facebench phone add mine --core cortex-a76 --ghz 2.8 --measured -
    """
    if name in BOARDS:
        raise click.UsageError(f"{name} is a board that facebench knows: choose another name")
    made = Phone(name, core, ghz, measured.parse(figures.read()) if figures else ())
    path = keep(made)
    held = anchors.of_phone(made)
    if as_json:
        terminal.as_json({"file": str(path), "measured": [_plain(one) for one in held]})
        return
    for line in _lines(made, held):
        terminal.out.print(line, markup=False, highlight=False, soft_wrap=True)


def _lines(made: Phone, held: list[Held]) -> list[str]:
    by, anchor = model.constants(), anchors.of_device(made.name)
    lines = [f"emulated:{made.name}: {made.core} at {made.ghz:g} GHz"]
    for one in held:
        contradicts = "" if abs(one.error) <= by.time_reach else ", which contradicts the model"
        lines.append(
            f"{one.figure.network}: {one.figure.ms:g} ms measured, {one.modelled_ms:.3g} ms "
            f"modelled (ncnn {one.ncnn}){contradicts}"
        )
    if missing := len(made.measured) - len(held):
        lines.append(f"{missing} figures are of networks that were not counted on {made.core}")
    if held:
        reach = model.reach_text(anchor)
        lines.append(f"modelled times are multiplied by {anchor.factor:.2f}, and then {reach}")
    return lines


def _plain(one: Held) -> dict[str, float | str | bool]:
    return {
        "network": one.figure.network,
        "ms": one.figure.ms,
        "modelled_ms": one.modelled_ms,
        "ncnn": one.ncnn,
        "contradicts": abs(one.error) > model.constants().time_reach,
    }
