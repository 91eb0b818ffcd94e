"""Test sets in insightface's format, and the reader of pickles that executes nothing."""

import contextlib
import datetime
import io
import itertools
import os
import pickle
import struct
import subprocess
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from sklearn.model_selection import KFold

from facebench.architectures.errors import BadInputError
from facebench.harness.verification.alignment import align
from facebench.harness.verification.datasets.insightface import open_bin
from facebench.harness.verification.datasets.registry import DATASETS
from facebench.harness.verification.inspection import inspect, require_whole
from facebench.harness.verification.pickled import read_pickle


@pytest.fixture(scope="module")
def encoded():
    """Distinct encoded faces."""
    rng = np.random.default_rng(0)
    images = []
    for _ in range(12):
        buffer = io.BytesIO()
        pixels = rng.integers(0, 256, (112, 112, 3), np.uint8)
        Image.fromarray(pixels).save(buffer, "PNG")
        images.append(buffer.getvalue())
    return images


@pytest.fixture
def content(encoded):
    """Images and booleans of 23 pairs; every image occurs in several."""
    order = np.random.default_rng(1).integers(0, len(encoded), 46)
    return [encoded[i] for i in order], [bool(i % 2) for i in range(23)]


def write(path, value, protocol=pickle.HIGHEST_PROTOCOL):
    path.write_bytes(pickle.dumps(value, protocol=protocol))
    return path


def in_python_2(images, same):
    """The pickle that Python 2 writes of them with its highest protocol, 2."""
    out = [b"\x80\x02]q\x00("]
    out += [b"T" + struct.pack("<i", len(image)) + image for image in images]
    out += [b"e]q\x01(", *(b"\x88" if flag else b"\x89" for flag in same), b"e\x86q\x02."]
    return b"".join(out)


def python_3_of_any_age(value):
    return [pickle.dumps(value, protocol=protocol) for protocol in (2, 3, 4, 5)]


def test_images_and_pairs_are_those_of_the_file(content, tmp_path):
    images, same = content
    faces = open_bin("x", write(tmp_path / "x.bin", content))
    assert [pair.same for pair in faces.pairs] == same
    read = [faces.files.read(key) for pair in faces.pairs for key in (pair.first, pair.second)]
    assert read == images
    assert faces.identities == {}
    assert faces.picture(faces.keys[0]).shape == (112, 112, 3)


def test_an_image_that_occurs_in_many_pairs_is_one_image(content, tmp_path):
    faces = open_bin("x", write(tmp_path / "x.bin", content))
    assert len(faces.keys) == len(set(content[0]))
    assert faces.pairs[0].first == "00000.jpg"


@pytest.mark.parametrize("count", [10, 13, 20, 99])
def test_folds_are_those_of_scikit_learn(encoded, count, tmp_path):
    path = write(tmp_path / "x.bin", ([encoded[0], encoded[1]] * count, [True] * count))
    folds = np.array([pair.fold for pair in open_bin("x", path).pairs])
    for number, (_, test) in enumerate(KFold(10, shuffle=False).split(folds)):
        assert np.flatnonzero(folds == number).tolist() == test.tolist()


def test_files_of_every_protocol_and_of_python_2_say_the_same(content, tmp_path):
    path = tmp_path / "x.bin"
    digests = set()
    for data in (*python_3_of_any_age(content), in_python_2(*content)):
        path.write_bytes(data)
        digests.add(open_bin("x", path).digest)
    assert len(digests) == 1


def test_what_converters_write_with_numpy_says_the_same(content, tmp_path):
    images, same = content
    arrays = [np.frombuffer(image, np.uint8) for image in images]
    columns = [array[:, None].copy() for array in arrays]
    path = tmp_path / "x.bin"
    digests = set()
    for value in (
        content,
        (arrays, same),
        (columns, [np.bool_(flag) for flag in same]),
        (images, np.array(same)),
        [[bytearray(image) for image in images], [int(flag) for flag in same]],
    ):
        for data in python_3_of_any_age(value):
            # Numpy 1 has its modules in another place.
            path.write_bytes(data)
            digests.add(open_bin("x", path).digest)
            old = data.replace(b"numpy._core", b"numpy.core")
            if b"\x8c" not in data:
                path.write_bytes(old)
                digests.add(open_bin("x", path).digest)
    assert len(digests) == 1


def test_landmarks_are_there_so_that_it_is_whole(encoded, tmp_path):
    pairs = list(itertools.combinations(encoded, 2))[:20]
    kept = [image for pair in pairs for image in pair]
    faces = open_bin("x", write(tmp_path / "x.bin", (kept, [True, False] * 10)))
    require_whole(faces)
    assert inspect(faces).problems == ()


def test_networks_get_the_image_itself_or_an_exact_crop_of_it(content, tmp_path):
    faces = open_bin("x", write(tmp_path / "x.bin", content))
    key = faces.keys[0]
    picture, points = faces.picture(key), faces.landmarks[key]
    np.testing.assert_array_equal(align(picture, points, (112, 112)), picture)
    np.testing.assert_array_equal(align(picture, points, (112, 96)), picture[:, 8:-8])
    np.testing.assert_array_equal(align(picture, points, (96, 96)), picture[8:-8, 8:-8])


def smooth(seed):
    """A picture that resizing hardly changes."""
    rough = np.random.default_rng(seed).integers(0, 256, (9, 9, 3), np.uint8)
    return Image.fromarray(rough).resize((112, 112), Image.Resampling.BICUBIC)


@given(
    st.lists(st.sampled_from([56, 100, 112, 128, 160, 224, (112, 96), (96, 112)]), min_size=20,
             max_size=20),
    st.sampled_from([1, 3, 6, 8]),
)  # fmt: skip
@settings(max_examples=15, deadline=None)
def test_images_of_any_size_give_the_face_they_were_resized_from(sizes, orientation):
    """Sizes may differ within a file; each image is the same aligned face."""
    turns = {1: 0, 3: 2, 6: 1, 8: 3}
    exif = Image.Exif()
    exif[0x0112] = orientation
    images = []
    for number, size in enumerate(sizes):
        picture = smooth(number)
        if size == (112, 96):
            picture = picture.crop((8, 0, 104, 112))
        else:
            picture = picture.resize((112, 96) if size == (96, 112) else (size, size))
        stored = Image.fromarray(np.rot90(np.asarray(picture), turns[orientation]))
        buffer = io.BytesIO()
        stored.save(buffer, "PNG", exif=exif)
        images.append(buffer.getvalue())
    with tempfile.TemporaryDirectory() as folder:
        path = write(Path(folder) / "x.bin", (images, [True] * 10))
        faces = open_bin("x", path)
    for number, (key, size) in enumerate(zip(faces.keys, sizes, strict=True)):
        if size == (96, 112):
            with pytest.raises(BadInputError, match=r"is 96x112, and aligned faces are square"):
                faces.landmarks[key]
            continue
        crop = align(faces.picture(key), faces.landmarks[key], (112, 96)).astype(float)
        expected = np.asarray(smooth(number))[:, 8:-8]
        assert np.abs(crop - expected)[4:-4, 4:-4].max() <= (12 if size == 56 else 6)


@pytest.mark.parametrize("name", ["lfw_bin", "agedb_30", "cfp_fp", "cfp_ff", "calfw", "cplfw"])
@pytest.mark.parametrize("folder", [".", "faces_emore", "faces_webface_112x112", "insightface"])
def test_the_sets_are_found_where_insightface_has_them(name, folder, content, tmp_path):
    dataset = DATASETS[name]
    assert not dataset.found(tmp_path)
    (tmp_path / folder).mkdir(exist_ok=True)
    write(tmp_path / folder / f"{name.removesuffix('_bin')}.bin", content)
    assert dataset.found(tmp_path)
    assert dataset.open(tmp_path).name == name


def test_any_file_can_be_named(content, tmp_path):
    write(tmp_path / "mine.bin", content)
    for name in (f"bin:{tmp_path}/mine.bin", "bin:mine.bin"):
        assert DATASETS[name].found(tmp_path)
        assert DATASETS[name].open(tmp_path).name == DATASETS[name].name == "bin:mine"


class Calls:
    """A pickle that calls a function of the system when it is loaded."""

    def __init__(self, function, *arguments):
        self.called = (function, arguments)

    def __reduce__(self):
        return self.called


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize(
    ("function", "arguments", "words"),
    [
        (os.system, ("touch {marker}",), r"wants '(posix|nt)\.system'"),
        # Under the name of Python 2 in the old protocols.
        (subprocess.Popen, (["touch", "{marker}"],), r"wants '(subprocess|commands)\.Popen'"),
        (eval, ("open('{marker}', 'w')",), r"wants 'builtins\.eval'|__builtin__\.eval"),
        (datetime.date, (2020, 1, 1), r"wants 'datetime\.date'"),
        (np.loadtxt, ("{marker}",), r"wants 'numpy(\.lib\._npyio_impl)?\.loadtxt'"),
    ],
)
def test_a_pickle_that_calls_something_is_refused_and_nothing_is_called(
    function, arguments, words, protocol, tmp_path
):
    marker = tmp_path / "marker"
    filled = [a.format(marker=marker) if isinstance(a, str) else a for a in arguments]
    path = write(tmp_path / "x.bin", ([Calls(function, *filled)], [True]), protocol)
    with pytest.raises(BadInputError, match=words) as refusal:
        read_pickle(path)
    assert str(path) in str(refusal.value)
    assert "\n" not in str(refusal.value)
    assert not marker.exists()


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b".",
        b"hello",
        b"\x80\x04e.",
        b"\x80\x04K\x01t.",
        b"\x80\x04]K\x01K\x02b.",
        # Room for more than there is: bytes, text, and a place in the memo.
        b"\x80\x04\x8e" + b"\xff" * 7 + b"\x7fabc.",
        b"\x80\x04\x8d" + b"\xff" * 7 + b"\x7fabc.",
        b"\x80\x02T\xff\xff\xff\x7fabc.",
        b"\x80\x04]r\xff\xff\xff\xff.",
        # What is called is no name; what names it is no text.
        b"\x80\x04]]\x93.",
        b"\x80\x04]\x85R.",
        b"\x80\x02c_codecs\nencode\n]\x85R.",
        b"\x80\x02c_codecs\nencode\nX\x01\x00\x00\x00aX\x05\x00\x00\x00rot13\x86R.",
        # Objects, extensions and what lies outside the file.
        b"\x80\x04\x82\x01.",
        b"\x80\x04Papple\n.",
        b"\x80\x05\x97.",
        b"\x80\x04}.",
        b"\x80\x02cos\nsystem\n)\x81.",
    ],
)
def test_a_damaged_or_hostile_pickle_is_a_sentence(data, tmp_path):
    path = tmp_path / "x.bin"
    path.write_bytes(data)
    with pytest.raises(BadInputError, match=str(path)) as refusal:
        open_bin("x", path)
    assert "\n" not in str(refusal.value)


def test_lists_that_hold_themselves_and_deep_ones_are_a_sentence(tmp_path):
    path = tmp_path / "x.bin"
    for data in (b"\x80\x02]q\x00h\x00ah\x00\x86.", b"]" * 50_000 + b"a" * 49_999 + b"."):
        path.write_bytes(data)
        with pytest.raises(BadInputError, match="x.bin"):
            open_bin("x", path)


def test_a_truncated_file_is_named(content, tmp_path):
    data = pickle.dumps(content)
    path = tmp_path / "x.bin"
    for length in (0, 1, 100, len(data) // 2, len(data) - 1):
        path.write_bytes(data[:length])
        with pytest.raises(BadInputError, match=r"x\.bin is truncated or no pickle of images"):
            open_bin("x", path)


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda images, same: (images[:-1], same), "45 images for 23 pairs"),
        (lambda images, same: (images, same[:-1]), "46 images for 22 pairs"),
        (lambda images, same: (images[:4], same[:2]), "at least 10 pairs"),
        (lambda images, same: (images, same, 1), "does not hold a list of images"),
        (lambda images, same: images, "does not hold a list of images"),
        (lambda images, same: (["a", *images[1:]], same), "image 0 is not the bytes"),
        (lambda images, same: ([*images[:-1], b""], same), "image 45 is not the bytes"),
        (lambda images, same: ([np.zeros(3), *images[1:]], same), "image 0 is not the bytes"),
        (lambda images, same: (images, [*same[:-1], 2]), "pair 22 is neither true nor false"),
        (lambda images, same: (images, [None, *same[1:]]), "pair 0 is neither true nor false"),
    ],
)
def test_content_of_another_form_is_named(content, damage, words, tmp_path):
    path = write(tmp_path / "x.bin", damage(*content))
    with pytest.raises(BadInputError, match=rf"x\.bin.*{words}"):
        open_bin("x", path)


def test_an_image_that_is_none_is_named_by_its_place(content, tmp_path):
    images, same = content
    faces = open_bin("x", write(tmp_path / "x.bin", ([b"no image", *images[1:]], same)))
    with pytest.raises(BadInputError, match=r"image 0 of .*x\.bin is truncated or no image"):
        faces.picture("00000.jpg")


@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_whatever_byte_is_damaged_it_is_read_or_refused(data, tmp_path_factory):
    whole = bytearray(pickle.dumps(([b"first", b"second"] * 10, [np.bool_(True)] * 10)))
    for _ in range(data.draw(st.integers(1, 4))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path_factory.getbasetemp() / "damaged.bin"
    path.write_bytes(whole)
    with contextlib.suppress(BadInputError):
        assert len(open_bin("x", path).pairs) == 10
