"""Claims fit on a screen; what they rest on is told on demand, each reason once."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from rich.console import Console, RenderableType

from facebench.harness.cli.main import cli
from facebench.harness.records.record import Record
from facebench.harness.records.store import Store
from facebench.reports.claims import UNDECIDED, Claim, ClaimFinding, Judged
from facebench.reports.claims.papers import judged
from facebench.reports.claims_text import details, overview
from facebench.reports.evidence import Evidence
from tests.reports.report_records import full_run, hostile_run, latency


def printed(what: RenderableType, width: int = 80) -> str:
    stream = io.StringIO()
    Console(file=stream, width=width, force_terminal=False).print(what, highlight=False)
    return stream.getvalue()


def of(*findings: ClaimFinding) -> Judged:
    claim = Claim(
        name="n", short="twice as fast", text="It is twice as fast.", where="Table 2",
        measure="latency",
    )  # fmt: skip
    return Judged(claim, findings)


def place(verdict: str, figure: str, where: str, *reasons: str) -> ClaimFinding:
    why, *also = reasons or ("So it is.",)
    return ClaimFinding(verdict, where, figure, "1.8–1.9", ("measured",), why, tuple(also))


@pytest.mark.parametrize("records", [full_run(), hostile_run(), [latency("onnx:a.onnx", "ncnn")]])
def test_all_claims_fit_on_a_screen(records: list[Record]) -> None:
    found = judged(Evidence(records))
    text = printed(overview(found, "Accuracies are recorded ones."))
    lines = text.splitlines()
    assert len(lines) <= 40
    assert all(len(line) <= 80 for line in lines)
    assert "…" not in text
    assert all(one.claim.short in text for one in found)


def test_a_line_has_the_verdict_its_figure_and_the_place() -> None:
    both = of(
        place("supported", "2.4×", "tvm"),
        place("refuted", "1.85×", "ncnn"),
        place("refuted", "0.32×", "onnxruntime"),
        place(UNDECIDED, "2.0×", "openvino"),
    )
    _, first, second, *_ = printed(overview([both], "")).splitlines()
    assert first.split() == [
        "1",
        "twice",
        "as",
        "fast",
        "depends",
        "2.4×",
        "[1.8–1.9]",
        "yes:",
        "tvm",
    ]
    assert second.split() == ["1.85×", "[1.8–1.9]", "no:", "ncnn", "+1"]


def test_each_reason_is_given_once_and_each_place_names_its_own() -> None:
    common = "It moves 2.1 times the bytes."
    one = of(
        place("refuted", "1.85×", "ncnn", "It is faster here.", common),
        place("refuted", "1.5×", "tvm", "It is faster here.", common),
        place("refuted", "0.32×", "onnxruntime", "The order is reversed.", common),
    )
    text = printed(details(one, 5))
    assert text.count(common) == text.count("faster here") == text.count("reversed") == 1
    marks = {row.split()[-3]: row.split()[-2:] for row in text.splitlines() if "measured" in row}
    assert marks == {"ncnn": ["1,", "2"], "tvm": ["1,", "2"], "onnxruntime": ["2,", "3"]}
    assert "(Table 2)" in text


@pytest.fixture
def run(tmp_path: Path) -> Path:
    for record in full_run():
        Store(tmp_path / "records.jsonl").append(record)
    return tmp_path


def command(*arguments: str) -> Result:
    return CliRunner().invoke(cli, ["claims", *arguments])


def test_the_command_prints_lines_reasons_and_json(run: Path) -> None:
    found = judged(Evidence(full_run()))
    assert all(one.claim.short in command(str(run)).output for one in found)
    words = " ".join(command(str(run), "--all").output.split())
    assert all(one.claim.text[:40] in words for one in found)
    alone = command(str(run), "--why", "2").output
    assert found[1].claim.text in alone
    assert found[2].claim.text not in alone
    told = json.loads(command(str(run), "--json").output)
    assert [one["name"] for one in told] == [one.claim.name for one in found]
    assert told[1]["findings"][1]["also"] == list(found[1].findings[1].also)
    beyond = command(str(run), "--why", "99")
    assert beyond.exit_code != 0
    assert "from 1 to" in str(beyond.exception)
