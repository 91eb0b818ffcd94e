"""The command that says what became slower or less accurate: compare."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import click

from facebench.architectures.errors import BadInputError
from facebench.harness.cli import options
from facebench.harness.cli.options import Command
from facebench.harness.cli.output import comparison, terminal
from facebench.harness.cli.output.progress import RevisionProgress
from facebench.harness.comparison.environments import KINDS
from facebench.harness.comparison.job_spread import CAUTIOUS, ENOUGH_HOURS, ENOUGH_JOBS
from facebench.harness.comparison.outputs.files import OutputFiles
from facebench.harness.comparison.request import (
    ComparisonRequest,
    compare_named,
    require_something,
)
from facebench.harness.comparison.revisions.measure import ROUNDS
from facebench.harness.comparison.verdict import Policy
from facebench.harness.measures.registry import MEASURES
from facebench.harness.storage.progress import SILENT

store = click.option(
    "--store", type=click.Path(path_type=Path, file_okay=False), metavar="DIR",
    help="Folder of the baselines. Default: results/baselines of this checkout.",
)  # fmt: skip


measure = click.option(
    "--measure", default="", metavar="M[,M]", help=f"Only of these: {', '.join(MEASURES.names())}.",
)  # fmt: skip


def _share(context: click.Context, parameter: click.Parameter, text: str | None) -> float | None:
    """Return percents, with or without the sign, as a fraction."""
    if text is None:
        return None
    try:
        share = float(text.removesuffix("%")) / 100
    except ValueError:
        share = -1.0
    if not 0 <= share < 1:
        raise click.BadParameter(f"{text!r} is not valid: give percents from 0 to 100, such as 2%")
    return share


def percent(*names: str, default: str | None, about: str) -> Callable[[Command], Command]:
    """Return an option whose value is given in percent and arrives as a fraction."""
    return click.option(
        *names,
        default=default,
        show_default=default is not None,
        metavar="P",
        callback=_share,
        help=about,
    )


def _policy_of(
    margin: float,
    count_margin: float,
    accuracy_margin: float,
    level: float,
    between_jobs: float | None,
    across: str,
) -> Policy:
    kinds = frozenset(options.comma_list(across))
    return Policy(
        margin, count_margin, accuracy_margin, level, across=kinds, between_jobs=between_jobs
    )


_policy = options.gathered(
    "policy",
    _policy_of,
    percent(
        "--margin", default="1%",
        about="Of times: smaller changes are no alarm, and same is within it.",
    ),
    percent(
        "--count-margin", default="0%",
        about="Of exact counts: instructions, MAdds, parameters, sizes.",
    ),
    percent("--accuracy-margin", default="0.2%", about="Of accuracies, in percentage points."),
    percent(
        "--false-alarms", "level", default="1%",
        about="Chance of any false alarm at all, however many cases there are.",
    ),
    percent(
        "--between-jobs", default=None,
        about="Standard deviation of times between two runs of the same code, where there are "
        f"fewer than {ENOUGH_JOBS} a side and they took no turns. Default: that of this machine's "
        f"history, where it has {ENOUGH_HOURS} hours, else {CAUTIOUS:.0%}.",
    ),
    click.option(
        "--across", default="", metavar="K[,K]",
        help=f"Compare in spite of differences in: {', '.join(KINDS)}.",
    ),
)  # fmt: skip


def _written(name: str, what: str) -> Callable[[Command], Command]:
    path = click.Path(path_type=Path, dir_okay=False)
    return click.option(name, type=path, metavar="FILE", help=f"Write {what}.")


_files = options.gathered(
    "files",
    OutputFiles,
    _written("--junit", "JUnit XML"),
    _written("--benchmark-action", "NEW as github-action-benchmark's customSmallerIsBetter"),
    _written("--pytest-benchmark", "the times of NEW as pytest-benchmark's JSON"),
)


@click.command()
@click.argument("base", metavar="BASE")
@click.argument("new", metavar="NEW")
@_policy
@click.option(
    "--any-change", is_flag=True,
    help="Exit code 1 for a change for the better too: the baseline wants renewing.",
)  # fmt: skip
@measure
@store
@click.option("--plan", metavar="PLAN", help="Of git revisions: what is measured, as for run.")
@click.option(
    "--rounds", type=click.IntRange(1, 100), metavar="N",
    help=f"Of git revisions: times that each is timed, in turns. Default: {ROUNDS}.",
)  # fmt: skip
@click.option(
    "--keep", type=click.Path(path_type=Path, file_okay=False), metavar="DIR",
    help="Of git revisions: write base.jsonl and new.jsonl, the records of each.",
)  # fmt: skip
@click.option(
    "--github", "on_github", is_flag=True,
    help="Annotate the workflow, and add to its step's summary.",
)  # fmt: skip
@_files
@options.as_json
def compare(
    base: str,
    new: str,
    policy: Policy,
    any_change: bool,
    measure: str,
    on_github: bool,
    files: OutputFiles,
    as_json: bool,
    **chosen: Any,
) -> None:
    """Say what became slower, larger or less accurate from BASE to NEW.

    Each is a results file, the folder of a run, baseline:NAME, git:REVISION, a JSON file
    of another tool (pytest-benchmark, Google Benchmark, hyperfine, asv,
    github-action-benchmark), or a folder of such files. Git revisions are checked out and
    measured here, in turns, each in its own environment; git:. is the working tree.
    Exit code 1 says that there is a regression: a figure that is worse by more than the
    margin and not by chance, or a case that fails now.

    \b
    facebench compare before.jsonl after.jsonl
    facebench compare baseline:main reports/out --margin 3% --measure cost,instructions
    facebench compare baseline:main reports/out --across versions --github --junit junit.xml
    facebench compare .benchmarks/before .benchmarks/after
    facebench compare git:main git:. --plan ci.toml --rounds 10
    """
    if as_json and on_github:
        raise BadInputError("--json and --github both write to standard output: choose one")
    measures = options.comma_list(measure)
    request = ComparisonRequest(base, new, policy, measures, **chosen)
    with RevisionProgress() if request.revisions else nullcontext(SILENT) as progress:
        outcome = compare_named(request, progress)
    files.write(outcome)
    found = outcome.comparison
    if as_json:
        terminal.as_json(comparison.to_json(found))
    elif on_github:
        comparison.show_on_github(found)
    else:
        comparison.show(found)
    require_something(found)
    if any_change and found.gains:
        terminal.err.print(f"{len(found.gains)} figures became better: save the baseline anew")
    if found.regressions or (any_change and found.gains):
        sys.exit(1)
