"""The house as it is built: its rooms, and imports that run one way."""

from __future__ import annotations

import ast
import graphlib
import re
import subprocess
import sys
from collections import defaultdict
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from tests import house
from tests.house import PARTS, ROOMS, Import
from tests.places import ROOT


def offending(wrong: Callable[[Import], bool], found: Iterable[Import] | None = None) -> list[str]:
    found = house.imports() if found is None else found
    return [str(one) for one in found if wrong(one)]


def test_harness_is_its_rooms_and_nothing_lies_loose_between_them() -> None:
    harness = ROOT / "harness"
    folders = {path.parent.relative_to(harness).parts[0] for path in harness.rglob("*/*.py")}
    assert folders == set(ROOMS)
    assert [path.name for path in harness.glob("*.py")] == ["__init__.py"]


def test_no_import_runs_upwards() -> None:
    floor = {name: number for number, name in enumerate(["architectures", *ROOMS])}
    assert not offending(
        lambda one: floor.get(house.room(one.imported), 0) > floor.get(house.room(one.importer), 99)
    )


def test_architectures_import_nothing_else_of_the_product() -> None:
    others = tuple(f"facebench.{part}" for part in PARTS if part != "architectures")
    assert not offending(
        lambda one: (
            one.importer.startswith("facebench.architectures") and one.imported.startswith(others)
        )
    )


def test_of_harness_the_two_ways_in_alone_import_reports_and_only_lazily() -> None:
    across = [
        one
        for one in house.imports()
        if house.room(one.imported) == "reports" and house.room(one.importer) != "reports"
    ]
    ways_in = ("cli", "api")  # the command line, and Python
    assert not offending(
        lambda one: house.room(one.importer) not in ways_in or not one.lazy, across
    )
    assert {house.room(one.importer) for one in across} == set(ways_in)


def cycle(graph: dict[str, set[str]]) -> list[str]:
    """Names that lead from one to the next and back; none where there is no circle."""
    try:
        graphlib.TopologicalSorter(graph).prepare()
    except graphlib.CycleError as error:
        found: list[str] = error.args[1]
        return found
    return []


def test_no_modules_import_each_other_in_a_circle() -> None:
    graph = defaultdict(set)
    for one in house.imports():
        graph[one.importer].add(one.imported)
    assert not cycle(graph)


def test_no_rooms_import_each_other_in_a_circle() -> None:
    graph = defaultdict(set)
    for one in house.imports():
        importer, imported = house.room(one.importer), house.room(one.imported)
        if importer != imported:
            graph[importer].add(imported)
    assert not cycle(graph)


def test_no_module_is_named_like_one_of_the_standard_library() -> None:
    standard = sys.stdlib_module_names
    assert not [name for name, path in house.modules().items() if path.stem in standard]


def test_no_two_classes_share_a_name() -> None:
    places = defaultdict(list)
    for module, path in house.modules().items():
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.ClassDef):
                places[node.name].append(module)
    assert not {name: found for name, found in places.items() if len(found) > 1}


def test_a_module_that_is_named_in_a_text_exists() -> None:
    """Programs are started, and packages loaded, by names that no import checks."""
    known = house.modules()
    named = re.compile(rf"facebench\.(?:{'|'.join(PARTS)})(?:\.\w+)*")
    wrong = [
        (module, node.value)
        for module, path in known.items()
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
        if named.fullmatch(node.value) and node.value not in known
    ]
    assert not wrong


def test_reports_need_neither_torch_nor_tvm() -> None:
    code = """
import pkgutil, sys
from importlib import import_module
from pathlib import Path
class Absent:
    def find_spec(self, name, path, target=None):
        if name.partition(".")[0] in ("torch", "torchvision", "tvm"):
            raise ModuleNotFoundError(f"{name} is not here")
sys.meta_path.insert(0, Absent())
import facebench.reports as reports
for found in pkgutil.walk_packages(reports.__path__, reports.__name__ + "."):
    import_module(found.name)
from facebench.harness.records.store import Store
from facebench.reports.claims.papers import judged
from facebench.reports.evidence import Evidence
from facebench.reports.page import assemble
evidence = Evidence(Store(Path("results/reference/records.jsonl")).read())
print(len(judged(evidence)), len(assemble(evidence)))
"""
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    claims, sections = map(int, done.stdout.split())
    assert claims > 5
    assert sections > 5


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("from facebench.harness.cli.main import main", False),
        ("def f():\n    import facebench.harness.cli.main", True),
        ("if TYPE_CHECKING:\n    from facebench.harness.cli import main", True),
        ("try:\n    from facebench.harness.cli import main\nfinally:\n    pass", False),
        ("from facebench.harness import cli\n", None),
    ],
)
def test_the_reader_sees_every_kind_of_import(
    text: str, expected: bool | None, tmp_path: Path
) -> None:
    for name in ("harness/cli/main.py", "harness/stats/intervals.py"):
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).write_text("")
    (tmp_path / "harness/stats/intervals.py").write_text(text)
    target = "facebench.harness.cli.main"
    found = house.imports(tmp_path)
    if expected is None:
        assert not found  # a folder that is no module imports nothing
    else:
        assert found == [Import("facebench.harness.stats.intervals", target, expected)]


def test_a_relative_import_is_refused(tmp_path: Path) -> None:
    (tmp_path / "harness").mkdir()
    (tmp_path / "harness" / "loose.py").write_text("from . import other")
    with pytest.raises(AssertionError, match="relative"):
        house.imports(tmp_path)
