"""Commands for a block of one's own: new, try."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

import click
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from facebench.architectures import extensions, registry
from facebench.architectures.errors import BadInputError
from facebench.harness.cli import options
from facebench.harness.cli.commands.running import raise_failures, run_jobs
from facebench.harness.cli.output import comparison, console, trial_table
from facebench.harness.comparison import trial
from facebench.harness.comparison.interleaved.turns import Turns
from facebench.harness.devices.emulator import setup
from facebench.harness.machine.cores import CORES
from facebench.harness.measures.layers import LAYERS_IN
from facebench.harness.models.networks import Network, resolve
from facebench.harness.records.record import Record
from facebench.harness.records.store import RECORDS, Store
from facebench.harness.runs import jobs
from facebench.harness.runtimes.registry import RUNTIMES, installed

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
            f"{name!r} will not do as a name: take small letters, digits and underscores"
        )
    path = Path(f"{name}.py")
    text = (_TEMPLATES / "block.py.txt").read_text()
    try:
        with path.open("x") as file:
            file.write(text.replace("@NAME@", name).replace("@FILE@", path.name))
    except FileExistsError:
        raise BadInputError(f"{path} exists already: choose another name") from None
    console.out.print(f"{path}: change its Block, then run: facebench try {path}", soft_wrap=True)


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
@click.pass_context
def try_(
    context: click.Context,
    file: Path,
    against: str,
    runtime: str | None,
    core: str,
    rounds: int,
    threads: int,
    faces: Path | None,
    teacher: str | None,
    epochs: float,
    dataset: str,
    data: Path | None,
    out: Path | None,
    as_json: bool,
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
    out = out or Path(f"{file.stem}-trial")
    names = _load(file)
    known = resolve(against)
    question = trial.TrialQuestion(
        known,
        [resolve(name) for name in names],
        _runtimes(runtime),
        _cores(core),
        threads,
    )
    store = Store(out / RECORDS)
    records = run_jobs(question.exact(), store)
    records += _timed(question, replace(Turns(), processes=rounds), store)
    if faces is not None:
        trained = out / "weights"
        _teach(context, [against, *names], faces, teacher, epochs, trained)
        records += _scored(question, trained, dataset, data, store)
    comparisons = [trial.against(known, network, records) for network in question.networks]
    if as_json:
        console.as_json([asdict(one) for one in comparisons])
    else:
        for one in comparisons:
            console.out.print(f"\n{one.new} beside {one.base}", style="bold", highlight=False)
            comparison.show(one)
        trial_table.layers(records)
        trial_table.front(question, records)
    _report(records, out, as_json)
    raise_failures([record for record in records if record.status == "failed"])


def _load(file: Path) -> list[str]:
    """The names that the file registers; processes that are started later know them too."""
    path = file.absolute()
    others = [one for one in extensions.user_files() if one != path]
    os.environ[extensions.VARIABLE] = os.pathsep.join(map(str, [*others, path]))
    found = [name for name in registry.names() if registry.find(name).source]
    digest = extensions.digest(path)
    mine = [name for name in found if registry.find(name).source == digest]
    if not mine:
        raise BadInputError(
            f"{file} registers no network: decorate a function with @register, or begin with "
            "'facebench new block NAME'"
        )
    return mine


def _runtimes(names: str | None) -> list[str]:
    if names is None:
        return [name for name in installed() if name != "torch"]
    chosen = options.comma_list(names)
    for name in chosen:
        RUNTIMES[name].require()
    return chosen


def _cores(names: str) -> list[str]:
    chosen = options.comma_list(names)
    for name in chosen:
        CORES[name]
    if chosen and (missing := setup.ready()):
        console.err.print(f"no emulated ARM figures: {missing}", markup=False, soft_wrap=True)
        return []
    return chosen


def _timed(question: trial.TrialQuestion, budget: Turns, store: Store) -> list[Record]:
    """Latencies in turns, under a bar."""
    with Progress(
        TextColumn("{task.description}"),
        BarColumn(bar_width=30),
        TimeRemainingColumn(),
        console=console.err,
        disable=not console.err.is_terminal,
    ) as progress:
        task = progress.add_task("in turns", total=len(question.runtimes) * budget.processes)

        def listen(runtime: str, done: int, of: int) -> None:
            before = question.runtimes.index(runtime) * of
            progress.update(task, description=f"in turns: {runtime}", completed=before + done)

        records = question.timed(budget, listen)
    for record in records:
        store.append(record)
    return records


def _teach(
    context: click.Context,
    names: Sequence[str],
    faces: Path,
    teacher: str | None,
    epochs: float,
    out: Path,
) -> None:
    """Both trained alike; what was trained before is not trained again."""
    from facebench.harness.cli.commands.training import train

    context.invoke(
        train,
        networks=tuple(names),
        data=faces,
        recipe_name="distill",
        teacher=teacher or f"mobilefacenet={resolve('mobilefacenet', 'shipped').path}",
        epochs=epochs,
        out=out,
    )


def _scored(
    question: trial.TrialQuestion, trained: Path, dataset: str, data: Path | None, store: Store
) -> list[Record]:
    from facebench.harness.training.train import WEIGHTS, folder_of
    from facebench.harness.verification.datasets.registry import data_root

    def filled(network: Network) -> Network:
        return resolve(network.name, folder_of(trained, network.name, 0) / WEIGHTS)

    scoring = jobs.Scoring(dataset)
    wanted = [
        jobs.with_fingerprint(
            jobs.scoring_job(filled(network), LAYERS_IN, scoring, data_root(data))
        )
        for network in question.all
    ]
    return run_jobs(wanted, store)


def _report(records: Sequence[Record], out: Path, quiet: bool) -> None:
    from facebench.reports.render import render

    files = render(records, out)
    if not quiet:
        console.out.print(f"report: {files[0]}", soft_wrap=True)
