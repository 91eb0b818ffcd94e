"""The command that judges the paper's claims by records: claims."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click

from facebench.harness.cli import options
from facebench.harness.cli.commands.runs import default_results, records_of
from facebench.harness.cli.output import terminal


@click.command()
@click.argument(
    "results", nargs=-1, type=click.Path(path_type=Path), metavar="[RESULTS]...",
)  # fmt: skip
@options.as_json
def claims(results: tuple[Path, ...], as_json: bool) -> None:
    """Judge each claim of the paper by records: supported, refuted, or not decidable here.

    Each verdict comes with the figure that it turns on, its interval, how it was obtained, and
    for which runtime and device it holds.

    \b
    facebench claims                              by what 'facebench run' left
    facebench claims board.jsonl laptop.jsonl
    facebench claims --json | jq '.[] | {name, verdict}'
    """
    from facebench.reports.claims import judged
    from facebench.reports.claims_text import lines
    from facebench.reports.evidence import Evidence

    found = judged(Evidence(records_of(results or default_results())))
    if as_json:
        terminal.as_json(
            [
                {
                    "name": one.claim.name,
                    "text": one.claim.text,
                    "where": one.claim.where,
                    "needs": one.claim.needs,
                    "verdict": one.verdict,
                    "findings": [asdict(finding) for finding in one.findings],
                }
                for one in found
            ]
        )
        return
    for line in lines(found):
        terminal.out.print(line, soft_wrap=False, highlight=False)
