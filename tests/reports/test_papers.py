"""A paper is a file: each row is a claim, judged by its measure, or refused in one sentence."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

import facebench
from facebench.architectures import registry
from facebench.architectures.errors import BadInputError, FacebenchError, UnknownNameError
from facebench.harness.cli.main import cli
from facebench.harness.records.cost import Cost
from facebench.harness.records.store import Store
from facebench.reports.claims import JUDGEMENTS, REFUTED, SUPPORTED, UNDECIDED
from facebench.reports.claims.papers import DEFAULT, judged, load, names
from facebench.reports.claims.relations import Relation, verdict
from facebench.reports.digits import Estimate
from facebench.reports.evidence import Evidence
from tests.places import ROOT
from tests.reports.claims.claim_records import timed
from tests.reports.report_records import cost, full_run

HEAD = 'title = "Mine"\nsource = "a draft"\n'
ROW = {
    "name": "smaller", "short": "half of V1", "text": "It is half as large.", "where": "Table 2",
    "measure": "parameters", "networks": ["mobilefacenet", "mobilenet_v1"],
    "relation": "less than", "figure": 0.5,
}  # fmt: skip
SPEED = ROW | {"measure": "latency", "networks": [["mobilenet_v2", "mobilefacenet"]]}
SCORE = {k: v for k, v in ROW.items() if k not in ("relation", "networks")} | {
    "measure": "score", "networks": ["mobilefacenet"], "dataset": "lfw", "figure": 99.0,
    "images": 1000, "people": 10,
}  # fmt: skip


def written(tmp_path: Path, *rows: dict[str, object], head: str = HEAD) -> Path:
    """A paper's file; JSON's values are TOML's, but for tables."""
    lines = [head]
    for row in rows:
        lines += ["[[claim]]", *(f"{key} = {json.dumps(value)}" for key, value in row.items())]
    path = tmp_path / "mine.toml"
    path.write_text("\n".join(lines))
    return path


def without(row: dict[str, object], key: str) -> dict[str, object]:
    return {name: value for name, value in row.items() if name != key}


def test_the_default_paper_comes_first_and_every_one_says_where_its_figures_stand() -> None:
    assert names()[0] == DEFAULT
    for name in names():
        paper = load(name)
        assert paper.source.startswith(("arXiv", "doi"))
        assert all(one.where and one.text.endswith(".") for one in paper.claims)


@pytest.mark.parametrize("name", names())
def test_networks_of_a_paper_that_comes_with_facebench_are_registered_or_said_to_be_absent(
    name: str,
) -> None:
    known = registry.names()
    for one in load(name).claims:
        assert one.absent or set(one.named) <= set(known), one.name


def test_a_claim_of_a_network_that_is_not_built_is_not_decidable_and_says_why() -> None:
    found = {one.claim.name: one for one in judged(Evidence([]), load("facelivt2"))}
    (finding,) = found["v2-faster-than-v1"].findings
    assert (finding.verdict, finding.why) == (
        UNDECIDED,
        "The abstract does not say which sizes it compares.",
    )


@pytest.mark.parametrize(("times", "verdict"), [(7.6, SUPPORTED), (3.0, REFUTED)])
def test_edgeface_s_time_is_judged_by_the_rounded_figures(times: float, verdict: str) -> None:
    records = [timed("mobilefacenet", 1.0), timed("edgeface_xs", times)]
    # 5.82 of 0.77 ms, each rounded to a hundredth: 7.50 to 7.61.
    found = {one.claim.name: one for one in judged(Evidence(records), load("facelivt2"))}
    assert found["edgeface-times"].verdict == verdict
    assert found["edgeface-slower"].verdict == SUPPORTED


def test_a_row_of_a_user_s_file_is_judged_as_ours_are(tmp_path: Path) -> None:
    path = written(tmp_path, ROW, SPEED | {"name": "faster", "relation": "more than", "figure": 2})
    records = [
        cost("mobilefacenet"), cost("mobilenet_v1"), timed("mobilefacenet", 1.0),
        timed("mobilenet_v2", 2.5),
    ]  # fmt: skip
    smaller, faster = judged(Evidence(records), load(str(path)))
    ours, theirs = (record.result for record in records[:2])
    assert isinstance(ours, Cost)
    assert isinstance(theirs, Cost)
    share = ours.parameters_bn_folded / theirs.parameters_bn_folded
    assert (smaller.verdict, smaller.findings[0].figure) == (SUPPORTED, f"{share:.3f}×")
    assert faster.verdict == SUPPORTED
    (missing, _) = judged(Evidence([]), load(str(path)))
    assert missing.findings[0].why == "It needs the cost of mobilefacenet and mobilenet_v1."


@given(st.sampled_from(["more than", "less than", "at least", "at most"]), st.floats(0.1, 9.0))
def test_a_figure_without_spread_is_judged_as_its_relation_reads(
    relation: Relation, value: float
) -> None:
    holds = {
        "more than": value > 2, "less than": value < 2, "at least": value >= 2,
        "at most": value <= 2,
    }[relation]  # fmt: skip
    found = verdict(Estimate(value, value, value), relation, Estimate(2.0, 2.0, 2.0))
    assert (found == SUPPORTED) == holds
    assert (found == REFUTED) == (not holds and value != 2)


@pytest.mark.parametrize(
    ("row", "said"),
    [
        (ROW | {"colour": "red"}, r"claim 1 \('smaller'\): unknown key 'colour'"),
        (ROW | {"figur": 1}, "unknown key 'figur': did you mean figure"),
        (without(ROW, "figure"), "figure is missing"),
        (without(ROW, "name"), r"claim 1 \('without a name'\): name is missing"),
        (ROW | {"measure": "sped"}, "unknown measure of a claim 'sped': "),
        (ROW | {"measure": 3}, "measure is to be a text"),
        (ROW | {"relation": "about"}, "relation = 'about' is not valid: one of more than, less"),
        (ROW | {"networks": ["mobilefacnet"]}, "unknown network 'mobilefacnet': did you mean"),
        (ROW | {"networks": "mobilefacenet"}, "networks = .*: a list of one or two networks"),
        (ROW | {"networks": ["a", "b", "c"]}, "a list of one or two networks"),
        (SPEED | {"networks": [["mobilefacenet"]]}, "a list of pairs of networks"),
        (ROW | {"networks": ["mobilefacenet"] * 2}, "compares mobilefacenet with itself"),
        (SPEED | {"networks": [["mobilenet_v2"] * 2]}, "compares mobilenet_v2 with itself"),
        (SPEED | {"relu": "nobody"}, "unknown network 'nobody'"),
        (ROW | {"figure": 0}, "a number above 0"),
        (ROW | {"figure": 1e300}, "a number above 0, at most 1e15"),
        (ROW | {"figure": "half"}, "figure = 'half' is not valid"),
        (ROW | {"rounding": 2}, "rounding = 2 is no unit"),
        (ROW | {"name": "../../etc"}, "a-z, 0-9 and -"),
        (ROW | {"short": "x" * 200}, "a text of 1 to 24 characters"),
        (ROW | {"text": "\x1b[2J"}, "a text of one line, printable"),
        (ROW | {"note": "two\nlines"}, "a text of one line, printable"),
        (SCORE | {"figure": 101}, "a percentage"),
        (SCORE | {"images": 0}, "a whole number from 1"),
        (SCORE | {"networks": ["mobilefacenet", "mobilenet_v1"]}, "a list of one network"),
    ],
)
def test_a_row_that_is_none_is_named_in_one_sentence(
    row: dict[str, object], said: str, tmp_path: Path
) -> None:
    path = written(tmp_path, row)
    with pytest.raises((BadInputError, UnknownNameError), match=said) as caught:
        load(str(path))
    assert str(caught.value).startswith(f"{path}, claim 1")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "title is missing"),
        (HEAD, "claim is missing"),
        (HEAD + "claim = 3", "1 to 500 tables"),
        (HEAD + "claim = []", "1 to 500 tables"),
        (HEAD + "claim = [3]", "1 to 500 tables"),
        (HEAD + "[claim]", "1 to 500 tables"),
        (HEAD + "figure = inf\n[[claim]]", "unknown key 'figure'"),
        (HEAD + "[[claim]]\nmeasure = 'size'\nfigure = nan", "figure = nan is not valid"),
        (HEAD + "[[claim]]\nmeasure = 'size'\nrounding = inf", "rounding = inf is not valid"),
        ("title = ", "no paper that can be read"),
    ],
)
def test_a_file_that_is_no_paper_is_named(text: str, said: str, tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(text)
    with pytest.raises(FacebenchError, match=said) as caught:
        load(str(path))
    assert str(path) in str(caught.value)


def test_a_file_may_begin_with_a_byte_order_mark(tmp_path: Path) -> None:
    path = written(tmp_path, ROW, head="\ufeff" + HEAD)
    assert [one.name for one in load(str(path)).claims] == ["smaller"]


def test_two_claims_of_one_name_are_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match="two claims are named 'smaller'"):
        load(str(written(tmp_path, ROW, ROW)))


def test_a_network_that_is_said_to_be_absent_need_not_be_known(tmp_path: Path) -> None:
    path = written(tmp_path, ROW | {"networks": ["nobody"], "absent": "It was never built."})
    ((one),) = judged(Evidence(full_run()), load(str(path)))
    assert one.findings[0].why == "It was never built."


def test_every_measure_is_used_by_a_row_of_ours_and_documented() -> None:
    used = {one.measure for name in names() for one in load(name).claims}
    assert used == set(JUDGEMENTS.names())
    page = (ROOT / "docs" / "extending" / "claim.md").read_text()
    assert all(f"| `{measure}` |" in page for measure in JUDGEMENTS.names())


def test_the_command_and_the_api_judge_the_paper_that_is_asked_for(tmp_path: Path) -> None:
    path = written(tmp_path, ROW)
    results = tmp_path / "records.jsonl"
    for record in full_run():
        Store(results).append(record)

    def printed(*arguments: str) -> str:
        return CliRunner().invoke(cli, ["claims", str(results), *arguments]).output

    ours = json.loads(printed("--paper", str(path), "--json"))
    assert [one["name"] for one in ours] == ["smaller"]
    found = facebench.claims(results, paper=path)
    assert [one.verdict for one in found] == [one["verdict"] for one in ours]
    assert "EdgeFace takes 7.6x" in printed("--paper", "facelivt2")
    refused = CliRunner().invoke(cli, ["claims", str(results), "--paper", "nothing"])
    assert isinstance(refused.exception, UnknownNameError)
    assert "give a TOML file or one of mobilefacenets, " in str(refused.exception)
