"""What the README and the pages tell people to type is what the commands take."""

from __future__ import annotations

import ast
import contextlib
import io
import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import click
import numpy as np
import pytest
from PIL import Image
from rich.console import Console

import facebench
from docs import draw_gallery, draw_house
from facebench.architectures import registry
from facebench.harness.cli.main import cli
from facebench.harness.records.accuracy import Accuracy
from facebench.harness.records.latency import Latency
from facebench.reports.figures import FIGURES
from facebench.reports.terminal import summary
from tests import house
from tests.places import ROOT

PAGES = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")),
    *sorted((ROOT / "docs").rglob("*.md")),
    *sorted((ROOT / ".github").rglob("*.md")),
]
BLOCKS = sorted((ROOT / "docs" / "blocks").glob("*.py"))


def commands(page: Path) -> list[str]:
    text = page.read_text()
    fenced = re.findall(r"^```sh\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    lines = [line for block in fenced for line in block.replace("\\\n", " ").splitlines()]
    lines += re.findall(r"`(facebench [^`]+)`", text)
    found = []
    for line in lines:
        for part in re.split(r"&&|\|", line.partition(" #")[0]):
            part = re.sub(r"^\s*(\w+=\S+\s+)*", "", part).strip()
            if part.startswith("facebench ") and "…" not in part and " COMMAND" not in part:
                found.append(part)
    return found


def parse(arguments: list[str]) -> None:
    """As click does it, up to where the command would begin."""
    command: click.Command = cli
    context = click.Context(cli)
    while isinstance(command, click.Group):
        name, found, arguments = command.resolve_command(context, arguments)
        assert found is not None
        command = found
        context = click.Context(command, parent=context, info_name=name)
        if isinstance(command, click.Group) and not arguments:
            return
    command.make_context(context.info_name, list(arguments), parent=context.parent)


@pytest.mark.parametrize(
    ("page", "line"),
    [(str(page.relative_to(ROOT)), line) for page in PAGES for line in commands(page)],
)
def test_what_people_are_told_to_type_is_taken(page: str, line: str) -> None:
    arguments = shlex.split(line)[1:]
    # `--help` ends it; running text may leave out what a command is of.
    with contextlib.suppress(click.exceptions.Exit, click.MissingParameter):
        parse(arguments)


def test_the_picture_of_the_house_is_what_its_imports_are() -> None:
    found = draw_house.PICTURE.read_text()
    assert found == draw_house.draw(), "python -m docs.draw_house draws it anew"


def names_of(module: Path) -> set[str]:
    """What a module defines at its top, and what its classes do, as `Class.name`."""
    names = set()
    for node in ast.parse(module.read_text()).body:
        defined = _defined(node)
        names |= defined
        if isinstance(node, ast.ClassDef):
            names |= {f"{node.name}.{name}" for part in node.body for name in _defined(part)}
    return names


def _defined(node: ast.stmt) -> set[str]:
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        return {node.name}
    targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
    return {target.id for target in targets if isinstance(target, ast.Name)}


def code_names(page: Path) -> list[str]:
    """Dotted names of the product that a page gives in running text."""
    firsts = "|".join(("facebench", *house.PARTS, *house.ROOMS))
    found = re.findall(rf"`((?:{firsts})\.[\w.]+\w)`", page.read_text())
    return [name for name in found if Path(name).suffix not in (".jsonl", ".tex")]  # files


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_code_that_is_named_is_there(page: Path) -> None:
    known = house.modules()
    for name in code_names(page):
        full = name.removeprefix("facebench.")
        if full.partition(".")[0] in house.ROOMS:
            full = f"harness.{full}"
        parts = f"facebench.{full}".split(".")
        if parts[1] not in house.PARTS:
            continue  # the name of a group of entry points
        module = ".".join(parts)
        while module not in known:
            module = module.rpartition(".")[0]
        inside = ".".join(parts)[len(module) + 1 :]
        assert not inside or inside in names_of(known[module]), f"{page.name} names {name}"


def test_the_page_on_the_house_names_its_rooms_functions() -> None:
    assert len(code_names(ROOT / "docs" / "architecture.md")) > 40


def test_there_is_something_to_try() -> None:
    assert sum(len(commands(page)) for page in PAGES) > 50


def test_the_page_of_networks_holds_the_wider_family_as_counted() -> None:
    baselines = ROOT / "results" / "baselines" / "ci"
    # The large ones are held to their counts in tests/harness/models/test_large.py.
    text, _, _ = (ROOT / "docs" / "networks.md").read_text().partition("## The large systems")
    rows = dict(re.findall(r"^\| `(\w+)` \| ([^|]+ M \| [^|]+ M) \|", text, re.MULTILINE))
    assert set(rows) == set(registry.mobile_names()) - set(registry.paper_names())
    for name, row in rows.items():
        (path,) = baselines.glob(f"cost-{name}-????????.json")
        figures = {f["name"]: f["value"] for f in json.loads(path.read_text())["figures"]}
        parameters, madds = figures["parameters"] / 1e6, figures["MAdds (conv+linear)"] / 1e6
        assert row == f"{parameters:.3f} M | {madds:.1f} M"


def test_an_example_block_is_a_network() -> None:
    code = (
        "from facebench.architectures import registry\nfrom facebench.harness.models import cost\n"
        "from facebench.architectures.initialise import create\n"
        "for name in [n for n in registry.names() if registry.find(n).source]:\n"
        "    found = cost.count(create(name), (112, 112), 128)\n"
        "    print(name, found.parameters_bn_folded, found.madds['conv+linear'])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True,
        env=os.environ | {"FACEBENCH_NETWORKS": os.pathsep.join(map(str, BLOCKS))},
    )  # fmt: skip
    page = (ROOT / "docs" / "new-block.md").read_text()
    rows = [line.split() for line in done.stdout.splitlines()]
    assert len(rows) == len(BLOCKS) > 0
    for name, parameters, madds in rows:
        assert f"| `{name}` |" in page
        assert f"{int(parameters) / 1e6:.3f}" in page
        assert f"{int(madds) / 1e6:.1f}" in page


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_each_test_that_a_page_names_is_there(page: Path) -> None:
    for path, name in re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", page.read_text()):
        assert f"\ndef {name}(" in (ROOT / path).read_text(), f"{path}::{name}"


def test_each_promise_of_what_files_may_do_names_a_test_that_holds_it() -> None:
    promises = (ROOT / "docs/security.md").read_text().split("\n## ")[1].split("\n- ")[1:]
    assert len(promises) > 10
    for promise in promises:
        assert re.search(r"`tests/[\w/]+\.py::\w+`\)", promise), promise[:80]


def test_the_gallery_shows_every_figure_of_the_registry() -> None:
    again = "python -m docs.draw_gallery draws it anew"
    assert draw_gallery.PAGE.read_text() == draw_gallery.page(), again
    drawn = {path.stem for path in draw_gallery.PICTURES.glob("*.png")}
    assert drawn == {one.name for one in FIGURES}, again


@pytest.mark.slow
def test_pictures_of_the_pages_are_what_the_records_show() -> None:
    for path, figure in draw_gallery.pictures().items():
        stored = np.asarray(Image.open(path).convert("L"), np.float64)
        made = np.asarray(Image.open(io.BytesIO(draw_gallery.png(figure))).convert("L"), np.float64)
        assert stored.shape == made.shape, path
        assert abs(stored - made).mean() < 2, path


def test_what_stands_on_the_page_on_networks_is_what_its_lines_print() -> None:
    page = (ROOT / "docs" / "which-network.md").read_text()
    blocks = re.findall(r"^```python\n(.*?)^```\n\n```text\n(.*?)^```", page, re.M | re.S)
    assert len(blocks) == page.count("```python")
    names: dict[str, Any] = {}
    printed = ""
    for code, said in blocks:
        stream = io.StringIO()
        with contextlib.redirect_stdout(stream):
            exec(code, names)
        assert stream.getvalue() == said
        printed += said
    prose = re.sub(r"^```.*?^```", "", page, flags=re.M | re.S)
    smaller, larger = names["smaller"].change, names["larger"].change
    points, over = -100 * smaller["accuracy"], names["sizes"]["shufflenet_v1"] - 4
    for sentence in (
        f"saves {-100 * smaller['latency']:.0f} % of the time and costs {points:.1f} points",
        f"takes {100 * larger['latency']:.0f} % longer",
        f"over by {over:.2f} MB",
    ):
        assert sentence in prose
    computed = {f"{points:.1f}", f"{over:.2f}"}
    seeds = {"0.1", "0.5"}  # of results/reference/README.md
    assert set(re.findall(r"\d+\.\d+", prose)) <= computed | seeds | set(
        re.findall(r"\d+\.\d+", printed)
    )


def test_the_table_of_the_readme_is_that_of_the_shipped_records() -> None:
    told = re.findall(r"^(m\w+|s\w+) +(\d.*±.*)$", (ROOT / "README.md").read_text(), re.MULTILINE)
    networks = [name for name, _ in told]
    assert len(networks) == 4
    console = Console(width=200, file=io.StringIO(), record=True)
    console.print(summary(facebench.reference().filter(network=networks)))
    printed = console.export_text()
    for name, row in told:
        assert re.search(rf"^{name} +{' +'.join(map(re.escape, row.split()))} *$", printed, re.M)


def test_the_start_page_says_what_the_records_say() -> None:
    records = facebench.reference().filter(runtime="ncnn")
    told = re.findall(
        r"`(\w+)` takes ([\d.]+) ms and is right on ([\d.]+) %",
        (ROOT / "docs" / "index.md").read_text(),
    )
    assert len(told) == 2
    for network, time, accuracy in told:
        latency, score = (
            records.filter(network=network, measure=measure)[0].result
            for measure in ("latency", "accuracy")
        )
        assert isinstance(latency, Latency)
        assert isinstance(score, Accuracy)
        assert (time, accuracy) == (f"{latency.median_ms:.2f}", f"{score.accuracy:.2%}"[:-1])
