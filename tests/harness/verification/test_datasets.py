"""Datasets: the registry, the one loader, and what it refuses."""

import io
import re
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from facebench.architectures.errors import BadInputError, UnknownNameError
from facebench.harness.measures.registry import MEASURES
from facebench.harness.verification.datasets.registry import DATASETS, available
from facebench.harness.verification.files import Folder
from facebench.harness.verification.images import decode
from facebench.harness.verification.inspection import require_whole
from facebench.harness.verification.layout import open_layout

LFW = DATASETS["lfw"]


@pytest.fixture(autouse=True)
def no_data(monkeypatch):
    monkeypatch.delenv("FACEBENCH_DATA", raising=False)


@pytest.mark.parametrize("name", DATASETS.names())
def test_every_dataset_says_what_it_is_and_whether_it_is_there(name, tmp_path):
    dataset = DATASETS[name]
    assert dataset.name == name
    assert dataset.about
    assert dataset.found(tmp_path) == (name in available(tmp_path))
    assert dataset.measure in ("accuracy", "identification", "templates", "galleries", "trials")
    assert dataset.place or dataset.found(tmp_path)
    assert MEASURES[dataset.measure].reports


@pytest.mark.parametrize("name", DATASETS.names())
def test_every_download_is_of_a_web_server_and_has_a_digest(name):
    for download in DATASETS[name].downloads:
        assert download.address.startswith("https://")
        assert re.fullmatch("sha256:[0-9a-f]{64}|md5:[0-9a-f]{32}", download.digest)
        assert ".." not in download.name


def test_the_families_of_names_are_known():
    assert set(DATASETS.families()) == {"folder", "list", "bin", "search"}
    assert all(DATASETS.families().values())


@pytest.mark.parametrize("prefix", ["folder", "list", "bin"])
@pytest.mark.parametrize("rest", ["", "absent", "~nobody-of-that-name/x", "a" * 5000, "x\0y"])
def test_a_family_refuses_a_path_that_leads_nowhere_in_a_sentence(prefix, rest, tmp_path):
    with pytest.raises(BadInputError) as refusal:
        DATASETS[f"{prefix}:{rest}"].open(tmp_path)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("name", DATASETS.names())
def test_every_dataset_opens_or_says_in_a_sentence_what_is_missing(name, tmp_path):
    dataset = DATASETS[name]
    if not dataset.found(tmp_path):
        with pytest.raises(
            BadInputError, match=f"dataset {name} is not in {tmp_path}.*FACEBENCH_DATA"
        ):
            dataset.open(tmp_path)
        return
    faces = dataset.open(tmp_path)
    assert (faces.name, faces.label) == (dataset.name, dataset.label)
    assert faces.picture(faces.keys[0]).ndim == 3


def test_an_unknown_dataset_is_answered_with_the_nearest_name():
    with pytest.raises(UnknownNameError, match="unknown dataset 'lwf': did you mean lfw"):
        DATASETS["lwf"]


def test_looking_datasets_up_imports_neither_torch_nor_tvm():
    code = (
        "import sys\n"
        "from facebench.harness.verification.datasets.registry import available; available()\n"
        "import facebench.harness.verification.protocol; print({'torch', 'tvm'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"


def test_a_folder_gives_pairs_pictures_and_landmarks(layout):
    faces = LFW.open(layout.root)
    assert [(p.first, p.second, p.same, p.fold) for p in faces.pairs[:3]] == [
        ("Ann/Ann_0001.jpg", "Ann/Ann_0002.jpg", True, 0),
        ("Bob/Bob_0001.jpg", "Bob/Bob_0002.jpg", True, 0),
        ("Ann/Ann_0001.jpg", "Bob/Bob_0001.jpg", False, 0),
    ]
    assert [pair.fold for pair in faces.pairs] == [0] * 4 + [1] * 4
    assert len(faces.keys) == 8
    with Image.open(layout.image("Ann_0001.jpg")) as image:
        np.testing.assert_array_equal(faces.picture("Ann/Ann_0001.jpg"), np.asarray(image))
    assert faces.landmarks["Ann/Ann_0001.jpg"].tolist()[2] == [50, 60]


def test_an_archive_gives_the_same_and_is_not_unpacked(layout):
    folder = LFW.open(layout.root)
    pictures = {key: folder.picture(key) for key in folder.keys}
    digest = folder.digest
    layout.archive()
    before = sorted(layout.root.rglob("*"))
    faces = LFW.open(layout.root)
    assert faces.pairs == folder.pairs
    assert faces.digest == digest
    for key, picture in pictures.items():
        np.testing.assert_array_equal(faces.picture(key), picture)
    assert sorted(layout.root.rglob("*")) == before


@pytest.mark.parametrize("place", ["landmarks.csv", "lfw-landmarks.csv"])
def test_landmarks_may_lie_beside_the_folder(layout, place):
    layout.landmarks.rename(layout.root / place)
    assert len(LFW.open(layout.root).landmarks) == 8


def test_the_environment_names_the_data_where_no_folder_is_given(layout, monkeypatch):
    assert "lfw" not in available()
    monkeypatch.setenv("FACEBENCH_DATA", str(layout.root))
    assert "lfw" in available()
    assert len(LFW.open(None).pairs) == 8


def test_the_digest_changes_with_an_image_a_pair_and_a_landmark(layout, replace):
    digests = [LFW.open(layout.root).digest]
    replace(layout.pairs, "Cid\t2\tDan\t2", "Cid\t2\tDan\t1")
    digests.append(LFW.open(layout.root).digest)
    replace(layout.landmarks, "Ann_0001.jpg,30.0", "Ann_0001.jpg,30.5")
    digests.append(LFW.open(layout.root).digest)
    layout.image("Ann_0002.jpg").write_bytes(layout.image("Ann_0001.jpg").read_bytes())
    digests.append(LFW.open(layout.root).digest)
    assert len(set(digests)) == 4


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("2\t2\n", "", "line 1 is not two numbers"),
        ("2\t2\n", "2\t0\n", "line 1 is not two numbers"),
        ("2\t2\n", "3\t2\n", "has 8 pairs where its first line promises 3 folds of 2"),
        ("Ann\t1\t2\n", "Ann\t1\n", "line 2 is not a genuine pair"),
        ("Ann\t1\t2\n", "Ann\t1\tone\n", "line 2 names image 'one' of identity 'Ann'"),
        ("Ann\t1\t2\n", "Ann\t1\t0\n", "line 2 names image '0'"),
        ("Ann\t1\t2\n", f"Ann\t1\t{'2' * 5000}\n", "line 2 names image '222"),
        ("2\t2\n", f"{'2' * 5000}\t2\n", "line 1 is not two numbers"),
        ("Ann\t1\t2\n", "A\0n\t1\t2\n", "line 2 names image '1' of identity"),
        ("Ann\t1\t2\n", "..\t1\t2\n", r"line 2 names image '1' of identity '\.\.'"),
        ("Ann\t1\t2\n", "../Ann\t1\t2\n", "the identity must be a folder's name"),
        ("Ann\t1\t2\n", "Ann\t1\t1\n", "line 2 compares Ann/Ann_0001.jpg with itself"),
        ("Ann\t1\tBob\t1\n", "Ann\t1\tAnn\t2\n", "line 4 is not an impostor pair"),
        ("Cid\t1\t2\n", "Cid\t1\tDan\t2\n", "line 6 is not a genuine pair"),
    ],
)
@pytest.mark.parametrize("packed", [False, True])
def test_a_malformed_pairs_file_is_refused_with_its_line(
    layout, replace, old, new, message, packed
):
    replace(layout.pairs, old, new)
    if packed:
        layout.archive()
    with pytest.raises(BadInputError, match=f"pairs.txt.*{message}") as refusal:
        LFW.open(layout.root)
    assert "\n" not in str(refusal.value)


def test_an_empty_pairs_file_is_refused(layout):
    layout.pairs.write_text("")
    with pytest.raises(BadInputError, match=r"pairs\.txt line 1"):
        LFW.open(layout.root)


def test_a_pairs_file_that_is_no_text_is_refused(layout):
    layout.pairs.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(BadInputError, match=r"pairs\.txt is not UTF-8"):
        LFW.open(layout.root)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("image,left_eye_x", "image,left_eye", "line 1 must be image,left_eye_x"),
        ("Ann_0001.jpg,30.0", "Ann_0001.jpg,thirty", "line 2 is not an image's name and ten"),
        ("Ann_0001.jpg,30.0", "Ann_0001.jpg,nan", "line 2 is not an image's name and ten"),
        ("Ann_0001.jpg,30.0,", "Ann_0001.jpg,", "line 2 is not an image's name and ten"),
    ],
)
def test_malformed_landmarks_are_refused_with_their_line(layout, replace, old, new, message):
    replace(layout.landmarks, old, new)
    with pytest.raises(BadInputError, match=rf"landmarks\.csv.*{message}"):
        LFW.open(layout.root)


def test_landmarks_that_contradict_a_line_before_are_refused(layout):
    first = layout.landmarks.read_text().splitlines()[1]
    with layout.landmarks.open("a") as file:
        file.write(f"{first}\n")
    assert LFW.open(layout.root).landmarks
    name, x, rest = first.split(",", 2)
    with layout.landmarks.open("a") as file:
        file.write(f"{name},{float(x) + 1},{rest}\n")
    with pytest.raises(BadInputError, match=rf"gives other landmarks for {name} than a line"):
        LFW.open(layout.root)


def test_without_landmarks_it_opens_and_has_none(layout):
    layout.landmarks.unlink()
    assert LFW.open(layout.root).landmarks == {}


@pytest.mark.parametrize("name", ["lfw", "lfw-deepfunneled"])
def test_the_pairs_may_lie_beside_the_folder(layout, name):
    pairs = LFW.open(layout.root).pairs
    layout.folder.rename(layout.root / name)
    (layout.root / name / "pairs.txt").rename(layout.root / "pairs.txt")
    assert LFW.open(layout.root).pairs == pairs
    (layout.root / "pairs.txt").write_text("2 2\n")
    with pytest.raises(BadInputError, match=rf"{layout.root}/pairs\.txt has 0 pairs"):
        LFW.open(layout.root)


def test_a_missing_pairs_file_is_named(layout):
    layout.pairs.unlink()
    with pytest.raises(BadInputError, match=r"cannot read .*pairs\.txt: No such file"):
        LFW.open(layout.root)


def test_an_archive_without_its_landmarks_opens_and_has_none(layout):
    layout.archive()
    (layout.root / "lfw-deepfunneled-landmarks.csv").unlink()
    assert LFW.open(layout.root).landmarks == {}


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("kept", [0.0, 0.3, 0.9, -1])
def test_a_truncated_image_gives_no_partial_picture(layout, kept, packed):
    path = layout.image("Ann_0001.jpg")
    data = path.read_bytes()
    path.write_bytes(data[: int(kept * len(data)) if kept >= 0 else -1])
    if packed:
        layout.archive()
    faces = LFW.open(layout.root)
    with pytest.raises(BadInputError, match=r"Ann_0001\.jpg.* is truncated or no image"):
        faces.picture("Ann/Ann_0001.jpg")


@pytest.mark.parametrize("suffix", ["JPEG", "PNG"])
def test_an_image_cut_anywhere_is_refused(suffix):
    buffer = io.BytesIO()
    pixels = np.random.default_rng(0).integers(0, 256, (24, 24, 3), np.uint8)
    Image.fromarray(pixels).save(buffer, suffix)
    data = buffer.getvalue()
    whole = decode(data, "x")
    for length in range(len(data)):
        try:
            picture = decode(data[:length], "x")
        except BadInputError:
            continue
        np.testing.assert_array_equal(picture, whole)


def test_grey_images_become_three_equal_channels():
    buffer = io.BytesIO()
    Image.fromarray(np.arange(64, dtype=np.uint8).reshape(8, 8)).save(buffer, "PNG")
    picture = decode(buffer.getvalue(), "x")
    assert picture.shape == (8, 8, 3)
    assert (picture == picture[..., :1]).all()


def test_an_image_removed_after_opening_is_named(layout):
    faces = LFW.open(layout.root)
    layout.image("Ann_0001.jpg").unlink()
    with pytest.raises(BadInputError, match=r"cannot read .*Ann_0001\.jpg: No such file"):
        faces.picture("Ann/Ann_0001.jpg")


@pytest.mark.parametrize("kept", [0, 100, 700, 5000, -2000])
def test_a_truncated_archive_is_refused(layout, kept):
    path = layout.archive()
    data = path.read_bytes().rstrip(b"\0")
    path.write_bytes(data[:kept])
    with pytest.raises(BadInputError, match=r"view2\.tar"):
        LFW.open(layout.root)


def test_an_archive_cut_after_opening_is_named(layout):
    path = layout.archive()
    faces = LFW.open(layout.root)
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(BadInputError, match="is cut off"):
        faces.picture("Dan/Dan_0002.jpg")


def test_a_compressed_archive_is_refused(layout):
    path = layout.archive()
    with tarfile.open(path, "w:gz") as archive:
        archive.add(layout.root / "unpacked", "lfw")
    with pytest.raises(BadInputError, match="no uncompressed tar archive"):
        LFW.open(layout.root)


def test_an_archive_without_pairs_is_refused(layout):
    layout.pairs.unlink()
    layout.archive()
    with pytest.raises(BadInputError, match=r"holds no pairs\.txt"):
        LFW.open(layout.root)


@pytest.mark.parametrize("name", ["/etc/passwd", "../outside.jpg", "lfw/../../outside.jpg"])
def test_an_archive_that_names_files_outside_itself_is_refused(layout, name):
    path = layout.archive()
    with tarfile.open(path, "a") as archive:
        archive.addfile(tarfile.TarInfo(name))
    with pytest.raises(BadInputError, match="names a file outside itself"):
        LFW.open(layout.root)


def test_a_link_in_an_archive_is_no_image(layout):
    layout.image("Ann_0001.jpg").unlink()
    layout.image("Ann_0001.jpg").symlink_to("/etc/passwd")
    layout.archive()
    with pytest.raises(BadInputError, match=r"names an image that is missing, .*Ann_0001\.jpg"):
        require_whole(LFW.open(layout.root))


def test_lfw_has_the_published_counts(data_root):
    if "lfw" not in available(data_root):
        pytest.skip(f"no LFW in {data_root}")
    faces = LFW.open(data_root)
    assert len(faces.pairs) == 6000
    assert len(faces.keys) == 7701
    for fold in range(10):
        same = [pair.same for pair in faces.pairs if pair.fold == fold]
        assert (len(same), sum(same)) == (600, 300)
    assert faces.picture(faces.keys[0]).shape == (250, 250, 3)


@given(
    st.lists(
        st.from_regex(r"[A-Za-z][A-Za-z'. -]{0,12}[A-Za-z]", fullmatch=True),
        min_size=2,
        max_size=2,
        unique=True,
    ),
    st.sampled_from(["\n", "\r\n"]),
    st.integers(0, 3),
)
def test_names_may_have_spaces_where_tabs_part_the_fields(names, newline, blank):
    one, two = names
    lines = ["1\t1", f"{one}\t1\t2", f"{one}\t1\t{two}\t3"]
    text = newline.join(lines) + newline * blank
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "pairs.txt").write_bytes(text.encode())
        faces = open_layout("x", "", Folder(Path(folder)), Path(folder) / "none.csv")
    assert [(p.first, p.second) for p in faces.pairs] == [
        (f"{one}/{one}_0001.jpg", f"{one}/{one}_0002.jpg"),
        (f"{one}/{one}_0001.jpg", f"{two}/{two}_0003.jpg"),
    ]
