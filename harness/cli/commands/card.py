"""The command that says what trained weights are: card."""

from __future__ import annotations

from pathlib import Path

import click

from facebench.architectures.errors import BadInputError
from facebench.harness.cli import options
from facebench.harness.cli.output import console
from facebench.harness.records.accuracy import Accuracy
from facebench.harness.records.store import Store
from facebench.harness.storage.cache import file_digest


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
    from facebench.harness.training.card import card as text
    from facebench.harness.training.evaluation import figures

    found = {}
    for path in weights:
        facts = files.facts(path)
        if scores is not None:
            new = {
                record.case.dataset: figures(record.result)
                for record in Store(scores).read()
                if isinstance(record.result, Accuracy)
                and record.result.scores is not None
                and record.case.weights == f"sha256:{file_digest(path)}"
            }
            if not new:
                raise BadInputError(
                    f"{scores} has no scores of {path}: 'facebench verify' with these weights "
                    f"and -o {scores} makes them"
                )
            facts = facts | {"scores": facts["scores"] | new}
            files.save(path, files.load(path), facts)
        found[str(path)] = facts
    if as_json:
        console.as_json(found)
        return
    try:
        cards = "\n".join(map(text, found.values()))
        console.out.print(cards, markup=False, highlight=False, soft_wrap=True, end="")
    except KeyError as error:
        raise BadInputError(f"{path} lacks {error} in its metadata: train it anew") from error
