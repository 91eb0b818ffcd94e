"""What a bar shows in a terminal, and what is printed where there is none."""

import io
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from facebench.harness.cli.output import progress
from facebench.harness.cli.output.plan_progress import PlanProgress
from facebench.harness.cli.output.progress import Bar, RevisionProgress, RunProgress
from facebench.harness.measures.job import Job
from facebench.harness.models.networks import Network
from facebench.harness.records.case import Case
from facebench.harness.records.record import Record


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Console:
    shown = Console(file=io.StringIO(), force_terminal=True, width=120, color_system=None)
    monkeypatch.setattr(progress, "err", shown)
    return shown


@pytest.fixture
def pipe(monkeypatch: pytest.MonkeyPatch) -> Console:
    shown = Console(file=io.StringIO(), width=120)
    monkeypatch.setattr(progress, "err", shown)
    return shown


def text(console: Console) -> str:
    assert isinstance(console.file, io.StringIO)
    return re.sub(r"\x1b\[[^a-zA-Z]*[a-zA-Z]", "", console.file.getvalue())


def last(console: Console, bar: Bar) -> list[str]:
    """The lines that are shown now."""
    assert isinstance(console.file, io.StringIO)
    console.file.truncate(0)
    console.file.seek(0)
    bar._bars.refresh()
    return [line.strip() for line in re.split(r"[\r\n]+", text(console)) if line.strip()]


def failed(name: str) -> Record:
    return Record(Case("latency", name), "measured", "failed", reason="no such [model]")


def test_a_step_that_is_over_gives_way_to_the_next(terminal: Console) -> None:
    with Bar() as bar:
        bar.at(2, 4, "reads")
        bar.newest("a [file]")
        assert re.fullmatch(r"reads .* 2/4 .* a \[file\]", *last(terminal, bar))
        bar.at(4, 4, "reads")
        bar.at(1, 9, "embeds")
        assert re.match(r"embeds .* 1/9", *last(terminal, bar))
        bar.at(0, 5, "searches")
        assert [line.split()[0] for line in last(terminal, bar)] == ["embeds", "searches"]


def test_a_step_of_unknown_length_gives_way_too(terminal: Console) -> None:
    with Bar("preparing") as bar:
        bar.newest("installs")
        assert "preparing" in last(terminal, bar)[0]
        bar.at(7)
        bar.at(0, 3, "rounds")
        assert [line.split()[0] for line in last(terminal, bar)] == ["rounds"]


def test_where_there_is_no_terminal_there_is_no_bar(pipe: Console) -> None:
    with Bar("embeds") as bar:
        bar.at(1, 2)
        bar.newest("an image")
        bar.say("one is\x1b[2J broken")
        bar.line("half")
    assert text(pipe).splitlines() == ["one is\N{REPLACEMENT CHARACTER}[2J broken", "half"]


def test_a_process_that_is_not_shown_says_nothing(pipe: Console) -> None:
    with Bar(shown=False) as bar:
        bar.at(1, 2, "reads")
        bar.say("a sentence")
        bar.line("a line")
    assert text(pipe) == ""


def test_records_are_lines_with_their_number_unless_they_were_stored(pipe: Console) -> None:
    with RunProgress(3) as told:
        told.record(failed("a"), stored=True)
        told.part(failed("b"), 1, 3)
        told.at(5, 10)
        told.record(failed("b"), stored=False)
    lines = text(pipe).splitlines()
    assert [line.split("]")[0] for line in lines] == ["[1/3", "[2/3"]
    assert lines[1].endswith("failed: no such [model]")


def test_images_are_shown_while_their_case_runs(terminal: Console) -> None:
    with RunProgress(2) as told:
        told.at(5, 10)
        assert [line.split()[0] for line in last(terminal, told)] == ["cases", "images"]
        told.record(failed("a"), stored=False)
        (line,) = last(terminal, told)
        assert re.match(r"cases .* 1/2", line)


def test_of_revisions_each_case_is_a_line_once_they_are_prepared(pipe: Console) -> None:
    with RevisionProgress() as told:
        told.newest("installing numpy")
        told.say("a note")
        told.at(1.5, 4, "rounds")
        told.newest("BASE: a case")
    assert text(pipe).splitlines() == ["a note", "[rounds 1/4] BASE: a case"]


def test_of_a_plan_stage_and_minutes_are_shown_and_a_report_comes_after_each_stage(
    terminal: Console,
) -> None:
    cases = [Case("latency", name, runtime="ncnn") for name in "abcd"]
    jobs = [Job(case, Network(case.network)) for case in cases]
    reported: list[tuple[list[str], str]] = []

    def report(records: Sequence[Record], to_come: str) -> Path:
        reported.append(([record.case.network for record in records], to_come))
        return Path("out/report.html")

    def ok(case: Case) -> Record:
        return Record(case, "measured", "failed", duration_s=70.0)

    with PlanProgress(jobs, report) as told:
        told.begins(0, 2)
        assert not reported
        told.record(ok(cases[0]), stored=False)
        told.so_far(ok(cases[1]))
        told.begins(1, 2)
        assert "report so far, after stage 1 of 2: out/report.html" in text(terminal)
        ((names, to_come),) = reported
        assert names == ["a", "b"]
        assert "3 of its cases are still to come" in to_come
        assert "3 of latency" in to_come
        told.record(replace(ok(cases[1]), status="ok"), stored=False)
        assert re.match(r"stage 2 of 2, about 3 min left .* 2/4", last(terminal, told)[-1])
