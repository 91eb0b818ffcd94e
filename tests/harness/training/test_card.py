"""A card says what weights are, and takes the scores that `verify` found."""

import resource
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from click.testing import CliRunner

from facebench.architectures.errors import BadInputError
from facebench.harness.cli.main import cli
from facebench.harness.records.store import Store
from facebench.harness.storage import shipped
from facebench.harness.storage.cache import file_digest
from facebench.harness.training import weights
from facebench.harness.training.card import card
from facebench.harness.training.recipe import load
from tests.faults.pretence import in_fork
from tests.reports.report_records import pair_scores, scored


def facts(recipe: str = "small", **fields: Any) -> dict[str, Any]:
    run = {
        "network": "mobilefacenet",
        "recipe": load(recipe).facts(),
        "data": "ab" * 32,
        "seed": 3,
        "teacher": None,
    }
    return {
        "run": run,
        "images": 21_497,
        "people": 3_556,
        "iterations": 1_008,
        "processes": 1,
        "device": "cpu",
        "scores": {},
        "licence": "for research on networks alone",
        "versions": {"facebench": "0.1.0", "torch": "2.11.0"},
    } | fields


def test_a_card_names_data_recipe_and_limits() -> None:
    text = card(facts())
    for said in ("21,497 images of 3,556 people", "arcface", "seed 3", "research", "None: `face"):
        assert said in text
    taught = facts("distill")
    taught["run"]["teacher"] = {"name": "onnx:public.onnx", "weights": f"sha256:{'cd' * 32}"}
    assert "onnx:public.onnx (sha256:cdcd" in card(taught)
    assert "Loss" not in card(taught)


def written(path: Path, found: dict[str, Any]) -> Path:
    weights.save(path, {"w": torch.ones(2, 2)}, found)
    return path


def test_scores_of_these_weights_are_written_into_them(tmp_path: Path) -> None:
    path = written(tmp_path / "w.safetensors", facts())
    record = scored("mobilefacenet", pair_scores(0))
    mine = replace(record, case=replace(record.case, weights=f"sha256:{file_digest(path)}"))
    for one in (record, mine):
        Store(tmp_path / "v.jsonl").append(one)
    arguments = ["card", str(path), "--scores", str(tmp_path / "v.jsonl")]
    done = CliRunner().invoke(cli, arguments, catch_exceptions=False)
    assert f"{mine.result.accuracy:.2%} (standard error" in done.output
    assert "TAR" in done.output
    assert list(weights.facts(path)["scores"]) == [record.case.dataset]
    assert torch.equal(weights.load(path)["w"], torch.ones(2, 2))

    with pytest.raises(BadInputError, match="has no scores of"):
        CliRunner().invoke(cli, arguments, catch_exceptions=False)


def test_weights_of_others_have_no_card(tmp_path: Path) -> None:
    path = written(tmp_path / "w.safetensors", {"x": 1})
    with pytest.raises(BadInputError, match="odd metadata .run is missing"):
        CliRunner().invoke(cli, ["card", str(path)], catch_exceptions=False)


@pytest.mark.parametrize("odd", [None, [], "x", {"lfw": 1}, {"lfw": {"tar": {"1": []}}}])
def test_odd_scores_are_one_sentence(odd: object, tmp_path: Path) -> None:
    path = written(tmp_path / "w.safetensors", facts(scores=odd))
    with pytest.raises(BadInputError, match="odd metadata .scores"):
        CliRunner().invoke(cli, ["card", str(path)], catch_exceptions=False)


@pytest.mark.parametrize("name", sorted(shipped.weights()))
def test_what_is_shipped_has_a_card(name: str) -> None:
    text = card(weights.facts(shipped.weights()[name]))
    assert text.startswith(f"# {name.partition('-')[0]}\n")


@pytest.mark.parametrize("room", [0, 100, 1000])
def test_scores_for_which_the_disk_has_no_room_are_one_sentence(
    room: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = written(tmp_path / "w.safetensors", facts())
    before = path.read_bytes()

    def write() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (room, room))
        with pytest.raises(BadInputError, match="cannot write .*: make room|make room"):
            weights.save(path, {"w": torch.ones(200, 200)}, facts())

    assert in_fork(write) == 0
    assert path.read_bytes() == before
