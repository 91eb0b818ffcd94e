"""`facebench compress` as its users see it: files that every command takes, and what they cost."""

import errno
import json
import os
from pathlib import Path

import pytest
from safetensors.numpy import load_file, save_file

from facebench.harness.models.networks import resolve
from tests.harness.command_line import facebench
from tests.harness.training.small import write_people

Output = pytest.CaptureFixture[str]

NETWORK = "shufflenet_v1"


def made(capfd: Output, *arguments: object) -> dict:  # type: ignore[type-arg]
    capfd.readouterr()
    assert facebench("compress", NETWORK, *arguments, "--json") == 0
    (found,) = json.loads(capfd.readouterr().out)
    return found  # type: ignore[no-any-return]


def test_files_are_smaller_and_are_weights(tmp_path: Path, capfd: Output) -> None:
    found = made(capfd, "--sparsity", "0,0.5", "--bits", "8,4", "-o", tmp_path / "small")
    sizes = [one["bytes"] for one in found["files"]]
    assert sizes == [Path(one["path"]).stat().st_size for one in found["files"]]
    assert found["fp32_bytes"] > 3.9 * sizes[0] > 3.9 * sizes[1] > 3.9 * sizes[3]
    assert [round(one["kept"], 3) for one in found["files"]] == [1, 1, 0.5, 0.5]
    whole = resolve(NETWORK).module().state_dict()
    for one in found["files"]:
        state = resolve(NETWORK, one["path"]).module().state_dict()
        differences = [
            float((state[name] - value).abs().max() / value.abs().max())
            for name, value in whole.items()
            if value.ndim > 1
        ]
        assert 0 < max(differences) < (0.02 if one["bits"] == 8 and not one["sparsity"] else 0.5)


def test_each_file_is_scored_beside_the_weights_as_they_were(tmp_path: Path, capfd: Output) -> None:
    how = ("--bits", "8", "--sparsity", "0", "--dataset", "synthetic", "-o", tmp_path)
    found = made(capfd, *how)
    (one,) = found["files"]
    low, high = one["interval"]
    assert low <= one["accuracy"] <= high
    assert one["difference_interval"][0] <= one["difference"] <= one["difference_interval"][1]
    assert facebench("compress", NETWORK, *how) == 0
    printed = capfd.readouterr().out
    assert "decisions" in printed
    assert f"{one['accuracy']:.2%}" in printed
    assert str(tmp_path / f"{NETWORK}.svg") in printed
    assert (tmp_path / f"{NETWORK}.svg").read_bytes().startswith(b"<?xml")
    assert len((tmp_path / "records.jsonl").read_text().splitlines()) == 2


@pytest.mark.slow
def test_each_file_is_timed_beside_the_weights_as_they_were(tmp_path: Path, capfd: Output) -> None:
    how = ("--bits", "8", "--sparsity", "0.7", "--time", "ncnn", "--rounds", "2", "-o", tmp_path)
    (one,) = made(capfd, *how)["files"]
    time = next(time for time in one["times"] if time["unit"] == "ms")
    assert (time["runtime"], time["figure"]) == ("ncnn", "latency")
    # The same sizes are computed, zeros or not.
    assert 0.5 < time["now"] / time["before"] < 2


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("--sparsity 1", "shares from 0 to below 1"),
        ("--sparsity nan", "shares from 0 to below 1"),
        ("--bits 9", "whole numbers from 1 to 8"),
        ("--bits many", "whole numbers from 1 to 8"),
        ("--dataset folder:/nowhere", "/nowhere"),
        ("--time slowest", "slowest"),
        ("--bits 0", "whole numbers from 1 to 8"),
        ("--bits 16", "whole numbers from 1 to 8"),
        ("--sparsity 50%", "shares from 0 to below 1"),
        ("--sparsity -0.1", "shares from 0 to below 1"),
        ("--epochs nan", "--epochs"),
        ("--retrain /nowhere --dataset folder:/nothing", "/nothing"),
        ("--retrain /nowhere --time slowest", "slowest"),
    ],
)
def test_bad_input_is_one_sentence(
    arguments: str, words: str, tmp_path: Path, capfd: Output
) -> None:
    assert facebench("compress", NETWORK, *arguments.split(), "-o", tmp_path) == 2
    said = capfd.readouterr().err.strip().splitlines()[-1]
    assert said.startswith("facebench: ")
    assert words in said


def test_a_damaged_file_is_refused(tmp_path: Path, capfd: Output) -> None:
    found = made(capfd, "-o", tmp_path)
    path = Path(found["files"][0]["path"])
    content = load_file(path)["coded"]
    save_file({"coded": content[:-9]}, path, {"facebench_coded": "[[]]"})
    assert facebench("cost", NETWORK, "--weights", f"{NETWORK}={path}") == 2
    assert "no weights that can be read safely" in capfd.readouterr().err


def test_files_do_not_share_a_name(tmp_path: Path, capfd: Output) -> None:
    found = made(capfd, "--sparsity", "0.3,0.30000001", "-o", tmp_path)
    assert len({one["path"] for one in found["files"]}) == 2


def test_what_lies_elsewhere_is_not_written_to(tmp_path: Path, capfd: Output) -> None:
    (tmp_path / "precious").write_text("as it was")
    out = tmp_path / "out"
    out.mkdir()
    (out / f"{NETWORK}-0.3-6bit.safetensors").symlink_to(tmp_path / "precious")
    (tmp_path / "gone").symlink_to(tmp_path / "nowhere")
    for folder, words in ((out, "a link"), (tmp_path / "gone", "cannot write")):
        assert facebench("compress", NETWORK, "-o", folder) == 2
        said = capfd.readouterr().err.strip().splitlines()[-1]
        assert said.startswith("facebench: ")
        assert words in said
    assert (tmp_path / "precious").read_text() == "as it was"


def test_a_full_disk_is_one_sentence_and_leaves_nothing(
    tmp_path: Path, capfd: Output, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    resolve(NETWORK).module()  # what the cache keeps of it is there already
    monkeypatch.setattr(os, "fsync", full)
    out = tmp_path / "small"
    assert facebench("compress", NETWORK, "--sparsity", "0", "--bits", "2", "-o", out) == 2
    said = capfd.readouterr().err.strip().splitlines()[-1]
    assert said == (
        f"facebench: cannot write {out / NETWORK}-0-2bit.safetensors: No space left on device; "
        "make room, or name another folder"
    )
    assert list(out.iterdir()) == []


def test_the_weights_that_are_compressed_are_not_written_over(
    tmp_path: Path, capfd: Output
) -> None:
    (one,) = made(capfd, "--sparsity", "0", "--bits", "3", "-o", tmp_path)["files"]
    path = Path(one["path"])
    before = path.read_bytes()
    weights = ("--weights", f"{NETWORK}={path}", "--sparsity", "0", "--bits")
    assert facebench("compress", NETWORK, *weights, "3", "-o", tmp_path / ".") == 2
    assert "would be written over" in capfd.readouterr().err
    assert path.read_bytes() == before
    # What shares so few values already keeps them, elsewhere and in more bits.
    found = made(capfd, *weights, "4", "-o", tmp_path)["files"]
    states = [resolve(NETWORK, each).module().state_dict() for each in (path, found[0]["path"])]
    assert all(bool((states[0][name] == states[1][name]).all()) for name in states[0])


def test_retraining_takes_faces_of_anybody_but_a_batch_of_them(
    tmp_path: Path, capfd: Output
) -> None:
    faces = write_people(tmp_path / "faces", people=1, images=3)
    assert facebench("compress", NETWORK, "--retrain", faces, "-o", tmp_path / "out") == 2
    said = capfd.readouterr().err.strip().splitlines()[-1]
    assert said.startswith(f"facebench: {faces} has 3 images, and --retrain takes a batch of 128")


def test_a_graph_of_the_users_is_refused(tiny_onnx: Path, tmp_path: Path, capfd: Output) -> None:
    arguments = ("--retrain", "/nowhere", "-o", tmp_path)
    assert facebench("compress", f"onnx:{tiny_onnx}", *arguments) == 2
    assert "has its weights in it" in capfd.readouterr().err
