"""The command that judges a paper's claims by records: claims."""

from __future__ import annotations

from pathlib import Path

import click

from facebench.architectures.errors import BadInputError
from facebench.harness.cli import options
from facebench.harness.cli.commands.runs import default_results
from facebench.harness.cli.output import terminal
from facebench.harness.records.store import records_of


@click.command()
@click.argument(
    "results", nargs=-1, type=click.Path(path_type=Path), metavar="[RESULTS]...",
)  # fmt: skip
@click.option(
    "--why", type=click.IntRange(1), metavar="N",
    help="Say of the claim with this number what was found in each place, and why.",
)  # fmt: skip
@click.option(
    "--paper", default="mobilefacenets", show_default=True, metavar="NAME|FILE",
    help="Whose claims: NAME as an unknown one lists them, or a TOML file.",
)  # fmt: skip
@click.option("--all", "every", is_flag=True, help="Say so of all claims.")
@options.as_json
def claims(
    results: tuple[Path, ...], why: int | None, paper: str, every: bool, as_json: bool
) -> None:
    """Judge each claim of a paper by records: supported, refuted, or not decidable here.

    Each verdict comes with the figure that it turns on, its interval, and the runtime and device
    that it holds for.

    \b
    facebench claims                              by what 'facebench run' left
    facebench claims --why 5                      what was found of the fifth, and why
    facebench claims board.jsonl laptop.jsonl --all
    facebench claims --paper mine.toml            claims that you wrote
    facebench claims --json | jq '.[] | {name, verdict}'
    """
    from facebench.reports.claims.papers import judged, load
    from facebench.reports.claims_text import details, flat, overview
    from facebench.reports.evidence import Evidence
    from facebench.reports.recorded import said_of

    chosen = load(paper)
    evidence = Evidence(records_of(results or default_results()))
    found = judged(evidence, chosen)
    if why is not None and why > len(found):
        raise BadInputError(f"--why {why}: there is no such claim; they go from 1 to {len(found)}")
    if as_json:
        terminal.as_json([flat(one) for one in found])
    elif every or why is not None:
        for number, one in enumerate(found, start=1):
            if why in (None, number):
                terminal.out.print(details(one, number), highlight=False)
    else:
        terminal.out.print(overview(found, said_of(evidence.scores)), highlight=False)
