"""The command that says what trained weights are: card."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from facebench.architectures.errors import BadInputError
from facebench.harness.cli import options
from facebench.harness.cli.output import terminal
from facebench.harness.records.store import Store


@click.command()
@click.argument(
    "weights", nargs=-1, required=True, metavar="WEIGHTS...",
    type=click.Path(path_type=Path, dir_okay=False),
)  # fmt: skip
@click.option(
    "--scores", type=click.Path(path_type=Path, dir_okay=False), metavar="RESULTS",
    help="Write what 'verify -o RESULTS' found of these files into them.",
)  # fmt: skip
@options.as_json
def card(weights: tuple[Path, ...], scores: Path | None, as_json: bool) -> None:
    """Print the model card of weights that 'train' made: data, recipe, scores, limits.

    \b
    facebench card trained/mobilefacenet/seed0/weights.safetensors
    facebench verify mobilefacenet --weights mobilefacenet=W.safetensors --dataset lfw -o v.jsonl
    facebench card W.safetensors --scores v.jsonl
    """
    from facebench.harness.training import weights as files

    if scores is None:
        found = {str(path): files.facts(path) for path in weights}
    else:
        records = Store(scores).read()
        found = {str(path): files.add_scores(path, records, str(scores)) for path in weights}
    if as_json:
        terminal.as_json(found)
        return
    cards = "\n".join(_text(path, facts) for path, facts in found.items())
    terminal.out.print(cards, markup=False, highlight=False, soft_wrap=True, end="")


def _text(path: str, facts: dict[str, Any]) -> str:
    from facebench.harness.training.card import card as text

    try:
        return text(facts)
    except BadInputError as error:
        raise BadInputError(f"{path} has odd metadata ({error}): train it anew") from error
