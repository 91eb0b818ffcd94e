"""Commands on what was accepted, and on what became of it: baseline, history."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import click
from rich.markup import escape

from facebench.architectures.errors import BadInputError
from facebench.harness.cli import options
from facebench.harness.cli.commands.comparing import measure, percent, store
from facebench.harness.cli.output import terminal
from facebench.harness.comparison.baselines import Baselines, default_root
from facebench.harness.comparison.escape import visible
from facebench.harness.comparison.history import HistoryRequest, Series, find_series
from facebench.harness.comparison.sources import load
from facebench.harness.comparison.wording import case_text, figure_text, percents
from facebench.harness.records.comparable import Counted
from facebench.harness.stats.change_points import LEAST_POINTS
from facebench.harness.storage import writing

_PAGE = "index.html"
_FORMS = (".png", ".svg")


@click.group()
def baseline() -> None:
    """Keep what was accepted, in small files for git.

    \b
    facebench baseline save main results/mine
    facebench baseline list
    facebench compare baseline:main results/mine
    """


@baseline.command()
@click.argument("name")
@click.argument("results")
@measure
@store
@options.as_json
def save(name: str, results: str, measure: str, store: Path | None, as_json: bool) -> None:
    """Write the figures of RESULTS to a baseline; its other cases stay.

    RESULTS is whatever 'facebench compare' takes.

    \b
    facebench baseline save main results/mine
    facebench baseline save counts results/mine --measure cost,instructions
    facebench baseline save release baseline:main
    """
    baselines = Baselines(store or default_root())
    entries = load(results, baselines, options.comma_list(measure)).entries
    written = baselines.save(name, entries)
    for entry in entries:
        if entry.status != "ok":
            text = f"not saved: {case_text(entry.case)}: {entry.status}: {entry.reason}"
            terminal.err.print(visible(text), markup=False, soft_wrap=True)
    if not written:
        raise BadInputError(f"{results} holds no figures that a baseline could keep")
    if as_json:
        terminal.as_json([str(path) for path in written])
    else:
        text = f"{len(written)} cases saved in {baselines.folder(name)}; commit them with git"
        terminal.out.print(text, markup=False, soft_wrap=True)


@baseline.command("list")
@store
@options.as_json
def list_(store: Path | None, as_json: bool) -> None:
    """List the baselines there are.

    \b
    facebench baseline list
    """
    baselines = Baselines(store or default_root())
    rows = [_row(name, baselines) for name in baselines.names()]
    if as_json:
        terminal.as_json(rows)
    else:
        terminal.out.print(terminal.rows(rows))


@baseline.command("show")
@click.argument("name")
@store
@options.as_json
def show_(name: str, store: Path | None, as_json: bool) -> None:
    """Show the figures of a baseline.

    \b
    facebench baseline show main
    """
    entries = Baselines(store or default_root()).load(name)
    rows = [
        {
            "case": visible(case_text(entry.case)),
            "figure": figure.name,
            "value": figure_text(figure),
            "kind": entry.kind,
            "created": visible(entry.created),
        }
        for entry in entries
        for figure in entry.figures
    ]
    if as_json:
        terminal.as_json(rows)
    else:
        terminal.out.print(terminal.rows(rows))


@baseline.command()
@click.argument("name")
@store
def rm(name: str, store: Path | None) -> None:
    """Delete a baseline's files.

    \b
    facebench baseline rm old
    """
    count = Baselines(store or default_root()).remove(name)
    terminal.out.print(f"{count} cases removed", highlight=False)


@click.command()
@click.argument("words", nargs=-1, metavar="[CASE]...")
@click.option("--baseline", metavar="NAME", help="Over the commits that changed it.")
@click.option(
    "--results", multiple=True, metavar="RESULTS",
    help="Over results files, oldest first; give it again for each.",
)  # fmt: skip
@percent("--margin", default="1%", about="Smaller steps of figures with spread are none.")
@click.option(
    "-o", "--out", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE",
    help="Draw it, as .png or .svg.",
)  # fmt: skip
@click.option(
    "--html", type=click.Path(path_type=Path, file_okay=False), metavar="DIR",
    help="Write index.html there: a page of every figure, its steps and their commits.",
)  # fmt: skip
@store
@options.as_json
def history(out: Path | None, html: Path | None, as_json: bool, **chosen: Any) -> None:
    """Show figures over revisions, and where their level changed.

    CASE is words that a case's text must hold, such as: latency mobilefacenet.

    \b
    facebench history --baseline main
    facebench history latency ncnn --baseline main -o history.svg
    facebench history --baseline main --html public     for GitHub Pages
    facebench history --results monday.jsonl --results tuesday.jsonl
    """
    request = HistoryRequest(**chosen)
    if out and out.suffix not in _FORMS:
        raise BadInputError(f"{out} can't be drawn: end its name with {' or '.join(_FORMS)}")
    found = find_series(request)
    if out:
        _draw(found, out)
    if html:
        _write_page(found, html)
    if as_json:
        terminal.as_json([_json(one) for one in found])
        return
    _print(found)
    for made in filter(None, (out, html and html / _PAGE)):
        terminal.out.print(f"drawn: {made}", markup=False, soft_wrap=True)


def _row(name: str, baselines: Baselines) -> dict[str, Any]:
    entries = baselines.load(name)
    created = sorted(entry.created for entry in entries)
    return {
        "name": name,
        "cases": len(entries),
        "oldest": visible(created[0]),
        "newest": visible(created[-1]),
        "folder": str(baselines.folder(name)),
    }


def _draw(found: list[Series], out: Path) -> None:
    from facebench.reports.figures import history as drawing  # matplotlib is slow
    from facebench.reports.figures.style import image

    drawn = image(lambda theme: drawing.draw(found, theme))
    writing.write(out, drawn.svg if out.suffix == ".svg" else drawn.png)


def _write_page(found: list[Series], folder: Path) -> None:
    from facebench.reports.history_page import page  # templates are slow

    try:
        folder.mkdir(parents=True, exist_ok=True)
        writing.write(folder / _PAGE, page(found).encode())
    except OSError as error:
        raise BadInputError(f"cannot write {folder / _PAGE}: {error.strerror}") from error


def _print(found: list[Series]) -> None:
    made = terminal.new_table("case", "figure", "kind", "revisions", "first", "last")
    made.add_column("steps")
    for one in found:
        first, last = one.points[0].figure, one.points[-1].figure
        texts = (
            case_text(one.case),
            one.figure,
            one.points[-1].entry.kind,
            str(len(one.points)),
            figure_text(first),
            figure_text(last),
            "; ".join(_step(one, i) for i in range(len(one.steps))) or _no_step(one),
        )
        made.add_row(*(escape(visible(text)) for text in texts))
    terminal.out.print(made)


def _step(one: Series, index: int) -> str:
    step = one.steps[index]
    with_ = one.came_with(step)
    because = f", together with {', '.join(with_)}" if with_ else ""
    change = "from 0" if step.change is None else percents(step.change)
    return f"{change} at {one.points[step.index].revision}{because}"


def _no_step(one: Series) -> str:
    last = one.points[-1].figure
    if len(one.points) < LEAST_POINTS and not (isinstance(last, Counted) and last.exact):
        return f"too few revisions: {LEAST_POINTS} at least"
    return "none found"


def _json(one: Series) -> dict[str, Any]:
    return {
        "case": asdict(one.case),
        "figure": one.figure,
        "kind": one.points[-1].entry.kind,
        "points": [
            {"revision": point.revision, "when": point.at.when, "value": point.figure.value}
            for point in one.points
        ],
        "steps": [
            asdict(step)
            | {
                "revision": one.points[step.index].revision,
                "came_with": one.came_with(step),
            }
            for step in one.steps
        ],
    }
