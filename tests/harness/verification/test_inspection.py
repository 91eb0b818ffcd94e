"""What is wrong with a dataset: each kind of fault is named, and a sound one has none."""

import dataclasses
import re

import pytest
from PIL import Image

from facebench.architectures.errors import BadInputError
from facebench.harness.verification.datasets.registry import DATASETS, available
from facebench.harness.verification.inspection import inspect, require_order, require_whole
from tests.harness.command_line import facebench
from tests.progress import Told

LFW = DATASETS["lfw"]


def found(layout):
    """Kinds and keys of the problems."""
    return [(p.kind, p.key) for p in inspect(LFW.open(layout.root)).problems]


@pytest.mark.parametrize("name", DATASETS.names())
def test_every_dataset_that_is_there_is_whole(name, tmp_path):
    if name not in available(tmp_path):
        pytest.skip(f"no {name} in an empty folder")
    faces = DATASETS[name].open(tmp_path)
    require_whole(faces)
    assert inspect(faces).problems == ()


def test_a_sound_set_is_counted_and_has_no_problems(layout):
    told = Told()
    inspection = inspect(LFW.open(layout.root), told)
    assert inspection.problems == ()
    assert inspection.counts == {
        "images": 8,
        "identities": 4,
        "images with landmarks": 8,
        "genuine pairs": 4,
        "impostor pairs": 4,
        "folds": 2,
    }
    (size,) = inspection.images.sizes
    assert inspection.images.sizes[size] == 8
    assert inspection.images.orientations == {"1": 8}
    assert told.reached == [(n, 8, "") for n in range(1, 9)]
    require_whole(LFW.open(layout.root))


def test_the_command_says_formats_sizes_and_what_is_turned(tmp_path, capsys):
    exif = Image.Exif()
    exif[0x0112] = 6
    for name, size, how in (("a.png", (56, 56), {}), ("b.jpg", (40, 30), {"exif": exif})):
        Image.new("RGB", size, (9, 9, 9)).save(tmp_path / name, **how)
    (tmp_path / "mine.csv").write_text("first,second,same,fold\na.png,b.jpg,0,0\n")
    facebench("data", "check", f"list:{tmp_path}/mine.csv")
    printed = capsys.readouterr().out
    assert "formats: PNG RGB (1), JPEG RGB (1)" in printed
    assert "sizes: 56x56 (1), 40x30 (1)" in printed
    assert "turned upright, by Exif's orientation: 1 (1), 6 (1)" in printed


@pytest.mark.parametrize("packed", [False, True])
def test_a_missing_image_and_its_pairs_are_named(layout, packed):
    layout.image("Ann_0001.jpg").unlink()
    if packed:
        layout.archive()
    faces = LFW.open(layout.root)
    problems = inspect(faces).problems
    assert [problem.kind for problem in problems] == ["missing", "pair", "pair"]
    assert "Ann_0001.jpg" in problems[0].sentence
    assert "pair 1 (Ann/Ann_0001.jpg, Ann/Ann_0002.jpg) can't be formed" in problems[1].sentence
    with pytest.raises(BadInputError, match=r"names an image that is missing, .*Ann_0001\.jpg"):
        require_whole(faces)


def test_a_truncated_image_is_named_and_not_missing(layout):
    path = layout.image("Bob_0002.jpg")
    path.write_bytes(path.read_bytes()[:-200])
    assert found(layout) == [
        ("undecodable", "Bob/Bob_0002.jpg"),
        ("pair", "Bob/Bob_0001.jpg"),
        ("pair", "Ann/Ann_0002.jpg"),
    ]
    require_whole(LFW.open(layout.root))


def test_landmarks_with_the_persons_left_are_named_and_refused(layout):
    header, *rows = layout.landmarks.read_text().splitlines()
    cells = [row.split(",") for row in rows]
    exchanged = [[c[0], *c[3:5], *c[1:3], *c[5:7], *c[9:11], *c[7:9]] for c in cells]
    layout.landmarks.write_text("\n".join([header, *map(",".join, exchanged), "", ""]))
    faces = LFW.open(layout.root)
    problems = inspect(faces).problems
    assert {problem.kind for problem in problems} == {"landmarks"}
    assert len(problems) == len(faces.keys)
    sentence = r"landmarks of .*Ann_0001\.jpg have left and right exchanged.*exchange the columns"
    assert re.search(sentence, problems[0].sentence)
    with pytest.raises(BadInputError, match=sentence):
        require_order(faces)


def test_an_image_without_landmarks_is_named_with_the_mend(layout, replace):
    replace(layout.landmarks, "Ann/Ann_0001.jpg", "Ann/Ann_0009.jpg")
    assert found(layout) == [("landmarks", "Ann/Ann_0001.jpg")]
    with pytest.raises(BadInputError, match=r"no landmarks for Ann/Ann_0001\.jpg.*--landmarks"):
        require_whole(LFW.open(layout.root))


def test_landmarks_that_are_absent_altogether_are_one_problem(layout):
    layout.landmarks.unlink()
    assert found(layout) == [("landmarks", "")]


def test_images_of_the_same_bytes_are_named_both(layout):
    layout.image("Dan_0001.jpg").write_bytes(layout.image("Cid_0001.jpg").read_bytes())
    problems = inspect(LFW.open(layout.root)).problems
    assert [(p.kind, p.key) for p in problems] == [
        ("duplicate", "Dan/Dan_0001.jpg"),
        ("identical", "Cid/Cid_0001.jpg"),
    ]
    assert "Cid/Cid_0001.jpg" in problems[0].sentence
    assert "any network gets it wrong" in problems[1].sentence


def test_a_person_in_two_folds_is_named(layout, replace):
    replace(layout.pairs, "Cid\t2\tDan\t2", "Cid\t2\tBob\t2")
    (problem,) = inspect(LFW.open(layout.root)).problems
    assert (problem.kind, problem.key) == ("identity", "Bob")
    assert "in folds 0, 1" in problem.sentence


def listed(layout, rows):
    path = layout.folder / "mine.csv"
    path.write_text("\n".join(["first,second,same,fold", *rows]))
    return inspect(DATASETS[f"list:{path}"].open(None)).problems


ANN, BOB = "Ann/Ann_000{}.jpg", "Bob/Bob_000{}.jpg"
GENUINE = f"{ANN},{ANN},1,0".format(1, 2)
IMPOSTOR = f"{ANN},{BOB},0,0".format(1, 1)
OTHERS = [f"{ANN},{BOB},{{}},1".format(i, j, "{}") for i, j in ((1, 2), (2, 1), (2, 2))]


def test_a_pair_that_is_there_twice_is_named(layout, replace):
    replace(layout.pairs, "Ann\t1\t2\nBob\t1\t2", "Ann\t1\t2\nAnn\t2\t1")
    problems = [p for p in inspect(LFW.open(layout.root)).problems if p.kind == "repeated"]
    assert [problem.key for problem in problems] == ["Ann/Ann_0002.jpg"]
    assert problems[0].sentence.startswith("pair 2 (Ann/Ann_0002.jpg, Ann/Ann_0001.jpg) is pair 1")


@pytest.mark.parametrize(("factor", "shift"), [(1 / 250, 0.0), (1.0, 300.0), (1.0, -300.0)])
def test_landmarks_outside_their_image_are_named(layout, factor, shift):
    faces = LFW.open(layout.root)
    key = faces.keys[1]
    points = {**faces.landmarks, key: faces.landmarks[key] * factor + shift}
    (problem,) = inspect(dataclasses.replace(faces, landmarks=points)).problems
    assert (problem.kind, problem.key) == ("landmarks", key)
    assert "lie outside its" in problem.sentence


def test_folds_that_are_not_balanced_are_named(layout):
    rows = [GENUINE, IMPOSTOR, OTHERS[0].format(0), OTHERS[1].format(0)]
    (problem,) = listed(layout, rows)
    assert (problem.kind, problem.key) == ("fold", "1")
    assert "0 genuine and 2 impostor pairs" in problem.sentence


def test_folds_of_different_sizes_are_named(layout):
    rows = [GENUINE, IMPOSTOR]
    for fold, name in enumerate(("Cid", "Dan"), start=1):
        key = f"{name}/{name}_000{{}}.jpg"
        rows += [f"{key},{key},1,{fold}".format(1, 2), f"{key},{BOB},0,{fold}".format(1, fold)]
    rows += [f"Dan/Dan_0002.jpg,{BOB},0,2".format(1), "Cid/Cid_0001.jpg,Cid/Cid_0009.jpg,1,2"]
    problems = [p for p in listed(layout, rows) if p.kind == "fold"]
    assert [problem.key for problem in problems] == ["2"]
    assert "4 pairs where most have 2" in problems[0].sentence


def test_real_faces_are_sound(data_root):
    if "lfw" not in available(data_root):
        pytest.skip(f"no LFW in {data_root}")
    require_whole(LFW.open(data_root))
