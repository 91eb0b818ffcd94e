"""Who is left out of a training set or merged, and that a list is followed to the letter."""

import csv
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from facebench.architectures.errors import BadInputError, FacebenchError
from facebench.harness.training.data import cleaning
from facebench.harness.training.data.cleaning import LEAVE_OUT, MERGE, Finding
from facebench.harness.training.data.faces import load
from facebench.harness.training.data.overlap import Embedded, Limits, find
from tests.harness import command_line
from tests.harness.training.data import sets


@pytest.fixture
def folder(tmp_path):
    return sets.write_folder(tmp_path / "faces", sets.people())


def listed(path, *rows):
    lines = [",".join(cleaning.COLUMNS), *(",".join(row) for row in rows)]
    path.write_text("\n".join(lines) + "\n")
    return path


def test_a_list_leaves_out_people_and_images_and_merges(tmp_path, folder):
    path = listed(
        tmp_path / "list.csv",
        [LEAVE_OUT, "0000000", "", "lfw.jpg", "0.7", "near"],
        [LEAVE_OUT, "0000001", "0000001/002.png", "", "", ""],
        [MERGE, "0000001", "", "0000002", "", ""],
        [MERGE, "0000003", "", "0000001", "", ""],
    )
    sets.write_folder(
        folder, {"0000003/001.png": sets.encoded(5), "0000004/001.png": sets.encoded(6)}
    )
    faces = load(folder, path)
    assert faces.identities == ("0000002", "0000004")
    names = [faces.name(index) for index in range(len(faces))]
    assert names == [
        "0000001/001.png", "0000001/003.png", "0000001/004.png",
        "0000002/001.png", "0000002/002.png", "0000002/003.png", "0000002/004.png",
        "0000003/001.png", "0000004/001.png",
    ]  # fmt: skip
    assert faces.labels.tolist() == [0] * 8 + [1]
    assert faces.notes[0].startswith("5 of 14 images left out and 2 identities merged")
    assert faces.digest != load(folder).digest


def test_damaged_images_that_a_list_leaves_out_do_no_harm(tmp_path, folder):
    sets.write_folder(folder, {"0000000/009.png": b"damaged"})
    path = listed(tmp_path / "l.csv", [LEAVE_OUT, "0000000", "0000000/009.png", "", "", ""])
    assert len(load(folder, path)) == 12


@pytest.mark.parametrize(
    ("rows", "sentence"),
    [
        ([[LEAVE_OUT, "nobody", "", "", "", ""]], "names nobody, which .* does not hold"),
        ([[LEAVE_OUT, "0000001", "0000001/9.png", "", "", ""]], "names 0000001/9.png"),
        ([[MERGE, "0000001", "", "nobody", "", ""]], "names nobody"),
        ([[MERGE, "0000001", "", "", "", ""]], "line 2 must name two identities"),
        ([[MERGE, "0000001", "", "0000001", "", ""]], "line 2 must name two identities"),
        ([["burn", "0000001", "", "", "", ""]], "line 2 is not 6 fields"),
        ([[LEAVE_OUT, "0000001"]], "line 2 is not 6 fields"),
        ([[LEAVE_OUT, "0000001", "", "", "near", ""]], "'near' is no cosine"),
        (
            [[MERGE, "0000001", "", "0000002", "", ""], [MERGE, "0000002", "", "0000001", "", ""]],
            "in a circle",
        ),
        ([[LEAVE_OUT, f"000000{i}", "", "", "", ""] for i in range(3)], "0 people"),
    ],
)
def test_a_list_that_does_not_fit_is_refused(tmp_path, folder, rows, sentence):
    with pytest.raises(BadInputError, match=sentence):
        load(folder, listed(tmp_path / "list.csv", *rows))


def test_a_list_of_something_else_is_refused(tmp_path, folder):
    (tmp_path / "list.csv").write_text("a,b\n")
    with pytest.raises(BadInputError, match="line 1 must be action,"):
        load(folder, tmp_path / "list.csv")
    with pytest.raises(BadInputError, match="cannot read"):
        load(folder, tmp_path / "none.csv")


def test_what_is_written_is_read_again_and_nothing_is_overwritten(tmp_path):
    findings = [
        Finding(LEAVE_OUT, "a,b", "", 'x"y', 0.5, "near"),
        Finding(MERGE, "é", "", "c", -0.25, "same"),
    ]
    cleaning.write(tmp_path / "list.csv", findings)
    assert cleaning.read(tmp_path / "list.csv") == findings
    with pytest.raises(BadInputError, match="is there already"):
        cleaning.write(tmp_path / "list.csv", findings)


@settings(deadline=None)
@given(st.binary(max_size=200))
def test_a_list_of_any_bytes_is_read_or_refused(tmp_path_factory, content):
    path = tmp_path_factory.mktemp("list") / "list.csv"
    path.write_bytes(",".join(cleaning.COLUMNS).encode() + b"\n" + content)
    try:
        cleaning.read(path)
    except FacebenchError as error:
        sentence = str(error)
    else:
        sentence = "read"
    assert sentence


def turned(cosine, towards, away):
    """A unit vector at this cosine from `towards`."""
    return cosine * towards + np.sqrt(1 - cosine**2) * away


AXES = np.eye(64)


def crowd(images):
    """Embeddings `(N, 64)` with labels and names, of images by person."""
    rows = [(person, vector) for person, vectors in enumerate(images) for vector in vectors]
    labels = np.array([person for person, _ in rows])
    names = [f"p{person}/{i}" for i, (person, _) in enumerate(rows)]
    scale = np.linspace(0.5, 3, len(rows))[:, None]  # lengths must not matter
    return Embedded(scale * np.stack([vector for _, vector in rows]), names), labels


def found(images, tests=None, limits=None, merge=True):
    faces, labels = crowd(images)
    identities = [f"p{person}" for person in range(len(images))]
    known = (
        None if tests is None else Embedded(np.stack(tests), [f"t{i}" for i in range(len(tests))])
    )
    findings = find(faces, labels, identities, known, limits or Limits(), merge)
    return [(f.action, f.identity, f.image, f.other, round(f.cosine, 3)) for f in findings]


def test_strangers_are_left_alone():
    assert found([[AXES[i]] * 3 for i in range(9)], [AXES[20], AXES[21]]) == []


def test_a_person_whose_mean_is_near_a_test_image_is_left_out():
    near = turned(0.55, AXES[20], AXES[0])
    assert found([[near] * 3, [AXES[5]] * 3], [AXES[21], AXES[20]]) == [
        (LEAVE_OUT, "p0", "", "t1", 0.55)
    ]
    far = turned(0.45, AXES[20], AXES[0])
    assert found([[far] * 3, [AXES[5]] * 3], [AXES[21], AXES[20]]) == []


def test_several_near_images_make_a_person_and_one_is_left_out_alone():
    near, own = turned(0.65, AXES[20], AXES[0]), AXES[0]
    assert found([[near, own, own, own], [AXES[5]]], [AXES[20]]) == [
        (LEAVE_OUT, "p0", "p0/0", "t0", 0.65)
    ]
    many = [near, near, *[own] * 20]
    assert found([many, [AXES[5]]], [AXES[20]]) == [(LEAVE_OUT, "p0", "", "t0", 0.65)]


def test_an_image_unlike_the_persons_others_is_left_out_where_there_are_others_to_say_so():
    assert found([[AXES[0], AXES[0], AXES[1]], [AXES[5]]]) == [(LEAVE_OUT, "p0", "p0/2", "", 0.0)]
    assert found([[AXES[0], AXES[1]], [AXES[5]]]) == []


def test_a_wrong_image_does_not_make_its_folder_the_other_person():
    """It would pull the mean towards whoever it shows."""
    wrong = [AXES[0], AXES[0], turned(0.1, AXES[0], AXES[5])]
    assert [f[:3] for f in found([wrong, [AXES[5]]], limits=Limits(same=0.3))] == [
        (LEAVE_OUT, "p0", "p0/2")
    ]


@pytest.mark.parametrize(("merge", "action"), [(True, MERGE), (False, LEAVE_OUT)])
def test_a_second_folder_goes_into_the_one_with_more_images(merge, action):
    again = turned(0.8, AXES[0], AXES[1])
    assert found([[again] * 2, [AXES[0]] * 5, [AXES[9]] * 9], merge=merge) == [
        (action, "p0", "", "p1", 0.8)
    ]


def test_a_chain_of_likenesses_is_not_merged_into_one():
    """p1 is like p0 and p2 like p1, as relatives are, but p2 is not like p0."""
    first = AXES[0]
    second = turned(0.7, first, AXES[1])
    third = turned(0.1, first, AXES[1])
    assert second @ third > 0.6
    merged = found([[first] * 5, [second] * 4, [third] * 3])
    assert merged == [(MERGE, "p1", "", "p0", 0.7)]


def test_nobody_is_merged_with_a_person_who_is_left_out():
    tested = AXES[20]
    again = turned(0.7, tested, AXES[1])
    findings = found([[tested] * 5, [again] * 2], [tested], Limits(person=0.9, image=0.95))
    assert findings == [(LEAVE_OUT, "p0", "", "t0", 1.0)]


@settings(deadline=None, max_examples=50)
@given(st.integers(0, 2**32 - 1), st.integers(2, 40))
def test_whatever_is_found_can_be_applied(seed, people):
    """Findings name what is there, nothing twice, and merges end in a person who remains."""
    rng = np.random.default_rng(seed)
    images = [rng.normal(size=(rng.integers(1, 5), 4)) for _ in range(people)]
    findings = found(images, list(rng.normal(size=(3, 4))), Limits(person=0.9, image=0.95))
    whole = [f[1] for f in findings if not f[2]]
    assert len(whole) == len(set(whole))
    into = {f[3] for f in findings if f[0] == MERGE}
    assert not into & set(whole)
    single = [f[2] for f in findings if f[2]]
    assert len(single) == len(set(single))


@pytest.mark.parametrize("wrong", [2.0, -1.5, float("nan")])
def test_a_limit_that_is_no_cosine_is_refused(wrong):
    with pytest.raises(BadInputError, match="is no cosine"):
        Limits(same=wrong)


def test_the_command_writes_a_list_that_leaves_the_test_sets_people_out(tmp_path, data_root, capfd):
    """LFW's own images as a training set: all must be found again."""
    teacher = data_root / "mobilefacenet_public.onnx"
    if not teacher.is_file():
        pytest.skip("no teacher in FACEBENCH_DATA")
    root, pairs = _tiny_lfw(tmp_path, data_root)
    out = tmp_path / "list.csv"
    arguments = [
        "data", "clean", root, "--teacher", teacher, "--against", f"list:{pairs}", "-o", out,
        "--mean", "123.675,116.28,103.53", "--scale", "58.395,57.12,57.375", "--json",
    ]  # fmt: skip
    assert command_line.facebench(*arguments) == 0
    assert json.loads(capfd.readouterr().out)["path"] == str(out)
    with out.open() as file:
        rows = list(csv.DictReader(file))
    people = {r["identity"] for r in rows if r["action"] == LEAVE_OUT and not r["image"]}
    assert people == {"in0", "in1"}
    assert load(root, out).identities == ("not0", "not1", "not2")


def _tiny_lfw(folder, data_root):
    """A training set of two people of a test set and three others; and that test set."""
    from PIL import Image

    from facebench.harness.verification.datasets.registry import DATASETS
    from facebench.harness.verification.files import Archive
    from facebench.harness.verification.layout import LANDMARK_COLUMNS

    lfw = DATASETS["lfw"].open(data_root)
    own = Archive(data_root / "train-faces-112.tar")
    genuine = [pair for pair in lfw.pairs if pair.same]
    chosen = [genuine[0], next(p for p in genuine if p.first[:3] != genuine[0].first[:3])]
    training, tested, lines = folder / "training", folder / "tested", [",".join(LANDMARK_COLUMNS)]
    tested.mkdir()
    for number, pair in enumerate(chosen):
        (training / f"in{number}").mkdir(parents=True)
        _aligned(lfw, pair.first, training / f"in{number}" / "1.png")
        name = f"{number}.jpg"
        (tested / name).write_bytes(lfw.files.read(pair.second))
        lines.append(",".join([name, *map(str, lfw.landmarks[pair.second].ravel().tolist())]))
    people = sorted({name.partition("/")[0] for name in own.names()})
    for number, person in enumerate(people[:3]):
        images = [name for name in own.names() if name.startswith(f"{person}/")]
        sets.write_folder(
            training, {f"not{number}/{i}.jpg": own.read(n) for i, n in enumerate(images)}
        )
    (tested / "landmarks.csv").write_text("\n".join(lines) + "\n")
    (tested / "pairs.csv").write_text("first,second,same,fold\n0.jpg,1.jpg,0,0\n")
    assert Image.open(tested / "0.jpg").size == (250, 250)
    return training, tested / "pairs.csv"


def _aligned(faces, key, path):
    from PIL import Image

    from facebench.harness.verification.alignment import align

    Image.fromarray(align(faces.picture(key), faces.landmarks[key], (112, 112))).save(path)
