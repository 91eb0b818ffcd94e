"""What a format has no room for, and what comes in from outside."""

from __future__ import annotations

import json
import re
import zlib
from base64 import b64encode
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import onnx
import pytest

from facebench.architectures.errors import BadInputError, FacebenchError, RefusedError
from facebench.harness.models import onnx_facts
from facebench.harness.records.record import Record
from facebench.harness.storage import serialization
from facebench.reports.exchange.registry import Destination, convert, read
from tests.harness.command_line import facebench
from tests.reports.exchange.test_formats import NETWORK, model
from tests.reports.report_records import (
    cost,
    emulated,
    latency,
    pair_scores,
    refused,
    scored,
    throughput,
)


@pytest.mark.parametrize(
    ("to", "given", "told"),
    [
        ("csv", [refused(NETWORK)], "hold no result"),
        ("croissant", [cost(NETWORK)], "no scores of pairs"),
        ("nn-meter", emulated(NETWORK), "hold none of these"),
        ("huggingface", [cost(NETWORK), cost("mobilenet_v2")], "of one network.*--network"),
        (
            "huggingface",
            [
                scored(NETWORK, pair_scores(1, pairs=60)),
                scored(NETWORK, pair_scores(2, pairs=60), weights="sha256:other"),
            ],
            "of one set of weights",
        ),
        ("onnx", [cost(NETWORK)], "--into"),
    ],
)
def test_what_has_no_room_is_refused(
    to: str, given: list[Record], told: str, tmp_path: Path
) -> None:
    with pytest.raises(FacebenchError, match=told):
        convert(given, to, Destination(tmp_path / "out"))
    assert not (tmp_path / "out").exists()


def test_what_is_left_out_is_said(tmp_path: Path) -> None:
    given = [cost(NETWORK), latency(NETWORK, "ncnn"), *emulated(NETWORK), refused(NETWORK)]
    told = convert(given, "nn-meter", Destination(tmp_path / "out.json"))
    assert told.count == 1
    assert told.left_out[0] == "1 case without a result"
    assert told.left_out[1].startswith("3 records that are no measured times")


@pytest.mark.parametrize("to", ["csv", "parquet", "nn-meter", "records", "croissant"])
def test_only_models_and_cards_are_added_to(to: str, tmp_path: Path) -> None:
    into = tmp_path / "file"
    into.write_text("mine")
    with pytest.raises(BadInputError, match="for huggingface, onnx"):
        convert([latency(NETWORK, "ncnn")], to, Destination(tmp_path / "out", into))


def test_figures_go_into_their_own_network_alone(tmp_path: Path) -> None:
    other = model(tmp_path / "other.onnx", "mobilenet_v2")
    with pytest.raises(RefusedError, match="is mobilenet_v2 with random:0, and the records are of"):
        convert([cost(NETWORK)], "onnx", Destination(tmp_path / "out.onnx", other))
    seed = model(tmp_path / "seed.onnx", weights="random:1")
    with pytest.raises(RefusedError, match=r"random:1.*random:0"):
        convert([cost(NETWORK)], "onnx", Destination(tmp_path / "out.onnx", seed))


def nameless(path: Path) -> Path:
    made = onnx.load(model(path))
    del made.metadata_props[:]
    onnx.save(made, path)
    return path


def test_a_file_that_was_measured_itself_needs_no_name(tmp_path: Path) -> None:
    import hashlib

    into = nameless(tmp_path / "mine.onnx")
    digest = hashlib.sha256(into.read_bytes()).hexdigest()
    made = cost("onnx:mine.onnx")
    own = replace(made, case=replace(made.case, weights=f"sha256:{digest}"))
    with pytest.raises(RefusedError, match="does not say which network it is"):
        convert([made], "onnx", Destination(tmp_path / "out.onnx", into))
    convert([own, made], "onnx", Destination(tmp_path / "out.onnx", into))
    assert read([tmp_path / "out.onnx"]) == [own]


def test_a_model_is_not_parted_from_its_weights(tmp_path: Path) -> None:
    import numpy as np

    made = onnx.load(model(tmp_path / "a.onnx"))
    made.graph.initializer.append(onnx.numpy_helper.from_array(np.ones(2000, np.float32), "w"))
    onnx.save(made, tmp_path / "b.onnx", save_as_external_data=True, location="b.bin")
    beside = tmp_path / "b.onnx"
    given = [cost(NETWORK)]
    with pytest.raises(BadInputError, match="in files beside it"):
        convert(given, "onnx", Destination(tmp_path / "deep" / "out.onnx", beside))
    convert(given, "onnx", Destination(tmp_path / "out.onnx", beside))
    assert read([tmp_path / "out.onnx"]) == given


@pytest.mark.parametrize(
    ("packed", "told"),
    [
        (None, "carries no records"),
        ("no base64!", "damaged"),
        (b64encode(b"no zlib").decode(), "damaged"),
        (b64encode(zlib.compress(b"{}")).decode(), "damaged"),
        (b64encode(zlib.compress(b"[" * 10**6)).decode(), "damaged"),
        (b64encode(zlib.compress(bytes(2**20 + 1))).decode(), "unpacks to more than"),
    ],
    ids=["none", "base64", "zlib", "record", "deep", "huge"],
)
def test_records_of_a_model_are_not_trusted(
    packed: str | None, told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(serialization, "_LARGEST", 2**20)
    made = onnx.load(model(tmp_path / "a.onnx"))
    if packed is not None:
        onnx_facts.put(made, {"facebench.records": packed})
    onnx.save(made, tmp_path / "a.onnx")
    with pytest.raises(BadInputError, match=told):
        read([tmp_path / "a.onnx"])


OTHERS = """---
license: mit
language: en
model-index:
- name: theirs
  results:
  - task: {type: image-feature-extraction}
    dataset: {type: none, name: mine}
    metrics:
    - {type: latency_median, value: 3.5}
    source: {name: somebody, url: https://example.org}
---

# Mine

Words | that stay.
"""


def test_a_card_keeps_what_it_says(tmp_path: Path) -> None:
    from huggingface_hub import ModelCard

    card = tmp_path / "README.md"
    card.write_text(OTHERS)
    for given in ([latency(NETWORK, "ncnn"), cost(NETWORK)], [latency(NETWORK, "torch")]):
        convert(given, "huggingface", Destination(card, card))
    found = ModelCard.load(card)
    assert found.text == OTHERS.partition("---\n\n")[2].join(["\n", ""])
    assert (found.data.license, found.data.language) == ("mit", "en")
    assert found.data.model_name == "theirs"
    theirs, *ours = found.data.eval_results
    assert (theirs.metric_value, theirs.source_name) == (3.5, "somebody")
    # Those of the first time are replaced, and nothing of ours has their source.
    assert {one.metric_args["runtime"] for one in ours} == {"torch"}
    assert {one.source_name for one in ours} == {None}


def test_a_card_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("# Mine\n")
    with pytest.raises(BadInputError, match=r"README\.md is there already: --into"):
        convert([cost(NETWORK)], "huggingface", Destination(tmp_path / "README.md"))


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("---\na: [\n---\n", "no model card"),
        ("---\n- a\n---\n", "no model card"),
        ("---\nmodel-index: 3\n---\n", "no model card"),
        ("---\nmodel-index: [{name: a}]\n---\n", "no model card"),
        (OTHERS.replace("  results:", "  results: []\n- name: b\n  results:"), "several models"),
        ("---\nx: !!python/object/apply:os.getpid []\n---\n", "no model card"),
        ("a" * (2**22 + 1), "larger than 4 MiB"),
    ],
    ids=["yaml", "list", "number", "incomplete", "several", "object", "huge"],
)
def test_a_card_is_not_trusted(text: str, told: str, tmp_path: Path) -> None:
    (tmp_path / "in.md").write_text(text)
    with pytest.raises(BadInputError, match=told):
        convert(
            [cost(NETWORK)], "huggingface", Destination(tmp_path / "out.md", tmp_path / "in.md")
        )
    assert not (tmp_path / "out.md").exists()


def linked(folder: Path) -> list[str]:
    (folder / "mine").write_text("mine")
    (folder / "out").symlink_to(folder / "mine")
    return ["--to", "csv", "-o", str(folder / "out")]


WRONG: dict[str, Callable[[Path], list[str]]] = {
    "unknown format 'parket': did you mean parquet": lambda folder: ["--to", "parket", "-o", "x"],
    "hold nothing of --network other, but of mobilefacenet": lambda folder: [
        "--to", "csv", "-o", "x", "--network", "other"
    ],
    "is a link": linked,
}  # fmt: skip


@pytest.mark.parametrize("told", WRONG)
def test_the_command_refuses_in_a_sentence(
    told: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    results = tmp_path / "records.jsonl"
    convert([cost(NETWORK)], "records", Destination(results))
    assert facebench("convert", results, *WRONG[told](tmp_path)) == 2
    said = capsys.readouterr().err
    assert re.search(told, said.replace("\n", " "))
    assert "Traceback" not in said


def test_the_command_says_what_it_wrote(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    results, out = tmp_path / "records.jsonl", tmp_path / "a.csv"
    given = [cost(NETWORK), throughput("mobilenet_v2", "torch", 1, 1), refused("mobilenet_v2")]
    convert([*given[:2], latency(NETWORK, "ncnn")], "records", Destination(results))
    assert facebench("convert", results, "--to", "csv", "-o", out, "--network", NETWORK) == 0
    assert f"{out}: 16 figures, for pandas" in capsys.readouterr().out
    assert facebench("convert", results, "--to", "csv", "-o", out, "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["format"], told["count"], told["left_out"]) == ("csv", 17, [])
