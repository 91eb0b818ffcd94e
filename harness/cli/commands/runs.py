"""Commands on whole runs: run, plan, report."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from facebench.architectures.errors import BadInputError
from facebench.harness.cli import case_options, options
from facebench.harness.cli.commands.running import run_reporting
from facebench.harness.cli.output import console, plan_table, terminal
from facebench.harness.records.record import Record
from facebench.harness.records.store import RECORDS, records_of
from facebench.harness.runs.plan_estimate import EstimateRequest, estimate_plan
from facebench.harness.runs.plan_run import RunRequest, run_plan
from facebench.harness.storage import eviction, writing

DEFAULT_OUT = Path("reports/out")


def _no_link_by_default(context: click.Context, parameter: click.Parameter, value: Path) -> Path:
    if context.get_parameter_source(str(parameter.name)) is ParameterSource.DEFAULT:
        writing.unchosen(value, Path(), "-o")
    return value


def _out(text: str) -> Callable[[options.Command], options.Command]:
    """Return the option that names the folder of a run, with what its help says."""
    return click.option(
        "-o", "--out", type=click.Path(path_type=Path, file_okay=False), default=DEFAULT_OUT,
        show_default=True, callback=_no_link_by_default, help=text,
    )  # fmt: skip


@click.command()
@click.argument("plan", default="paper")
@_out("Folder of the records and the report.")
@options.data
@case_options.plan_weights
@click.option(
    "--device", multiple=True, metavar="D",
    help="Where latency is measured, instead of what the plan says; may be given again.",
)  # fmt: skip
@click.option(
    "--cluster", metavar="auto|ADDRESS",
    help="Run on a Ray cluster: 'auto' is the one of this machine. Times are all taken on one "
    "machine of it.",
)  # fmt: skip
@click.option(
    "--identical", multiple=True, metavar="HOST",
    help="A machine of the cluster that is like the others so named, or 'all': those that are as "
    "fast in a calibration case are timed on too; may be given again.",
)  # fmt: skip
@case_options.sampling
@options.as_json
def run(
    out: Path,
    weights: tuple[dict[str, str], str],
    device: tuple[str, ...],
    as_json: bool,
    **chosen: Any,
) -> None:
    """Run a plan and render its report: the main job.

    PLAN is a TOML file or a built-in plan: paper (the default), quick, arm, x86 or
    systems.
    What is in the records already is not run again; a run that was interrupted
    goes on where it was. Exit code 1 says that a case failed.

    \b
    facebench run
    facebench run quick --processes 5 --known-to 1%
    facebench run my_plan.toml -o results/mine --data ~/faces
    facebench run quick --device ssh://pi@raspberrypi -o results/pi
    facebench run my_plan.toml --cluster auto -o results/lab
    facebench run my_plan.toml --cluster auto --identical node1 --identical node2
    """
    from facebench.reports import standing
    from facebench.reports.terminal import summary

    def report(known: Sequence[Record], to_come: str) -> Path:
        from facebench.reports.render import render  # loads matplotlib

        return render(known, out, to_come)[0]

    leave = eviction.limit()
    files, otherwise = weights
    request = RunRequest(
        out=out, weights=files, weights_otherwise=otherwise, devices=device, **chosen
    )
    records = run_plan(request, run_reporting(report), terminal.say)
    pages = standing.render(records, out)
    eviction.prune(leave)
    if as_json:
        terminal.as_json([console.flat(record) for record in records])
    else:
        terminal.out.print(summary(records))
        terminal.out.print(f"report: {pages[0]}", soft_wrap=True)
    failures = [record for record in records if record.status == "failed"]
    console.warn(failures)
    if failures:
        sys.exit(1)


@click.command("plan")
@click.argument("plan", default="paper")
@_out("Folder of the records: what is in them does not run again.")
@options.data
@click.option("--connect", is_flag=True, help="Ask the boards that the plan names what they are.")
@click.option("--estimate", is_flag=True, help="Say how long it takes, here and on a cluster.")
@click.option(
    "--machines", default="1", show_default=True, metavar="N[,N]",
    help="Machines of a cluster, each with as many cores as this one.",
)  # fmt: skip
@click.option(
    "--boards", type=click.IntRange(1, 10_000), metavar="N",
    help="Boards that each remote device lends. Default: as many as it says.",
)  # fmt: skip
@click.option(
    "--from", "others", multiple=True, type=click.Path(path_type=Path), metavar="RESULTS",
    help="More records that tell how long cases take; may be given again.",
)  # fmt: skip
@options.as_json
def plan_(
    estimate: bool, machines: str, others: tuple[Path, ...], as_json: bool, **chosen: Any
) -> None:
    """Say what a plan holds, what of it is done, and how long the rest takes.

    Times are those of records: of the same case, else of its kind, else of its measure. The
    schedule is simulated; nothing runs.

    \b
    facebench plan paper
    facebench plan paper --estimate --from results/mine
    facebench plan lab.toml --connect --estimate --machines 1,4,16 --boards 100
    """
    counts = _counts(machines)
    told = records_of(others) if others else []
    request = EstimateRequest(told=told, machines=counts if estimate else (), **chosen)
    found = estimate_plan(request)
    if found.unasked:
        terminal.say(
            f"not asked, and their cases not counted: {', '.join(found.unasked)}; --connect asks"
        )
    if as_json:
        measures = [asdict(row) for row in found.rows]
        terminal.as_json({"cores": found.cores, "seconds": found.seconds, "measures": measures})
        return
    terminal.out.print(plan_table.holds(found.rows, estimate))
    exported = f"{found.exported} of {found.networks} networks are exported already"
    for line in [exported, *plan_table.durations(found.rows, found.seconds, found.cores)]:
        terminal.out.print(line, markup=False, soft_wrap=True)


def _counts(text: str) -> list[int]:
    names = options.comma_list(text)
    if not names or not all(name.isdecimal() and 1 <= int(name) <= 10_000 for name in names):
        raise BadInputError(f"--machines {text!r} is not valid: give numbers from 1 to 10000")
    return [int(name) for name in names]


@click.command()
@click.argument(
    "results", nargs=-1, type=click.Path(path_type=Path), metavar="[RESULTS]...",
)  # fmt: skip
@_out("Folder to write to.")
@click.option(
    "--only", multiple=True, metavar="figure:NAME|table:NAME",
    help="Only this figure, or LaTeX table, for a paper; may be given again.",
)  # fmt: skip
@click.option(
    "--format", "form", type=click.Choice(["pdf", "svg", "png"]), default="pdf",
    show_default=True, help="Of figures that --only names.",
)  # fmt: skip
@click.option(
    "--size", type=click.Choice(["column", "page"]), default="column", show_default=True,
    help="Width of figures that --only names.",
)  # fmt: skip
@options.as_json
def report(
    results: tuple[Path, ...],
    out: Path,
    only: tuple[str, ...],
    form: str,
    size: str,
    as_json: bool,
) -> None:
    """Render a report from results files, anew.

    \b
    facebench report                                 of what 'facebench run' left
    facebench report board.jsonl laptop.jsonl -o both
    facebench report --only figure:pareto --format pdf --size column -o paper
    facebench report --only table:comparison -o paper
    """
    from facebench.reports.render import render, render_one

    records = records_of(results or default_results())
    if only:
        files = [render_one(records, what, form, size, out) for what in only]
    else:
        files = render(records, out)
    if as_json:
        terminal.as_json([str(path) for path in files])
    else:
        terminal.out.print("\n".join(map(str, files)), markup=False, soft_wrap=True)


def default_results() -> tuple[Path, ...]:
    """Return where 'facebench run' leaves its records."""
    return (DEFAULT_OUT / RECORDS,)
