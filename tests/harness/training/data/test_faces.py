"""Training sets in every format they come in, whole and damaged."""

import pickle
import tarfile

import cv2
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from facebench.architectures.errors import BadInputError, FacebenchError
from facebench.harness.training.data.faces import load
from facebench.harness.training.data.formats.recordio import image_of
from facebench.harness.training.data.formats.registry import FORMATS
from facebench.harness.training.data.memory import held
from facebench.harness.verification.alignment import TEMPLATES, align
from facebench.harness.verification.images import decode
from tests.harness.training.data import sets

WRITERS = {
    "folders": lambda root, images: sets.write_folder(root / "faces", images),
    "tar": lambda root, images: sets.write_tar(root / "faces.tar", images),
    "rec": lambda root, images: sets.write_rec(root / "faces", images),
    "tsv": lambda root, images: sets.write_tsv(root / "faces.tsv", images),
}


@pytest.fixture(params=sorted(WRITERS))
def kind(request):
    return request.param


def test_every_format_is_tested_here():
    assert sorted(WRITERS) == sorted(FORMATS.names())


def test_images_and_labels_are_those_that_were_written(tmp_path, kind):
    images = sets.people()
    faces = load(WRITERS[kind](tmp_path, images))
    assert faces.labels.tolist() == [0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2]
    assert len(faces) == 12
    assert len(faces.identities) == 3
    for index, data in enumerate(images.values()):
        np.testing.assert_array_equal(faces.image(index), decode(data, "it"))
        assert faces.name(index).startswith(f"{faces.identities[faces.labels[index]]}/")


def test_a_folder_and_a_tar_of_it_have_one_digest(tmp_path):
    images = sets.people()
    digests = {load(WRITERS[each](tmp_path, images)).digest for each in ("folders", "tar")}
    assert len(digests) == 1


def test_a_digest_says_when_a_byte_a_name_or_a_label_changes(tmp_path, kind):
    images = sets.people()
    first = next(iter(images))
    moved = {("0000001/009.png" if k == first else k): v for k, v in images.items()}
    other = images | {first: sets.encoded(999)}
    digests = set()
    for number, each in enumerate((images, moved, other)):
        (tmp_path / str(number)).mkdir()
        digests.add(load(WRITERS[kind](tmp_path / str(number), each)).digest)
    assert len(digests) == 3


def test_what_changed_since_the_last_time_is_read_anew(tmp_path, kind):
    before = load(WRITERS[kind](tmp_path, sets.people(each=2))).digest
    again = load(
        WRITERS[kind](tmp_path, sets.people(each=2) | {"0000009/001.png": sets.encoded(7)})
    )
    assert again.digest != before
    assert len(again) == 7


def test_faces_survive_being_sent_to_another_process(tmp_path, kind):
    faces = load(WRITERS[kind](tmp_path, sets.people()))
    sent = pickle.loads(pickle.dumps(faces))
    np.testing.assert_array_equal(sent.image(5), faces.image(5))


def test_faces_held_in_memory_are_the_same(tmp_path):
    faces = load(WRITERS["tar"](tmp_path, sets.people()))
    kept = held(faces)
    assert kept.pixels is not None
    for index in range(len(faces)):
        np.testing.assert_array_equal(kept.image(index), faces.image(index))
    assert held(faces, share=0.0) is faces


@pytest.mark.parametrize("index", [True, False])
@pytest.mark.parametrize("header", [True, False])
def test_a_rec_is_read_with_and_without_its_index_and_its_header(tmp_path, index, header):
    images = sets.people()
    whole = load(sets.write_rec(tmp_path / "a", images))
    faces = load(sets.write_rec(tmp_path / "b", images, index, header) / "train.rec")
    assert faces.digest == whole.digest


@given(st.lists(st.sampled_from([sets.MAGIC, b"\0", b"ab", b"wxyz"]), max_size=12))
def test_a_record_cut_at_magic_numbers_is_put_together(pieces):
    data = b"".join(pieces)
    assert image_of(sets.record(sets.packed([3.0], 1, data))) == data
    assert image_of(sets.record(sets.packed([3.0, 4.0], 1, data))) == data


def test_a_rec_whose_image_holds_the_magic_number_is_read(tmp_path):
    images = sets.people()
    # Bytes after the end of an image change nothing but what the record looks like.
    first = next(iter(images))
    images[first] += bytes(-len(images[first]) % 4) + sets.MAGIC + b"rest"
    faces = load(sets.write_rec(tmp_path, images))
    np.testing.assert_array_equal(faces.image(0), decode(images[first], "it"))


def test_labels_with_gaps_are_renumbered_in_the_order_of_numbers(tmp_path):
    payloads = [
        sets.packed([label], n, sets.encoded(n)) for n, label in enumerate([10.0, 2.0, 10.0])
    ]
    (tmp_path / "train.rec").write_bytes(b"".join(map(sets.record, payloads)))
    faces = load(tmp_path)
    assert faces.identities == ("2", "10")
    assert faces.labels.tolist() == [1, 0, 1]


@pytest.mark.parametrize("label", [-1.0, 0.5, float("nan"), float("inf")])
def test_a_label_that_is_no_number_of_a_person_is_refused(tmp_path, label):
    payloads = [sets.packed([value], 0, sets.encoded()) for value in (0.0, label)]
    (tmp_path / "train.rec").write_bytes(b"".join(map(sets.record, payloads)))
    with pytest.raises(BadInputError, match="no number of a person"):
        load(tmp_path)


def test_a_rec_cut_off_between_records_is_found_out_by_its_index(tmp_path):
    folder = sets.write_rec(tmp_path, sets.people())
    lines = (folder / "train.idx").read_text().splitlines()
    content = (folder / "train.rec").read_bytes()
    (folder / "train.rec").write_bytes(content[: int(lines[8].split("\t")[1])])
    with pytest.raises(BadInputError, match="8 records and train.idx lists 16"):
        load(folder)


@pytest.mark.parametrize("text", ["", "a\tb\n", "1\n", "1\t99999999999999999999999\n"])
def test_an_index_of_something_else_is_refused(tmp_path, text):
    folder = sets.write_rec(tmp_path, sets.people())
    (folder / "train.idx").write_text(text)
    with pytest.raises(BadInputError, match="train.idx"):
        load(folder)


@pytest.mark.parametrize("kind", ["SYMTYPE", "LNKTYPE", "FIFOTYPE", "CHRTYPE"])
def test_links_and_special_files_in_a_tar_are_refused(tmp_path, kind):
    path = sets.write_tar(tmp_path / "faces.tar", sets.people())
    with tarfile.open(path, "a") as archive:
        link = tarfile.TarInfo("faces/0000000/link.jpg")
        link.type, link.linkname = getattr(tarfile, kind), "/etc/passwd"
        archive.addfile(link)
    with pytest.raises(BadInputError, match="link or a special file"):
        load(path)


@pytest.mark.parametrize("name", ["/etc/0/1.jpg", "faces/../../1.jpg", "faces/a\nb/1.jpg"])
def test_names_that_lead_outside_a_tar_are_refused(tmp_path, name):
    path = sets.write_tar(tmp_path / "faces.tar", sets.people())
    with tarfile.open(path, "a") as archive:
        archive.addfile(tarfile.TarInfo(name))
    with pytest.raises(BadInputError, match="outside itself"):
        load(path)


def test_a_tar_whose_list_ends_at_a_damaged_header_is_not_taken_for_a_shorter_one(tmp_path):
    path = sets.write_tar(tmp_path / "faces.tar", sets.people())
    with tarfile.open(path) as archive:
        place = archive.getmembers()[6].offset
    content = bytearray(path.read_bytes())
    content[place + 150] ^= 1  # in the checksum
    path.write_bytes(content)
    with pytest.raises(BadInputError, match="damaged at byte"):
        load(path)


@pytest.mark.parametrize(
    "line", ["one\ttwo", "\t".join("abcdefgh"), "a/b\t1\tu\tp\tf\tr\tAAAA", "\t1\tu\tp\tf\tr\tAAAA"]
)
def test_a_line_of_another_form_is_named(tmp_path, line):
    path = sets.write_tsv(tmp_path / "faces.tsv", sets.people())
    path.write_text(path.read_text() + line + "\n")
    with pytest.raises(BadInputError, match=r"faces\.tsv line 13 "):
        load(path)


def test_an_image_that_is_there_twice_is_named(tmp_path):
    path = sets.write_tsv(tmp_path / "faces.tsv", sets.people())
    path.write_text(path.read_text() * 2)
    with pytest.raises(BadInputError, match="line 13 repeats the image m.0000000/001-FaceId-0 of"):
        load(path)


def test_images_that_are_none_are_counted_and_the_first_is_named(tmp_path, kind):
    images = sets.people() | {"0000001/005.png": b"no image", "0000001/006.png": b"none either"}
    with pytest.raises(BadInputError, match=r"is no image, .*\(2 of 14 are\)"):
        load(WRITERS[kind](tmp_path, images))


def test_a_folder_of_folders_of_folders_is_refused_where_it_is_unclear_who_is_who(tmp_path):
    sets.write_folder(tmp_path / "a", {"b/c/1.png": sets.encoded(), "d/1.png": sets.encoded(1)})
    with pytest.raises(BadInputError, match="not clear which folder is the person"):
        load(tmp_path / "a")


@pytest.mark.parametrize("make", [lambda p: p, lambda p: p.mkdir(), lambda p: p.write_text("x")])
def test_what_is_no_training_set_is_refused_with_what_is_one(tmp_path, make):
    make(tmp_path / "it")
    with pytest.raises(BadInputError, match=r"it (is|holds) no|there is no .*/it"):
        load(tmp_path / "it")


def test_one_person_is_too_few(tmp_path):
    with pytest.raises(BadInputError, match="1 people"):
        load(sets.write_folder(tmp_path / "it", sets.people(count=1)))


def test_one_person_is_enough_where_nothing_is_learned_of_who_it_is(tmp_path):
    found = load(sets.write_folder(tmp_path / "it", sets.people(count=1)), least_people=1)
    assert len(found) > 1
    assert not found.labels.any()


def test_a_size_of_another_aspect_is_refused_and_one_of_the_same_is_resized_if_asked(tmp_path):
    square = sets.write_folder(tmp_path / "square", sets.people(size=(224, 224)))
    with pytest.raises(BadInputError, match=r"224x224, not 112x112, as are 12 of 12.*aligned"):
        load(square)
    # By an exact half, an average over areas is that of four pixels.
    picture = decode((square / "0000000/001.png").read_bytes(), "it").astype(float)
    expected = picture.reshape(112, 2, 112, 2, 3).mean(axis=(1, 3))
    resized = load(square, landmarks="aligned").image(0)
    assert np.abs(resized - expected).max() <= 0.5
    wide = sets.write_folder(tmp_path / "wide", sets.people(size=(112, 96)))
    with pytest.raises(BadInputError, match="112x96, not square"):
        load(wide, landmarks="aligned")


def test_images_with_landmarks_beside_them_are_aligned(tmp_path):
    images = sets.people(size=(250, 250))
    root = sets.write_folder(tmp_path / "faces", images)
    points = TEMPLATES[112, 112] * 1.3 + 20
    eyes = "left_eye_x,left_eye_y,right_eye_x,right_eye_y"
    header = f"image,{eyes},nose_x,nose_y,left_mouth_x,left_mouth_y,right_mouth_x,right_mouth_y"
    numbers = ",".join(map(repr, points.ravel().tolist()))
    names = list(images)[:-1]
    lines = [header, *(f"{name},{numbers}" for name in names)]
    (root / "landmarks.csv").write_text("\n".join(lines) + "\n")
    faces = load(root)
    assert len(faces) == 11
    assert "1 of 12 images left out: no face was found" in faces.notes[0]
    expected = align(decode(images[names[3]], "it"), points, (112, 112))
    np.testing.assert_array_equal(faces.image(3), expected)
    (root / "landmarks.csv").write_text("\n".join([header, *(lines[1:-1])]) + "\n")
    assert load(root).digest != faces.digest


@settings(deadline=None, max_examples=60, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_a_damaged_file_ends_in_a_sentence_or_is_read(tmp_path_factory, kind, data):
    """Cut off, with bytes turned, or with lengths that lead far away."""
    root = tmp_path_factory.mktemp("hostile")
    path = WRITERS[kind](root, sets.people(count=2, each=2, size=(112, 112)))
    files = sorted(file for file in [path, *path.rglob("*")] if file.is_file())
    file = data.draw(st.sampled_from(files))
    content = bytearray(file.read_bytes())
    spots = st.one_of(st.integers(0, 600), st.integers(0, len(content) - 1))
    for _ in range(data.draw(st.integers(1, 3))):
        place = data.draw(spots)
        new = data.draw(st.one_of(st.binary(min_size=1, max_size=4), st.just(b"\xff" * 8)))
        content[place : place + len(new)] = new
    if data.draw(st.booleans()):
        del content[data.draw(spots) :]
    file.write_bytes(content)
    try:
        faces = load(path)
        for index in range(len(faces)):
            assert faces.image(index).shape == (112, 112, 3)
    except FacebenchError as error:
        sentence = str(error)
    else:
        sentence = ""
    assert "\n" not in sentence


def test_a_training_set_of_real_faces_is_read(data_root):
    path = data_root / "train-faces-112.tar"
    if not path.is_file():
        pytest.skip(f"no {path.name} in FACEBENCH_DATA")
    faces = load(path)
    assert len(faces) == 21_497
    assert len(faces.identities) == 3_556
    assert cv2.Laplacian(faces.image(0), cv2.CV_64F).std() > 1
