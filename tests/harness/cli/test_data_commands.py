"""`facebench data` as its users and their scripts see it."""

import json

import numpy as np
import pytest
from PIL import Image

from facebench.architectures.errors import UnavailableError
from facebench.harness.cli.commands.data import data as group
from facebench.harness.storage import downloads
from facebench.harness.verification.datasets.registry import DATASETS
from tests.harness import command_line


@pytest.fixture(autouse=True)
def no_data(monkeypatch):
    monkeypatch.delenv("FACEBENCH_DATA", raising=False)


def facebench(*arguments):
    """Run a command of the group in this process; its exit code."""
    return command_line.facebench("data", *arguments)


@pytest.fixture
def people(tmp_path):
    folder = tmp_path / "people"
    rng = np.random.default_rng(0)
    for number in range(20):
        (folder / f"P{number:02d}").mkdir(parents=True)
        for image in range(2):
            pixels = rng.integers(0, 256, (8, 8, 3), np.uint8)
            Image.fromarray(pixels).save(folder / f"P{number:02d}" / f"{image}.png")
    return folder


@pytest.mark.parametrize("command", sorted(group.commands))
def test_every_command_has_help_with_an_example(command, capfd):
    assert facebench(command, "--help") == 0
    assert f"facebench data {command}" in capfd.readouterr().out


def test_what_is_registered_is_listed_with_how_it_comes_here(capfd):
    assert facebench("list", "--json") == 0
    listed = json.loads(capfd.readouterr().out)
    names = [*DATASETS.names(), *(f"{prefix}:<path>" for prefix in DATASETS.families())]
    assert [entry["name"] for entry in listed] == names
    assert {e["name"] for e in listed if e["download"]} == {
        dataset.name for dataset in DATASETS if dataset.downloads
    }
    assert facebench("list") == 0
    assert "agedb_30" in capfd.readouterr().out


def test_a_sound_dataset_is_exit_code_0(capfd):
    assert facebench("check", "synthetic", "--json") == 0
    found = json.loads(capfd.readouterr().out)
    assert found["problems"] == []
    assert found["counts"]["images"] == 150
    assert facebench("check", "synthetic") == 0
    assert "no problems" in capfd.readouterr().out


def test_a_dataset_with_faults_is_exit_code_1_and_each_is_a_line(people, capfd):
    (people / "P03" / "0.png").write_bytes(b"no image")
    assert facebench("check", f"folder:{people}") == 1
    lines = capfd.readouterr().out.splitlines()
    assert lines[0].startswith("folder:people: 40 images, 20 identities")
    assert any(line.startswith("undecodable: ") and "P03/0.png" in line for line in lines)
    assert facebench("check", f"folder:{people}", "--json") == 1
    kinds = {problem["kind"] for problem in json.loads(capfd.readouterr().out)["problems"]}
    assert kinds == {"undecodable", "landmarks", "pair"}


def test_pairs_that_are_written_are_the_folders_from_then_on(people, tmp_path, capfd):
    out = people / "pairs.csv"
    assert facebench("pairs", f"folder:{people}", "-o", out, "--seed", 3, "--json") == 0
    assert json.loads(capfd.readouterr().out)["path"] == str(out)
    again, other = tmp_path / "again.csv", tmp_path / "other.csv"
    assert facebench("pairs", f"folder:{people}", "-o", again) == 0
    assert again.read_bytes() == out.read_bytes()
    assert facebench("pairs", f"folder:{people}", "-o", other, "--seed", 4) == 0
    assert other.read_bytes() != out.read_bytes()


def test_pairs_of_a_registered_dataset_are_written_as_they_are(tmp_path, capfd):
    assert facebench("pairs", "synthetic", "-o", tmp_path / "x.csv") == 0
    assert len((tmp_path / "x.csv").read_text().splitlines()) == 601


def test_a_download_lands_in_the_data_folder(tmp_path, capfd, monkeypatch):
    def fetch(download, folder, progress):
        progress.at(1, None)
        return folder / download.name

    monkeypatch.setattr(downloads, "fetch", fetch)
    assert facebench("fetch", "lfw", "--data", tmp_path, "--json") == 0
    names = [download.name for download in DATASETS["lfw"].downloads]
    assert json.loads(capfd.readouterr().out) == [str(tmp_path / name) for name in names]


def test_a_download_that_fails_says_what_to_put_where(tmp_path, capfd, monkeypatch):
    def fetch(*_):
        raise UnavailableError("cannot reach it")

    monkeypatch.setattr(downloads, "fetch", fetch)
    assert facebench("fetch", "lfw", "--data", tmp_path) == 2
    printed = capfd.readouterr().err
    assert f"cannot reach it; or put into {tmp_path} a folder lfw-deepfunneled" in printed


@pytest.mark.parametrize("name", [d.name for d in DATASETS if not d.downloads])
def test_what_has_no_address_is_refused_with_where_it_belongs(name, tmp_path, capfd):
    assert facebench("fetch", name, "--data", tmp_path) == 2
    printed = capfd.readouterr().err
    assert DATASETS[name].place in printed
    assert len(printed.splitlines()) == 1


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("fetch lfw", "no data folder is named"),
        ("fetch lfww", "did you mean lfw"),
        ("check lfw --data {tmp}", "dataset lfw is not in"),
        ("check folder:{tmp}", "holds no identity/image"),
        ("check folder:{tmp}/absent", "there is no"),
        ("check bin:{tmp}/file", "is truncated or no pickle"),
        ("check list:{tmp}/file", "line 1 must be first,second,same,fold"),
        ("check search:{tmp}", "write search:PROBES::DISTRACTORS"),
        ("pairs synthetic -o {tmp}/file", "is there already"),
        ("pairs synthetic -o {tmp}/a/b.csv", "cannot write"),
        ("pairs synthetic -o {tmp}/x.csv --seed 1", "--seed draws pairs of a folder"),
        ("pairs search:{tmp}/a::{tmp}/b -o {tmp}/x.csv", "there is no"),
    ],
)
def test_bad_input_is_one_sentence_and_exit_code_2(arguments, words, tmp_path, capfd):
    (tmp_path / "file").write_text("no list")
    assert facebench(*arguments.format(tmp=tmp_path).split()) == 2
    printed = capfd.readouterr()
    assert printed.out == ""
    assert words in printed.err
    assert len(printed.err.splitlines()) == 1
