"""The command that writes records in formats of other programs: convert."""

from __future__ import annotations

from pathlib import Path

import click

from facebench.architectures.errors import BadInputError
from facebench.harness.cli import options
from facebench.harness.cli.commands.runs import default_results
from facebench.harness.cli.output import terminal
from facebench.harness.records.record import Record


@click.command()
@click.argument(
    "results", nargs=-1, type=click.Path(path_type=Path), metavar="[RESULTS]...",
)  # fmt: skip
@click.option("--to", required=True, metavar="FORMAT", help="See 'facebench list formats'.")
@click.option(
    "-o", "--out", required=True, type=click.Path(path_type=Path),
    help="File to write; of croissant, the folder.",
)  # fmt: skip
@click.option(
    "--into", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE",
    help="Model or model card that the figures are added to, in formats that are of one.",
)  # fmt: skip
@click.option("--network", help="Only records of this network.")
@options.as_json
def convert(
    results: tuple[Path, ...],
    to: str,
    out: Path,
    into: Path | None,
    network: str | None,
    as_json: bool,
) -> None:
    """Write records in a format that other programs read.

    RESULTS are results files, runs' folders, or ONNX files that carry records. What a format
    has no room for is left out, and said.

    \b
    facebench convert results/mine --to parquet -o figures.parquet
    facebench convert results/mine --to huggingface --network mobilefacenet -o README.md
    facebench convert results/mine --to onnx --into mobilefacenet.onnx -o with_figures.onnx
    facebench convert with_figures.onnx --to records -o records.jsonl
    """
    from facebench.reports.exchange import registry

    records = _of(registry.read(results or default_results()), network)
    written = registry.convert(records, to, registry.Destination(out, into))
    if as_json:
        terminal.as_json({"path": str(out), "format": to, **vars(written)})
        return
    reader = registry.FORMATS[to].reader
    terminal.out.print(
        f"{out}: {written.count} {written.noun}, for {reader}",
        markup=False, highlight=False, soft_wrap=True,
    )  # fmt: skip
    for sentence in written.left_out:
        terminal.say(f"left out: {sentence}")


def _of(records: list[Record], network: str | None) -> list[Record]:
    found = [one for one in records if network in (None, one.case.network)]
    if not found:
        names = ", ".join(sorted({one.case.network for one in records})) or "none"
        raise BadInputError(f"the records hold nothing of --network {network}, but of {names}")
    return found
