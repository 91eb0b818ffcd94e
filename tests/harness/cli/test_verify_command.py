"""`facebench verify` as its users see it, on drawn faces and networks that cost nothing."""

import json
import shutil
import warnings
from html import escape
from itertools import combinations
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from torch import nn

from facebench.harness.api.measuring import verify
from facebench.harness.models import export
from facebench.harness.models.networks import resolve
from facebench.harness.records.accuracy import Identification
from facebench.harness.records.store import Store
from facebench.harness.runs import fastest
from facebench.harness.runtimes.registry import installed
from facebench.harness.verification.datasets.registry import DATASETS
from tests.harness.command_line import facebench
from tests.harness.verification import made_templates, made_trials

Output = pytest.CaptureFixture[str]

SOME_RUNTIMES = pytest.mark.parametrize(
    "runtimes",
    [
        pytest.param(("onnxruntime", "ncnn"), id="two"),
        pytest.param(tuple(installed()), id="all", marks=pytest.mark.slow),
    ],
)


def answer(capfd: Output, *arguments: object) -> list[dict]:  # type: ignore[type-arg]
    capfd.readouterr()
    assert facebench(*arguments, "--json") == 0
    found: list[dict] = json.loads(capfd.readouterr().out)  # type: ignore[type-arg]
    return found


@pytest.fixture(scope="module")
def networks(tmp_path_factory: pytest.TempPathFactory, cache_folder: Path) -> list[str]:
    """Two networks, the second of which sees little of a face."""
    names = []
    for seed, cell in enumerate((8, 56)):
        torch.manual_seed(seed)
        size = (112 // 2 // (cell // 2)) ** 2 * 8
        module = nn.Sequential(
            nn.Conv2d(3, 8, 3, stride=2, padding=1),
            nn.PReLU(8),
            nn.AvgPool2d(cell // 2),
            nn.Flatten(),
            nn.Linear(size, 16),
        ).eval()
        path = tmp_path_factory.mktemp("networks") / f"cell{cell}.onnx"
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            torch.onnx.export(
                module, (torch.zeros(1, 3, 112, 112),), str(path), dynamo=False, opset_version=17
            )
        names.append(f"onnx:{path}")
        # Here, where torch is, and not in a process for each that would import it first.
        export.export(resolve(names[-1]))
    return names


@pytest.fixture(scope="module")
def people(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Drawn people in two folders: `test` holds 22 of them, `others` the rest."""
    source = DATASETS["synthetic"].open(None).files.path  # type: ignore[attr-defined]
    root = tmp_path_factory.mktemp("people")
    lines = (source / "landmarks.csv").read_text().splitlines()
    for number, folder in enumerate(sorted(path for path in source.iterdir() if path.is_dir())):
        part = root / ("test" if number < 22 else "others")
        shutil.copytree(folder, part / folder.name)
    for part in ("test", "others"):
        here = [line for line in lines[1:] if (root / part / line.split("/")[0]).is_dir()]
        (root / part / "landmarks.csv").write_text("\n".join([lines[0], *here]) + "\n")
    # Too few for pairs to be drawn of them in ten folds.
    others = sorted(path.name for path in (root / "others").iterdir() if path.is_dir())
    pairs = ["first,second,same,fold"]
    for fold, (one, two) in enumerate([others[:2], others[2:4]]):
        pairs.append(f"{one}/{one}_0001.jpg,{one}/{one}_0002.jpg,1,{fold}")
        pairs.append(f"{one}/{one}_0001.jpg,{two}/{two}_0001.jpg,0,{fold}")
    (root / "others" / "pairs.csv").write_text("\n".join(pairs) + "\n")
    return root


def test_two_networks_are_compared_pair_by_pair(
    networks: list[str], people: Path, capfd: Output
) -> None:
    dataset = f"folder:{people / 'test'}"
    found = answer(capfd, "verify", *networks, "--dataset", dataset, "--compare")
    assert isinstance(found, dict)
    first, second = found["records"]
    assert (first["measure"], first["dataset"]) == ("accuracy", "folder:test")
    assert len(first["scores"]["scores"]) == first["pairs"] == len(first["scores"]["same"])
    assert first["summary"]["over"] == "identities"
    low, high = first["summary"]["auc_interval"]
    assert low <= first["summary"]["auc"] <= high
    (compared,) = found["comparisons"]
    assert compared["difference"] == pytest.approx(second["accuracy"] - first["accuracy"])
    assert compared["embeddings"] is None
    assert facebench("verify", *networks, "--dataset", dataset, "--compare") == 0
    printed = capfd.readouterr().out
    assert "standard" in printed
    assert "fold" in printed
    assert "McNemar" in printed


@SOME_RUNTIMES
def test_runtimes_of_one_network_agree_on_every_pair(
    runtimes: tuple[str, ...], networks: list[str], people: Path, capfd: Output
) -> None:
    found = answer(
        capfd, "verify", networks[0], "--dataset", f"folder:{people / 'test'}",
        "--runtime", ",".join(runtimes), "--compare",
    )  # fmt: skip
    assert isinstance(found, dict)
    assert {record["status"] for record in found["records"]} == {"ok"}
    assert len(found["comparisons"]) == len(list(combinations(runtimes, 2)))
    for compared in found["comparisons"]:
        assert compared["changed_decisions"] == 0
        assert compared["embeddings"]["relative"] < 1e-4
        assert compared["verdict"].endswith("decisions are equal")


def test_int8_is_calibrated_on_other_people_or_refused(
    networks: list[str], people: Path, capfd: Output
) -> None:
    test = ("--dataset", f"folder:{people / 'test'}", "--runtime", "onnxruntime")
    lower = ("verify", networks[0], *test, "--precision", "fp32,int8", "--compare")
    found = answer(capfd, *lower, "--calibration", f"folder:{people / 'others'}")
    assert isinstance(found, dict)
    exact, lowered = found["records"]
    assert (exact["precision"], lowered["precision"]) == ("fp32", "int8")
    assert (exact["calibration"], lowered["calibration"]) == ("", "folder:others")
    assert any(check["name"] == "int8 embeds faces as fp32 does" for check in lowered["checks"])
    (compared,) = found["comparisons"]
    assert 0 < compared["embeddings"]["relative"] < 1
    assert facebench(*lower, "--calibration", "synthetic") == 2
    assert "is in both data sets: int8 calibrated on synthetic" in capfd.readouterr().err
    assert facebench("verify", networks[0], "--runtime", "ncnn", "--precision", "int8") == 2
    assert "ncnn" in capfd.readouterr().err


def test_a_threshold_of_one_dataset_is_used_on_another(
    networks: list[str], people: Path, capfd: Output
) -> None:
    how = ("verify", networks[0], "--dataset", f"folder:{people / 'test'}", "--runtime")
    there = ("onnxruntime", "--threshold-from", "synthetic", "--far", "0.1,0.001")
    found = answer(capfd, *how, *there)
    assert isinstance(found, dict)
    (one,) = found["thresholds"]
    assert (one["source"]["dataset"], one["case"]["dataset"]) == ("synthetic", "folder:test")
    assert one["rate"] == 0.1
    (record,) = found["records"]
    assert record["dataset"] == "folder:test"
    assert 0 <= one["far_there"]["value"] <= 1
    assert facebench(*how, *there) == 0
    said = " ".join(capfd.readouterr().out.split())
    assert "the threshold is taken as it was set" in said
    assert "synthetic: a FAR of 0.001 isn't supported by 300 impostor pairs" in said
    assert facebench(*how[:3], "synthetic", "--threshold-from", "synthetic") == 2
    assert "name another dataset" in capfd.readouterr().err


def test_scores_are_normalized_by_a_cohort_and_poor_images_left_out(
    networks: list[str], people: Path, capfd: Output
) -> None:
    how = ("verify", networks[0], "--dataset", f"folder:{people / 'test'}", "--runtime")
    there = ("onnxruntime", "--quality", "norm", "--far", "0.1")
    found = answer(capfd, *how, *there)
    assert isinstance(found, dict)
    (curve,) = found["reject_curves"]
    assert curve["shares"] == [0.0, 0.05, 0.1, 0.2, 0.3]
    (record,) = found["records"]
    whole = record["summary"]["tar"][0]["point"]
    assert curve["frr"][0]["value"] == pytest.approx(1 - whole["accepted"] / whole["trials"])
    assert facebench(*how, "onnxruntime", "--cohort", "synthetic") == 2
    assert "a cohort is of strangers" in capfd.readouterr().err


def test_a_notebook_s_frames_are_what_the_command_prints(
    networks: list[str], people: Path, capfd: Output
) -> None:
    dataset = f"folder:{people / 'test'}"
    how = ("--runtime", "onnxruntime", "--far", "0.1,0.001", "--compare", "--quality", "norm")
    found = answer(
        capfd, "verify", *networks, "--dataset", dataset, *how, "--threshold-from", "synthetic"
    )
    assert isinstance(found, dict)
    scored = verify(
        networks, dataset, runtime="onnxruntime", far=[0.1, 0.001], compare=True, quality="norm",
        threshold_from="synthetic",
    )  # fmt: skip
    rates = scored.rates()
    told = [rate for record in found["records"] for rate in record["summary"]["tar"]]
    assert list(rates.threshold) == [rate["point"]["threshold"] for rate in told]
    there = scored.thresholds().pivot_table("value", ["network", "far"], "figure", sort=False)
    assert list(there.FAR) == [one["far_there"]["value"] for one in found["thresholds"]]
    assert list(there.FRR) == [one["frr_there"]["value"] for one in found["thresholds"]]
    curves = [value for one in found["reject_curves"] for value in one["frr"]]
    assert list(scored.reject_curves().value) == [one["value"] for one in curves]
    (compared,) = scored.comparisons().itertuples()
    (line,) = found["comparisons"]
    assert (compared.value, compared.verdict) == (line["difference"], line["verdict"])
    assert scored.normalized().empty
    assert escape(scored.outcome.transfers.refused[0]) in scored._repr_html_()


def test_a_notebook_s_cohort_is_the_command_s(
    networks: list[str], people: Path, tmp_path: Path, capfd: Output
) -> None:
    dataset, cohort = f"folder:{people / 'test'}", f"folder:{tmp_path / 'others'}"
    shutil.copytree(people / "others", tmp_path / "others")
    images = sorted(path.relative_to(people / "others") for path in people.glob("others/*/*.jpg"))
    # Each with the next one and with one of somebody else, so that all are embedded.
    pairs = [
        f"{one},{two},{int(one.parent == two.parent)},{at % 2}"
        for others in (images[1:], images[10:])
        for at, (one, two) in enumerate(zip(images, others, strict=False))
    ]
    (tmp_path / "others" / "pairs.csv").write_text("\n".join(["first,second,same,fold", *pairs]))
    how = ("--runtime", "onnxruntime", "--far", "0.1", "--cohort", cohort)
    found = answer(capfd, "verify", networks[0], "--dataset", dataset, *how)
    assert isinstance(found, dict)
    frame = verify(networks[0], dataset, runtime="onnxruntime", far=0.1, cohort=cohort).normalized()
    told = frame.pivot_table("value", "method", "figure", sort=False)
    assert list(told.index) == ["z", "t", "s"]
    for one in found["normalized"]:
        mine = told.loc[one["method"]]
        assert (mine.accuracy, mine.gain) == (one["accuracy"], one["gain"])
        assert one["eer"]["value"] == mine.EER


def test_what_each_protocol_reports_is_said(capfd: Output) -> None:
    assert facebench("verify", "--protocol") == 0
    said = " ".join(capfd.readouterr().out.split())
    assert "ijbb, ijbc: TAR at FAR 0.1 to 1e-6" in said
    assert "rfw: Each group's accuracy is at thresholds of its own" in said


def test_pairs_of_templates_are_scored_at_each_far(
    networks: list[str], cache_folder: Path, tmp_path: Path, capfd: Output
) -> None:
    made_templates.write(tmp_path)
    how = (
        "verify",
        networks[0],
        "--dataset",
        "ijbc",
        "--data",
        tmp_path,
        "--runtime",
        "onnxruntime",
    )
    (record,) = answer(capfd, *how, "--batch", "16")
    assert record["measure"] == "templates"
    assert [point["rate"] for point in record["tar"]] == [0.1, 0.01]
    assert record["tar"][0]["trials"] == 30
    assert (record["images"], record["templates"], record["impostor"]) == (150, 60, 870)
    assert facebench(*how, "--batch", "16") == 0
    said = " ".join(capfd.readouterr().out.split())
    assert "FAR 0.01" in said
    assert "Intervals are over 30 people: templates that genuine pairs join." in said
    assert "a FAR of 1e-06 isn't supported by 870 impostor pairs" in said
    (record,) = answer(capfd, *how[:3], "ijbc_1n", *how[4:], "--batch", "16")
    assert (record["measure"], record["galleries"], record["probes"]) == ("galleries", [15, 15], 30)
    assert facebench(*how[:3], "ijbc_1n", *how[4:], "--batch", "16") == 0
    assert "the galleries are as they are" in " ".join(capfd.readouterr().out.split())


def test_trials_of_blufr_are_scored(networks: list[str], tmp_path: Path, capfd: Output) -> None:
    made_trials.write(tmp_path)
    how = ("verify", networks[0], "--dataset", "blufr", "--data", tmp_path)
    how = (*how, "--runtime", "onnxruntime", "--batch", "16")
    (record,) = answer(capfd, *how)
    assert record["measure"] == "trials"
    assert (len(record["tar"]), record["unmated"]) == (3, [60, 60, 60])
    assert facebench(*how) == 0
    assert "Mean less standard deviation over 3 trials" in " ".join(capfd.readouterr().out.split())


@SOME_RUNTIMES
def test_the_fastest_runtime_is_looked_for_once(
    runtimes: tuple[str, ...],
    networks: list[str],
    people: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: Output,
) -> None:
    monkeypatch.setattr(fastest, "installed", lambda: list(runtimes))
    how = ("verify", networks[1], "--dataset", f"folder:{people / 'test'}", "--runtime", "fastest")
    (record,) = answer(capfd, *how)
    assert record["runtime"] in runtimes
    assert facebench(*how) == 0
    said = capfd.readouterr().err
    assert f"fastest in {record['runtime']} with a batch of {record['batch']}" in said
    assert "trying" not in said


def test_a_network_that_no_runtime_runs_leaves_the_others_their_scores(
    networks: list[str],
    people: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: Output,
) -> None:
    monkeypatch.setattr(fastest, "installed", lambda: ["onnxruntime"])
    broken = onnx.load(networks[1].removeprefix("onnx:"))
    for tensor in broken.graph.initializer:
        values = onnx.numpy_helper.to_array(tensor)
        if values.dtype == np.float32:
            nan = np.full_like(values, np.nan)
            tensor.CopyFrom(onnx.numpy_helper.from_array(nan, tensor.name))
    onnx.save(broken, tmp_path / "broken.onnx")
    how = ("--dataset", f"folder:{people / 'test'}", "--runtime", "fastest")
    assert facebench("verify", f"onnx:{tmp_path / 'broken.onnx'}", networks[1], *how) == 2
    told = capfd.readouterr()
    assert "cell56.onnx" in told.out
    assert "no runtime runs it" in told.err
    last = told.err.strip().splitlines()[-1]
    assert "broken.onnx" in last
    assert "NaN" in last


@pytest.mark.parametrize("absent", ["exclude", "reject", "centre"])
def test_what_becomes_of_an_image_without_a_face_is_said(
    absent: str, networks: list[str], people: Path, tmp_path: Path, capfd: Output
) -> None:
    shutil.copytree(people / "test", tmp_path / "test")
    listed = tmp_path / "test" / "landmarks.csv"
    lines = listed.read_text().splitlines()
    gone = lines.pop(7).split(",")[0]
    listed.write_text("\n".join(lines) + "\n")
    how = ("verify", networks[0], "--dataset", f"folder:{tmp_path / 'test'}")
    assert facebench(*how) == 2
    assert gone in capfd.readouterr().err
    (record,) = answer(capfd, *how, "--absent", absent)
    assert record["not_found"] == [gone]
    assert record["absent"] == absent
    assert (record["excluded_pairs"] > 0) == (absent == "exclude")
    assert (-1.0 in record["scores"]["scores"]) == (absent == "reject")
    assert facebench(*how, "--absent", absent) == 0
    assert f"no face found in 1 images: {gone}" in capfd.readouterr().err


def test_a_search_is_an_identification(networks: list[str], people: Path, capfd: Output) -> None:
    dataset = f"search:{people / 'test'}::{people / 'others'}"
    (record,) = answer(capfd, "verify", networks[0], "--dataset", dataset)
    assert record["measure"] == "identification"
    assert (record["probes"], record["distractors"]) == (110, 40)
    assert record["mated_searches"] == 22 * 5 * 4
    assert 0 < record["rank1"] <= 1
    assert facebench("verify", networks[0], "--dataset", dataset) == 0
    assert "rank 1 %" in capfd.readouterr().out


def test_a_search_with_other_pixels_is_another_search(
    networks: list[str], people: Path, tmp_path: Path
) -> None:
    dataset = f"search:{people / 'test'}::{people / 'others'}"
    thresholds = []
    for number, pixels in enumerate([(), ("--mean", "20", "--scale", "90"), ()]):
        out = tmp_path / f"{number}.jsonl"
        assert facebench("verify", networks[0], "--dataset", dataset, "-o", out, *pixels) == 0
        (record,) = Store(out).read()
        assert isinstance(record.result, Identification)
        thresholds.append([point.threshold for point in record.result.tar])
    assert thresholds[0]
    assert thresholds[0] == thresholds[2] != thresholds[1]


def test_records_are_kept_and_nothing_is_scored_twice(
    networks: list[str], people: Path, tmp_path: Path, capfd: Output
) -> None:
    out = tmp_path / "scores.jsonl"
    how = ("verify", networks[0], "--dataset", f"folder:{people / 'test'}", "-o", out)
    assert facebench(*how) == 0
    assert "[1/1]" in capfd.readouterr().err
    assert facebench(*how) == 0
    assert "[1/1]" not in capfd.readouterr().err
    (record,) = Store(out).read()
    assert record.result is not None
    assert record.provenance["faces_sha256"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("--far often", "--far 'often' is not valid"),
        ("--far 2", "2"),
        ("--precision fp4", "unknown precision 'fp4'"),
        ("--landmarks eyes", "eyes"),
        ("--runtime ncnn --precision fp16", "ncnn"),
        ("--dataset folder:{tmp}/nowhere", "nowhere"),
        ("--dataset list:{tmp}/nowhere.csv", "nowhere.csv"),
        ("--dataset bin:{tmp}/nowhere.bin", "nowhere.bin"),
        ("--landmarks scrfd:{tmp}/nowhere.onnx", "nowhere.onnx"),
    ],
)
def test_bad_input_is_one_sentence(
    arguments: str, words: str, networks: list[str], tmp_path: Path, capfd: Output
) -> None:
    assert facebench("verify", networks[1], *arguments.format(tmp=tmp_path).split()) == 2
    said = capfd.readouterr().err.strip().splitlines()[-1]
    assert said.startswith("facebench: ")
    assert words in said
