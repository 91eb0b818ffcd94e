from __future__ import annotations

import json
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from facebench.architectures.errors import BadInputError
from facebench.harness.comparison.baselines import (
    Baselines,
    default_root,
    file_name,
    from_text,
    to_text,
)
from facebench.harness.comparison.compare import compare
from facebench.harness.comparison.entry import Entry
from facebench.harness.comparison.verdict import Verdict
from facebench.harness.records.case import Case
from facebench.harness.records.comparable import Counted, Decided, Decisions, Timed
from tests.harness.comparison.sides import (
    ENVIRONMENT,
    HOSTILE,
    LATENCY,
    accuracy,
    cost,
    latency,
    side,
)


@pytest.fixture
def baselines(tmp_path: Path) -> Baselines:
    return Baselines(tmp_path / "baselines")


times = st.floats(1e-6, 1e6)
texts = st.text(st.characters(codec="utf-8"))
figures = st.one_of(
    st.lists(times, min_size=1, max_size=5).map(
        lambda medians: Timed("latency", "ms", tuple(medians), (64,) * len(medians))
    ),
    st.builds(Counted, texts, texts, st.integers(0, 2**53)),
    st.lists(st.booleans(), min_size=1, max_size=40).map(
        lambda right: Decided.pack("accuracy", Decisions(np.array(right), np.ones(3)), "digest", ())
    ),
)
entries = st.builds(
    Entry,
    case=st.builds(Case, measure=texts, network=texts, threads=st.integers(1, 8)),
    kind=texts,
    label=texts,
    environment=st.dictionaries(st.sampled_from(["cpu_model", "torch", "cores"]), texts),
    figures=st.lists(figures, min_size=1, max_size=3).map(tuple),
    doubts=st.lists(texts, max_size=2).map(tuple),
    created=texts,
    revision=texts,
)


@given(entries)
def test_an_entry_survives_its_file_to_the_last_bit(entry: Entry) -> None:
    assert from_text(to_text(entry), "here") == entry


def test_what_is_saved_compares_as_the_records_do(baselines: Baselines) -> None:
    old = [latency(5.0), cost(), accuracy(range(60))]
    new = side(latency(5.25, seed=1), cost(1), accuracy(range(110)))
    baselines.save("main", old)
    direct = compare(side(*old), new)
    saved = compare(side(*baselines.load("main")), new)
    assert {line.figure: line for line in saved.lines} == {
        line.figure: line for line in direct.lines
    }


def test_a_file_holds_no_samples_no_people_and_no_readings_of_the_moment(
    baselines: Baselines,
) -> None:
    (path,) = baselines.save("main", [latency()])
    assert len(path.read_text()) < 2000
    held = json.loads(path.read_text())["environment"]
    assert "load_1min" not in held
    assert "host" not in held
    (scored,) = baselines.save("main", [accuracy(range(60))])
    assert len(scored.read_text()) < 4000


def test_other_cases_stay_and_the_same_figures_are_not_written_again(baselines: Baselines) -> None:
    kept, again = baselines.save("main", [cost(), latency()])
    before = again.read_bytes()
    baselines.save("main", [latency(created="2030-01-01", revision="abc")])
    assert again.read_bytes() == before
    baselines.save("main", [latency(6.0, created="2030-01-01")])
    assert again.read_bytes() != before
    assert kept.exists()
    assert len(baselines.load("main")) == 2


def test_cases_without_figures_are_not_kept(baselines: Baselines) -> None:
    assert baselines.save("main", [latency(status="failed"), Entry(LATENCY, "measured")]) == []
    assert baselines.names() == []


def test_removing_leaves_what_is_not_a_baselines(baselines: Baselines) -> None:
    baselines.save("main", [latency(), cost()])
    note = baselines.folder("main") / "README.md"
    note.write_text("ours")
    assert baselines.remove("main") == 2
    assert note.exists()
    assert baselines.names() == []
    baselines.save("other", [cost()])
    baselines.remove("other")
    assert not baselines.folder("other").exists()


@pytest.mark.parametrize(
    "name", ["", ".", "..", "../x", "a/b", "/etc", "a\\b", ".git", "-rf", "a\n", "a" * 65, "ä"]
)
def test_a_name_that_could_leave_the_store_is_one_sentence(name: str, baselines: Baselines) -> None:
    for action in (baselines.load, baselines.remove, lambda n: baselines.save(n, [cost()])):
        with pytest.raises(BadInputError, match="is no name of a baseline"):
            action(name)
    assert not baselines.root.exists()


@given(st.builds(Case, measure=st.just("latency"), network=st.text(), runtime=st.text()))
def test_a_files_name_is_plain_whatever_the_network_is_called(case: Case) -> None:
    name = file_name(case)
    assert name.isascii()
    assert not set(name) & set("/\\\n :")
    assert len(name) < 160
    assert name != file_name(replace(case, threads=7))


@pytest.mark.parametrize("network", HOSTILE)
def test_hostile_names_are_kept(network: str, baselines: Baselines) -> None:
    named = cost(case=Case("cost", network))
    baselines.save("main", [named])
    (found,) = baselines.load("main")
    assert found.case == named.case


@pytest.mark.parametrize(
    "text",
    [
        "", "[]", "{}", "nonsense", "[" * 100_000, '{"format": "x"}', '{"format": 1}',
        to_text(latency())[:-40],
        to_text(latency()).replace('"latency"', "7"),
        to_text(latency()).replace("64", "true"),
        to_text(latency()).replace('"ms"', "null"),
        to_text(cost()).replace("1003136", '"many"'),
        to_text(cost()).replace("1003136", "-1"),
        to_text(cost()).replace("1003136", "NaN"),
        to_text(cost()).replace('"sort": "counted"', '"sort": "nothing"'),
        to_text(cost()).replace('"threads": 1', '"threads": "1"'),
        to_text(cost()).replace('"threads"', '"unheard_of"'),
        to_text(accuracy()).replace('"right": "', '"right": "!'),
        to_text(accuracy()).replace('"pairs": 6000', '"pairs": 7'),
    ],
)  # fmt: skip
def test_a_damaged_file_is_one_sentence(text: str, baselines: Baselines) -> None:
    (path,) = baselines.save("main", [cost()])
    path.write_text(text)
    with pytest.raises(BadInputError, match=r"cost-mobilefacenet.*no case of a baseline"):
        baselines.load("main")


def test_a_newer_format_is_refused_with_the_mend(baselines: Baselines) -> None:
    (path,) = baselines.save("main", [cost()])
    path.write_text(path.read_text().replace('"format": 2', '"format": 3'))
    with pytest.raises(BadInputError, match="upgrade facebench"):
        baselines.load("main")


def test_a_baseline_that_is_not_there_names_those_that_are(baselines: Baselines) -> None:
    baselines.save("main", [cost()])
    with pytest.raises(BadInputError, match=r"\(there: main\)"):
        baselines.load("mian")


def test_the_store_is_that_of_the_checkout_wherever_one_stands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inner = tmp_path / "a" / "b"
    inner.mkdir(parents=True)
    monkeypatch.chdir(inner)
    assert default_root() == inner / "results/baselines"
    (tmp_path / ".git").mkdir()
    assert default_root() == tmp_path / "results/baselines"


@pytest.mark.parametrize("planted", ["results", "results/baselines"])
def test_a_store_that_nobody_chose_is_no_link(
    planted: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "theirs/.git").mkdir(parents=True)
    link = tmp_path / "theirs" / planted
    link.parent.mkdir(exist_ok=True)
    link.symlink_to(tmp_path)
    monkeypatch.chdir(tmp_path / "theirs")
    with pytest.raises(BadInputError, match="is a link, and nobody chose where it leads.*--store"):
        default_root()


def git(folder: Path, *arguments: str) -> None:
    who = ("-c", "user.name=a", "-c", "user.email=a@b.example")
    subprocess.run(["git", "-C", str(folder), *who, *arguments], check=True, capture_output=True)


def test_two_branches_that_measure_different_cases_merge(tmp_path: Path) -> None:
    baselines = Baselines(tmp_path / "results/baselines")
    git(tmp_path, "init", "-b", "main")
    for branch, entry in (("main", cost()), ("one", latency()), ("other", accuracy())):
        if branch != "main":
            git(tmp_path, "checkout", "-b", branch, "main")
        baselines.save("main", [entry])
        git(tmp_path, "add", "-A")
        git(tmp_path, "commit", "-m", branch)
    git(tmp_path, "merge", "one")
    merged = baselines.load("main")
    assert {entry.case.measure for entry in merged} == {"cost", "latency", "accuracy"}
    found = compare(side(*merged), side(cost(), latency(), accuracy()))
    assert {line.verdict for line in found.lines} == {Verdict.SAME}
    assert ENVIRONMENT["cpu_model"] in merged[0].environment.values()


def test_a_baseline_keeps_nothing_of_turns() -> None:
    taken = Timed("latency", "ms", (5.0, 6.0), (2, 2), "token", (4.0, 6.0, 5.0, 7.0))
    kept = from_text(to_text(replace(latency(), figures=(taken,))), "here").figures[0]
    assert kept == replace(taken, beside="", turns=())
