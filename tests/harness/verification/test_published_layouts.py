"""Sets as their authors publish them: folders of images, and lists of pairs in several forms."""

import re

import numpy as np
import pytest

from facebench.architectures.errors import BadInputError
from facebench.harness.verification.datasets.groups import RFW_GROUPS
from facebench.harness.verification.datasets.registry import DATASETS
from facebench.harness.verification.inspection import inspect

NAMES = [f"P_{letter}" for letter in "ABCDEFGHIJKLMNOPQRST"]


def flat(root, path, forms):
    """Ten genuine and ten impostor pairs of images `NAME_0001.jpg`, in one form of list."""
    (root / path).parent.mkdir(parents=True, exist_ok=True)
    genuine = [(f"{name}_0001.jpg", f"{name}_0002.jpg", 1) for name in NAMES[:10]]
    impostor = [
        (f"{one}_0001.jpg", f"{two}_0003.jpg", 0)
        for one, two in zip(NAMES[:10], NAMES[10:], strict=True)
    ]
    (root / path).write_text("".join(forms(*pair) for pair in genuine + impostor))


def two_lines(one, two, label):
    return f"{one} {label}\n{two} {label}\n"


def two_names(one, two, label):
    return "".join(f"{name.rpartition('_')[0]}/{name}\n" for name in (one, two))


def one_line(one, two, label):
    return f"{one}\t{two}\t{label}\n"


LISTED = [
    ("calfw_images", "calfw/pairs_CALFW.txt", "calfw/aligned images", two_lines),
    ("cplfw_images", "cplfw/pairs_CPLFW.txt", "cplfw/images", two_lines),
    ("sllfw", "sllfw/pair_SLLFW.txt", "lfw", two_names),
    ("mlfw", "MLFW/pairs.txt", "MLFW/aligned", one_line),
    ("agedb_30_images", "AgeDB-30/agedb_30_pair.txt", "AgeDB-30/agedb30_align_112", one_line),
]


@pytest.mark.parametrize(("name", "path", "images", "form"), LISTED)
def test_a_list_gives_pairs_folds_and_people(name, path, images, form, tmp_path):
    flat(tmp_path, path, form)
    assert not DATASETS[name].found(tmp_path)
    (tmp_path / images).mkdir(parents=True)
    faces = DATASETS[name].open(tmp_path)
    assert [pair.same for pair in faces.pairs] == [True] * 10 + [False] * 10
    # One genuine and one impostor pair a fold.
    assert [pair.fold for pair in faces.pairs] == [*range(10), *range(10)]
    assert faces.pairs[0].first.endswith("P_A_0001.jpg")
    assert {person.rpartition("/")[2] for person in faces.identities.values()} == set(NAMES)
    assert {problem.kind for problem in inspect(faces).problems} >= {"missing"}


def test_agedbs_own_names_say_who_is_in_an_image(tmp_path):
    flat(tmp_path, "AgeDB-30/agedb_30_pair.txt", one_line)
    path = tmp_path / "AgeDB-30" / "agedb_30_pair.txt"
    text = re.sub(r"P_(.)_000(\d)\.jpg", r"\g<2>7_P\1_4\2_f.jpg", path.read_text())
    path.write_text(text)
    (tmp_path / "AgeDB").mkdir()
    faces = DATASETS["agedb_30_images"].open(tmp_path)
    assert faces.pairs[0].first == "17_PA_41_f.jpg"
    assert set(faces.identities.values()) == {name.replace("_", "") for name in NAMES}


@pytest.mark.parametrize(
    ("name", "old", "new", "sentence"),
    [
        ("calfw_images", "P_A_0001.jpg 1\n", "P_A_0001.jpg\n", "line 1 and the next must be"),
        ("calfw_images", "P_A_0001.jpg 1\n", "P_A_0001.jpg 0\n", "line 1 has the label 0, and the"),
        ("calfw_images", "P_A_0001.jpg 1\n", "../x.jpg 1\n", "line 1 names '../x.jpg'"),
        ("calfw_images", "P_T_0003.jpg 0\n", "", "line 39 has no second image"),
        ("sllfw", "P_A/P_A_0001.jpg", "P_A_0001.jpg", "line 1 and the next must be person/image"),
        ("mlfw", "P_A_0001.jpg\t", "", "line 1 must be two images and 1 or 0"),
        ("mlfw", "P_B_0002.jpg", "P_B_0001.jpg", "compares P_B_0001.jpg with itself"),
    ],
)
def test_a_bad_line_is_named(name, old, new, sentence, tmp_path):
    (row,) = [one for one in LISTED if one[0] == name]
    flat(tmp_path, row[1], row[3])
    (tmp_path / row[2]).mkdir(parents=True)
    text = (tmp_path / row[1]).read_text()
    assert old in text
    (tmp_path / row[1]).write_text(text.replace(old, new, 1))
    with pytest.raises(BadInputError, match=f"{row[1]} {sentence}"):
        DATASETS[name].open(tmp_path)


def test_too_few_pairs_for_ten_folds_are_refused(tmp_path):
    (tmp_path / "MLFW/aligned").mkdir(parents=True)
    (tmp_path / "MLFW/pairs.txt").write_text("a_1.jpg b_1.jpg 0\n")
    with pytest.raises(BadInputError, match="0 genuine and 1 impostor pairs"):
        DATASETS["mlfw"].open(tmp_path)


@pytest.mark.parametrize(("name", "kind"), [("cfp_ff_images", "FF"), ("cfp_fp_images", "FP")])
def test_cfp_is_read_as_its_authors_publish_it(name, kind, tmp_path):
    protocol = tmp_path / "cfp-dataset" / "Protocol"
    for fold in range(1, 11):
        (protocol / "Split" / kind / f"{fold:02d}").mkdir(parents=True)
        (protocol / "Split" / kind / f"{fold:02d}" / "same.txt").write_text(
            f"{2 * fold - 1},{2 * fold}\n"
        )
        (protocol / "Split" / kind / f"{fold:02d}" / "diff.txt").write_text(f"{2 * fold},1\n")
    for letter, place in (("F", "frontal"), ("P", "profile")):
        lines = [
            f"{i} ../Data/Images/{(i + 1) // 2:03d}/{place}/{2 - i % 2:02d}.jpg\n"
            for i in range(1, 21)
        ]
        (protocol / f"Pair_list_{letter}.txt").write_text("".join(lines))
    # The first fold's impostor pair would be of one person.
    (protocol / "Split" / kind / "01" / "diff.txt").write_text("2,3\n")
    faces = DATASETS[name].open(tmp_path)
    second = "frontal" if kind == "FF" else "profile"
    assert (faces.pairs[0].first, faces.pairs[0].second) == (
        "Data/Images/001/frontal/01.jpg",
        f"Data/Images/001/{second}/02.jpg",
    )
    assert [pair.fold for pair in faces.pairs] == [fold for fold in range(10) for _ in range(2)]
    assert faces.identities[faces.pairs[0].first] == "Data/Images/001"
    (protocol / "Split" / kind / "03" / "same.txt").write_text("5,99\n")
    with pytest.raises(BadInputError, match=r"03/same.txt line 1 must be two numbers of"):
        DATASETS[name].open(tmp_path)


def rfw(root):
    base = root / "RFW" / "test"
    for group in RFW_GROUPS:
        lists = base / "txts" / group
        lists.mkdir(parents=True)
        pairs = [f"m.{group}{i}\t1\t2\n" for i in range(10)]
        pairs += [f"m.{group}{i}\t1\tm.{group}{i + 1}\t2\n" for i in range(10)]
        # As published: genuine and impostor pairs take turns, fold by fold.
        ordered = [line for two in zip(pairs[:10], pairs[10:], strict=True) for line in two]
        (lists / f"{group}_pairs.txt").write_text("".join(ordered))
        (lists / f"{group}_lmk.txt").write_text(
            "".join(
                f"/test/data/{group}/m.{group}{i}/m.{group}{i}_{n:04d}.jpg\t{i}\t"
                "30 40 70 40 50 60 35 80 65 80\n"
                for i in range(11)
                for n in (1, 2)
            )
        )
    return base


def test_rfw_gives_a_protocol_a_group(tmp_path):
    rfw(tmp_path)
    faces = DATASETS["rfw"].open(tmp_path)
    assert faces.groups == tuple(group for group in RFW_GROUPS for _ in range(20))
    assert [pair.fold for pair in faces.pairs[:20]] == [fold for fold in range(10) for _ in "ab"]
    first = faces.pairs[0]
    assert (first.first, first.same) == ("data/African/m.African0/m.African0_0001.jpg", True)
    assert faces.landmarks[first.first].shape == (5, 2)
    assert faces.identities[first.first] == "m.African0"
    assert list(faces.protocol[1]) == list(faces.groups)


@pytest.mark.parametrize(
    ("name", "text", "sentence"),
    [
        ("Asian_pairs.txt", "m.a\t1\n" * 20, "line 1 is not an impostor pair"),
        ("Asian_pairs.txt", "m.a\t1\t2\n", "has 1 pairs: ten folds need 20"),
        ("Asian_lmk.txt", "/test/data/Asian/a/a_0001.jpg 0 1 2 3\n", "line 1 must be an image, a"),
        ("Asian_pairs.txt", f"m.a\t1\t{'2' * 1500}\n" * 20, "line 1 names image '222"),
        ("Asian_lmk.txt", "/etc/passwd 0" + " 1" * 10 + "\n", "line 1 names '/etc/passwd'"),
    ],
)
def test_a_bad_line_of_rfw_is_named(name, text, sentence, tmp_path):
    (rfw(tmp_path) / "txts" / "Asian" / name).write_text(text)
    with pytest.raises(BadInputError, match=f"{name} {sentence}"):
        DATASETS["rfw"].open(tmp_path)


def bfw(root, rows):
    folder = root / "bfw"
    (folder / "bfw-cropped-aligned").mkdir(parents=True)
    head = "fold,p1,p2,label,id1,id2,att1,att2,vgg16\n"
    (folder / "bfw-v0.1.5-datatable.csv").write_text(head + "".join(rows))


def test_bfw_gives_its_folds_and_groups(tmp_path):
    one, two = "asian_females/n9/0010_01.jpg", "white_males/n1/0001_01.jpg"
    bfw(
        tmp_path,
        [
            f"1,{one},asian_females/n9/0011_01.jpg,1,0,0,asian_females,asian_females,0.5\n",
            f"5,{one},{two},0,0,9,asian_females,white_males,\n",
        ],
    )
    faces = DATASETS["bfw"].open(tmp_path)
    assert [(pair.same, pair.fold) for pair in faces.pairs] == [(True, 0), (False, 4)]
    assert faces.groups == ("asian_females", "asian_females with white_males")
    assert faces.identities[two] == "white_males/n1"


@pytest.mark.parametrize(
    ("row", "sentence"),
    [
        ("0,a/b/c.jpg,a/b/d.jpg,1,0,0,a,a,\n", "line 2 must have a fold from 1"),
        ("1,a/b/c.jpg,a/b/d.jpg,2,0,0,a,a,\n", "line 2 must have a fold from 1"),
        ("1,../c.jpg,a/b/d.jpg,1,0,0,a,a,\n", "line 2 names '../c.jpg'"),
        ("1,a/b/c.jpg\n", "line 2 must have a fold from 1"),
        ("²,a/b/c.jpg,a/b/d.jpg,1,0,0,a,a,\n", "line 2 must have a fold from 1"),
        ("1,a/b/c.jpg,a/b/c.jpg,1,0,0,a,a,\n", "line 2 compares a/b/c.jpg with itself"),
        ("1,a/b/c.jpg,a/b/d.jpg,0,0,0,a,a,\n", "line 2 has the label 0, and the folders"),
        ("1,a/b/c.jpg,a/e/d.jpg,1,0,0,a,a,\n", "line 2 has the label 1, and the folders"),
    ],
)
def test_a_bad_line_of_bfw_is_named(row, sentence, tmp_path):
    bfw(tmp_path, [row])
    with pytest.raises(BadInputError, match=f"datatable.csv {sentence}"):
        DATASETS["bfw"].open(tmp_path)


@pytest.mark.parametrize(
    ("name", "images", "pairs"),
    [
        ("xqlfw", "xqlfw/xqlfw_aligned_112", "xqlfw/xqlfw_pairs.txt"),
        ("talfw", "TALFW", "lfw/pairs.txt"),
    ],
)
def test_variants_of_lfw_have_images_or_pairs_of_their_own(name, images, pairs, tmp_path):
    (tmp_path / images).mkdir(parents=True)
    (tmp_path / pairs).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / pairs).write_text("1\t1\nAnn\t1\t2\nAnn\t1\tBob\t1\n")
    faces = DATASETS[name].open(tmp_path)
    assert [pair.same for pair in faces.pairs] == [True, False]
    assert faces.files.path == tmp_path / images
    np.testing.assert_array_equal(faces.identities["Bob/Bob_0001.jpg"], "Bob")
