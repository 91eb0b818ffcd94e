from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from facebench.architectures.errors import BadInputError, UnavailableError
from facebench.harness.comparison.baselines import Baselines
from facebench.harness.comparison.entry import Entry
from facebench.harness.comparison.history import Series, of_files, of_git, series
from tests.harness.comparison.sides import ENVIRONMENT, cost, latency, side

REVISIONS = 12


def git(folder: Path, *arguments: str) -> str:
    who = ("-c", "user.name=a", "-c", "user.email=a@b.example")
    command = ["git", "-C", str(folder), *who, *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def commit(root: Path, *entries: Entry) -> str:
    Baselines(root / "baselines").save("main", entries)
    git(root, "add", "-A")
    git(root, "commit", "-m", "measured")
    return git(root, "rev-parse", "HEAD")


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    git(tmp_path, "init", "-b", "main")
    return tmp_path


def read(checkout: Path, *words: str) -> list[Series]:
    return series(of_git(checkout / "baselines/main"), 0.01, words)


def test_a_step_is_told_by_its_commit_and_what_changed_with_it(checkout: Path) -> None:
    newer = {**ENVIRONMENT, "onnxruntime": "1.21.0"}
    commits = []
    for i in range(REVISIONS):
        slow = i >= REVISIONS // 2
        made = latency(5.5 if slow else 5.0, seed=i, environment=newer if slow else ENVIRONMENT)
        commits.append(commit(checkout, made))
    (found,) = read(checkout)
    assert [point.revision for point in found.points] == [one[:10] for one in commits]
    (step,) = found.steps
    assert step.index == REVISIONS // 2
    assert step.change == pytest.approx(0.1, abs=0.01)
    assert found.came_with(step) == ("onnxruntime (1.20.0 and 1.21.0)",)


def test_a_count_is_told_where_it_changed_and_only_there(checkout: Path) -> None:
    for seed, parameters in enumerate((100, 100, 101, 101)):
        commit(checkout, cost(parameters), latency(seed=seed))
    found = {one.figure: one for one in read(checkout)}
    assert [point.figure.value for point in found["parameters"].points] == [100, 101]
    assert len(found["latency"].points) == 4


def test_a_merge_counts_as_the_commit_that_brought_its_figures(checkout: Path) -> None:
    commit(checkout, cost(100))
    git(checkout, "checkout", "-b", "other")
    commit(checkout, cost(200))
    git(checkout, "checkout", "main")
    git(checkout, "merge", "--no-ff", "-m", "merge", "other")
    (found,) = read(checkout)
    assert [point.figure.value for point in found.points] == [100, 200]
    assert found.points[1].revision == git(checkout, "rev-parse", "HEAD")[:10]


def test_removed_and_damaged_files_of_the_past_are_passed_over(checkout: Path) -> None:
    commit(checkout, cost(100))
    (path,) = (checkout / "baselines/main").glob("cost*.json")
    path.write_text("{")
    git(checkout, "commit", "-am", "damaged")
    path.unlink()
    (checkout / "baselines/main/keep.txt").touch()
    git(checkout, "add", "-A")
    git(checkout, "commit", "-m", "removed")
    commit(checkout, cost(300))
    (found,) = read(checkout)
    assert [point.figure.value for point in found.points] == [100, 300]


def test_only_cases_with_all_the_words_are_shown(checkout: Path) -> None:
    commit(checkout, cost(), latency())
    assert [one.figure for one in read(checkout, "latency", "onnx")] == ["latency"]
    assert read(checkout, "latency", "ncnn") == []


def test_no_history_is_one_sentence(
    checkout: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    with pytest.raises(BadInputError, match="no baseline"):
        read(checkout)
    Baselines(checkout / "baselines").save("main", [cost()])
    with pytest.raises(UnavailableError, match="can't tell the history"):
        read(checkout)  # a checkout without a commit
    (checkout / "note").touch()
    git(checkout, "add", "note")
    git(checkout, "commit", "-m", "something else")
    with pytest.raises(BadInputError, match="commit the baseline"):
        read(checkout)
    elsewhere = tmp_path_factory.mktemp("no_checkout")
    Baselines(elsewhere / "baselines").save("main", [cost()])
    with pytest.raises(UnavailableError, match="can't tell the history"):
        read(elsewhere)


def test_results_files_are_taken_in_the_order_given() -> None:
    sides = [side(cost(count), name=f"runs/{count}.jsonl") for count in (3, 1, 2)]
    (found,) = series(of_files(sides), 0.01)
    assert [(point.revision, point.figure.value) for point in found.points] == [
        ("3.jsonl", 3), ("1.jsonl", 1), ("2.jsonl", 2),
    ]  # fmt: skip
    assert [step.index for step in found.steps] == [1, 2]
