"""A measure is one file: what it registers is run, stored, read, listed, compared and printed."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from tests.places import ROOT
from tests.plugins import in_a_process, plugin

MEASURE = """
from dataclasses import dataclass

from facebench.harness.measures.registry import Measure, Outcome, Per, register
from facebench.harness.records.comparable import Counted
from facebench.harness.records.record import Check
from facebench.harness.records.results import Result


@dataclass(frozen=True)
class Biases(Result):
    count: int
    shapes: tuple[tuple[int, ...], ...]


def obtain(job):
    found = [p for n, p in job.network.module().named_parameters() if n.endswith(".bias")]
    result = Biases(sum(p.numel() for p in found), tuple(tuple(p.shape) for p in found))
    return Outcome(result, (Check("there are some", bool(found), f"{len(found)} layers"),))


register(
    Measure(
        name="biases",
        about="biases of a network, counted",
        result=Biases,
        obtain=obtain,
        summary=lambda record, result: f"{result.count} biases",
        comparable=lambda result: [Counted("biases", "", result.count)],
        kind="counted",
        stage=0,
        of_network=True,
        per=Per.NETWORK,
    )
)
"""

PLAN = """
networks = ["mobilefacenet_s"]
runtimes = []
targets = []
datasets = []
"""

COMMAND = "import sys; sys.argv = ['facebench', *{!r}]; import facebench.__main__"


class Site:
    """A folder with the measure as an installed package, and a place for results."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.site = folder / "site"
        self.site.mkdir()
        plugin(self.site, MEASURE, "measures")
        (folder / "plan.toml").write_text(PLAN)

    def run(self, *words: str, site: bool = True) -> subprocess.CompletedProcess[str]:
        path = f"{self.site}:{ROOT}" if site else str(ROOT)
        return in_a_process(COMMAND.format(words), PYTHONPATH=path)

    def results(self, name: str = "out") -> Path:
        return self.folder / name / "records.jsonl"

    def obtain(self) -> subprocess.CompletedProcess[str]:
        return self.run("run", str(self.folder / "plan.toml"), "-o", str(self.folder / "out"))


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> tuple[Site, str]:
    site = Site(tmp_path_factory.mktemp("measure"))
    done = site.obtain()
    assert done.returncode == 0, done.stderr
    return site, done.stderr


def stored(site: Site, name: str = "out") -> dict[str, object]:
    lines = site.results(name).read_text().splitlines()
    (found,) = [one for one in map(json.loads, lines) if one["case"]["measure"] == "biases"]
    assert isinstance(found, dict)
    return found


def test_it_is_run_printed_and_stored(ran: tuple[Site, str]) -> None:
    site, printed = ran
    from facebench.harness.models.networks import resolve

    parameters = resolve("mobilefacenet_s").module().named_parameters()
    biases = [p for n, p in parameters if n.endswith(".bias")]
    count = sum(p.numel() for p in biases)
    assert f"biases mobilefacenet_s: {count} biases" in printed
    assert stored(site)["result"] == {"count": count, "shapes": [list(p.shape) for p in biases]}
    assert stored(site)["checks"] == [
        {"name": "there are some", "passed": True, "detail": f"{len(biases)} layers"}
    ]


def test_it_is_read_back_as_it_was(ran: tuple[Site, str]) -> None:
    site, _ = ran
    code = (
        "from pathlib import Path; from facebench.harness.records.store import Store\n"
        f"records = Store(Path({str(site.results())!r})).read()\n"
        "from facebench.harness.records.record import from_json, to_json\n"
        "import json, sys, facebench_plugin\n"
        "(found,) = [one for one in records if one.case.measure == 'biases']\n"
        "assert isinstance(found.result, facebench_plugin.Biases), found\n"
        "assert from_json(json.loads(json.dumps(to_json(found)))) == found\n"
        "assert not {'torch', 'tvm'} & set(sys.modules)\n"
    )
    done = in_a_process(code, PYTHONPATH=f"{site.site}:{ROOT}")
    assert done.returncode == 0, done.stderr


def test_it_is_listed(ran: tuple[Site, str]) -> None:
    done = ran[0].run("list", "measures", "--json")
    listed = {one["name"]: one for one in json.loads(done.stdout)}
    assert listed["biases"] == {
        "name": "biases",
        "timed": False,
        "about": "biases of a network, counted",
    }


def test_it_is_compared(ran: tuple[Site, str]) -> None:
    site, _ = ran
    more = stored(site)
    result = more["result"]
    assert isinstance(result, dict)
    result["count"] += 1
    del more["crc32"]
    other = site.results("more")
    other.parent.mkdir(exist_ok=True)
    other.write_text(json.dumps(more) + "\n")
    words = ("--measure", "biases", "--json")
    done = site.run("compare", str(site.results()), str(other), *words)
    assert done.returncode == 1, done.stderr
    (line,) = json.loads(done.stdout)["lines"]
    assert (line["figure"], line["verdict"]) == ("biases", "worse")
    done = site.run("compare", str(other), str(site.results()), *words)
    assert done.returncode == 0, done.stderr
    (line,) = json.loads(done.stdout)["lines"]
    assert line["verdict"] == "better"


def test_it_is_obtained_anew_when_its_file_is_edited_and_only_then(ran: tuple[Site, str]) -> None:
    site, _ = ran
    before = site.results().read_text().splitlines()
    with (site.site / "facebench_plugin.py").open("a") as file:
        file.write("# edited\n")
    assert site.obtain().returncode == 0
    (new,) = site.results().read_text().splitlines()[len(before) :]
    assert json.loads(new)["case"]["measure"] == "biases"


def test_without_the_file_its_records_are_refused_in_a_sentence(ran: tuple[Site, str]) -> None:
    site, _ = ran
    done = site.run("compare", str(site.results()), str(site.results()), site=False)
    assert done.returncode == 2
    assert "unknown measure 'biases'" in done.stderr
    assert done.stderr.count("\n") == 1
