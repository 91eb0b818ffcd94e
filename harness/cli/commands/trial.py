"""Offers commands for a block of one's own: new, try."""

from __future__ import annotations

import re
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from facebench.architectures.errors import BadInputError
from facebench.harness.cli import options
from facebench.harness.cli.commands.running import raise_failures, run_jobs
from facebench.harness.cli.output import terminal, trial_table
from facebench.harness.cli.output.progress import Bar
from facebench.harness.cli.output.training import TrainingProgress
from facebench.harness.comparison.interleaved.turns import Turns
from facebench.harness.storage import writing

_TEMPLATES = Path(__file__).parents[1] / "templates"
_CORE = "cortex-a72"


@click.group()
def new() -> None:
    """Begin something of your own from a template.

    \b
    facebench new block my_block
    """


@new.command("block")
@click.argument("name")
def block(name: str) -> None:
    """Write NAME.py: a network in MobileFaceNet's frame whose block is yours to change.

    \b
    facebench new block my_block && facebench try my_block.py
    """
    if not re.fullmatch(r"[a-z][a-z0-9_]{0,40}", name):
        raise BadInputError(
            f"{name!r} is no valid name: take small letters, digits and underscores"
        )
    path = Path(f"{name}.py")
    text = (_TEMPLATES / "block.py.txt").read_text()
    try:
        writing.create(path, text.replace("@NAME@", name).replace("@FILE@", path.name))
    except FileExistsError:
        raise BadInputError(f"{path} exists already: choose another name") from None
    terminal.out.print(f"{path}: change its Block, then run: facebench try {path}", soft_wrap=True)


@click.command("try")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option(
    "--against", default="mobilefacenet", show_default=True, metavar="NETWORK",
    help="The network that yours are held against.",
)  # fmt: skip
@click.option(
    "--runtime", metavar="R[,R]", help="Where both are timed. Default: all that are installed."
)
@click.option(
    "--core", default=_CORE, show_default=True, metavar="C[,C]",
    help="Emulated cores, where 'facebench device setup-emulated' was run.",
)  # fmt: skip
@click.option(
    "--rounds", type=click.IntRange(2, 100), default=Turns().processes, show_default=True,
    help="Processes of each network and runtime, which take turns.",
)  # fmt: skip
@options.threads
@click.option(
    "--faces", type=click.Path(path_type=Path), metavar="PATH",
    help="Training faces: teach both networks for some epochs, and score them.",
)  # fmt: skip
@click.option("--teacher", metavar="T", help="As in 'train'. Default: the shipped mobilefacenet.")
@click.option(
    "--epochs", type=click.FloatRange(0, min_open=True), default=4, show_default=True,
    help="Of the short training.",
)  # fmt: skip
@click.option(
    "--dataset", default="lfw", show_default=True, help="That both are scored on, after training."
)
@options.data
@click.option(
    "-o", "--out", type=click.Path(path_type=Path, file_okay=False), metavar="DIR",
    help="Folder for the records and a report. Default: FILE without .py, and -trial.",
)  # fmt: skip
@options.as_json
def try_(
    file: Path, runtime: str | None, core: str, out: Path | None, as_json: bool, **chosen: Any
) -> None:
    """Put the networks of a file of yours on trial beside a known one.

    FILE is Python that registers networks ('facebench new block NAME' writes one); it is run
    as your own code is. Without any data you learn what they cost, how fast they are in each
    runtime and on an emulated ARM core, and where the time goes; with faces, also what a
    short training under the same conditions makes of both, in a paired test.

    \b
    facebench try my_block.py
    facebench try my_block.py --runtime ncnn,tvm --rounds 10 -o trial
    facebench try my_block.py --faces faces.tar --epochs 4 --data DIR
    """
    from facebench.harness.training.trial import TrialRequest, TrialWatch, put_on_trial
    from facebench.reports.render import render

    out = out or Path(f"{file.stem}-trial")
    runtimes = None if runtime is None else options.comma_list(runtime)
    request = TrialRequest(file, out, runtimes=runtimes, cores=options.comma_list(core), **chosen)
    watch = TrialWatch(run_jobs, Bar, TrainingProgress, terminal.say)
    found = put_on_trial(request, watch)
    pages = render(found.records, out)
    if as_json:
        terminal.as_json([asdict(one) for one in found.comparisons])
    else:
        trial_table.show(found)
        terminal.out.print(f"report: {pages[0]}", soft_wrap=True)
    raise_failures([record for record in found.records if record.status == "failed"])
