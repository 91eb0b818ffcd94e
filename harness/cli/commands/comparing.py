"""The command that says what became slower or less accurate: compare."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import click

from facebench.architectures.errors import BadInputError
from facebench.harness.cli import options
from facebench.harness.cli.commands.side_by_side import Bar
from facebench.harness.cli.options import Command
from facebench.harness.cli.output import comparison, console
from facebench.harness.comparison import pytest_benchmark
from facebench.harness.comparison.baselines import Baselines, default_root
from facebench.harness.comparison.compare import Side
from facebench.harness.comparison.compare import compare as compare_sides
from facebench.harness.comparison.environments import KINDS
from facebench.harness.comparison.outputs import benchmark_action, github, junit
from facebench.harness.comparison.revisions.checkout import is_one as is_revision
from facebench.harness.comparison.revisions.measure import CHANGES, ROUNDS, Measured, Wanted
from facebench.harness.comparison.revisions.measure import measure as measure_revisions
from facebench.harness.comparison.sources import load
from facebench.harness.comparison.verdict import Comparison, Line, Policy
from facebench.harness.measures.registry import MEASURES
from facebench.harness.records.case import Case

store = click.option(
    "--store", type=click.Path(path_type=Path, file_okay=False), metavar="DIR",
    help="Folder of the baselines. Default: results/baselines of this checkout.",
)  # fmt: skip


measure = click.option(
    "--measure", default="", metavar="M[,M]", help=f"Only of these: {', '.join(MEASURES.names())}.",
)  # fmt: skip


def _share(context: click.Context, parameter: click.Parameter, text: str) -> float:
    """Percents, with or without the sign, as a fraction."""
    try:
        share = float(text.removesuffix("%")) / 100
    except ValueError:
        share = -1.0
    if not 0 <= share < 1:
        raise click.BadParameter(f"{text!r} will not do: give percents from 0 to 100, such as 2%")
    return share


def percent(*names: str, default: str, about: str) -> Callable[[Command], Command]:
    """An option whose value is given in percent and arrives as a fraction."""
    return click.option(
        *names, default=default, show_default=True, metavar="P", callback=_share, help=about
    )


def _written(name: str, what: str) -> Callable[[Command], Command]:
    path = click.Path(path_type=Path, dir_okay=False)
    return click.option(name, type=path, metavar="FILE", help=f"Write {what}.")


@click.command()
@click.argument("base", metavar="BASE")
@click.argument("new", metavar="NEW")
@percent(
    "--margin", default="1%",
    about="Of times: smaller changes are no alarm, and same is within it.",
)  # fmt: skip
@percent(
    "--count-margin", default="0%",
    about="Of exact counts: instructions, MAdds, parameters, sizes.",
)  # fmt: skip
@percent("--accuracy-margin", default="0.2%", about="Of accuracies, in percentage points.")
@percent(
    "--false-alarms", "level", default="1%",
    about="Chance of any false alarm at all, however many cases there are.",
)  # fmt: skip
@click.option(
    "--across", default="", metavar="K[,K]",
    help=f"Compare in spite of differences in: {', '.join(KINDS)}.",
)  # fmt: skip
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
@_written("--junit", "JUnit XML")
@_written("--benchmark-action", "NEW as github-action-benchmark's customSmallerIsBetter")
@_written("--pytest-benchmark", "the times of NEW as pytest-benchmark's JSON")
@options.as_json
def compare(
    base: str,
    new: str,
    margin: float,
    count_margin: float,
    accuracy_margin: float,
    level: float,
    across: str,
    any_change: bool,
    measure: str,
    store: Path | None,
    plan: str | None,
    rounds: int | None,
    keep: Path | None,
    on_github: bool,
    as_json: bool,
    **files: Path | None,
) -> None:
    """Say what became slower, larger or less accurate from BASE to NEW.

    Each is a results file, the folder of a run, baseline:NAME, git:REVISION, a JSON
    file of pytest-benchmark, or a folder of such files. Git revisions are checked out
    and measured here, in turns, each in its own environment; git:. is the working tree.
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
    allowed = frozenset(options.comma_list(across))
    if unknown := sorted(allowed - KINDS.keys()):
        raise BadInputError(f"--across {unknown[0]!r} is not one of {', '.join(KINDS)}")
    measures = options.comma_list(measure)
    baselines = Baselines(store or default_root())
    names = [name for name in (base, new) if is_revision(name)]
    measured = _measured(names, plan, rounds, keep, measures)
    if len(names) > 1:
        allowed |= CHANGES
    policy = Policy(margin, count_margin, accuracy_margin, level, across=allowed)
    ours = iter(measured.sides)

    def side(name: str) -> Side:
        return next(ours) if is_revision(name) else load(name, baselines, measures)

    sides = side(base), side(new)
    found = replace(compare_sides(*sides, policy), measured=measured.how)
    entries = sides[1].entries
    texts = {
        "junit": lambda: junit.to_xml(found),
        "benchmark_action": lambda: _dumped(benchmark_action.to_json(entries)),
        "pytest_benchmark": lambda: _dumped(pytest_benchmark.write(entries)),
    }
    _write({path: texts[name]() for name, path in files.items() if path})
    if as_json:
        console.as_json(_json(found))
    else:
        _print(found, on_github)
    if any_change and found.gains:
        console.err.print(f"{len(found.gains)} figures became better: save the baseline anew")
    if found.regressions or (any_change and found.gains):
        sys.exit(1)


def _measured(
    names: Sequence[str],
    plan: str | None,
    rounds: int | None,
    keep: Path | None,
    measures: Sequence[str],
) -> Measured:
    """The sides that are git revisions."""
    if not names:
        if plan or rounds or keep:
            raise BadInputError(
                "--plan, --rounds and --keep are of git revisions: name one, such as git:main"
            )
        return Measured((), "")
    if not plan:
        raise BadInputError(
            f"{names[0]} is to be measured: say with --plan what of it, a TOML file or quick"
        )
    wanted = Wanted(plan, rounds or ROUNDS, tuple(measures), keep)
    with Bar() as bar:
        return measure_revisions(names, wanted, bar.watch)


def _print(found: Comparison, on_github: bool) -> None:
    with github.no_commands() if on_github else nullcontext():
        comparison.show(found)
    if on_github:
        print("\n".join(github.commands(found)))
        if path := os.environ.get("GITHUB_STEP_SUMMARY"):
            with Path(path).open("a", encoding="utf-8") as file:
                file.write(github.summary(found))


def _write(texts: Mapping[Path, str]) -> None:
    for path, text in texts.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


def _dumped(data: Any) -> str:
    return json.dumps(data, indent=1, allow_nan=False, default=str) + "\n"


def _json(found: Comparison) -> dict[str, Any]:
    policy = asdict(found.policy) | {"across": sorted(found.policy.across)}
    return {
        "base": found.base,
        "new": found.new,
        "measured": found.measured,
        "policy": policy,
        "regressions": len(found.regressions),
        "counts": found.counts,
        "lines": [_line(line) for line in found.lines],
        "only_base": _cases(found.only_base),
        "only_new": _cases(found.only_new),
    }


def _line(line: Line) -> dict[str, Any]:
    return asdict(line) | {"alarm": line.verdict.alarms}


def _cases(cases: Sequence[Case]) -> list[dict[str, Any]]:
    return [asdict(case) for case in cases]
