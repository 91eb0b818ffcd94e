"""Templates: what IJB's lists say, pooling and scores beside plain loops, and what is refused."""

import os
import shutil
from dataclasses import replace

import numpy as np
import pytest
from sklearn.metrics import roc_curve
from sklearn.preprocessing import normalize

from facebench.architectures.errors import BadInputError
from facebench.architectures.registry import Preprocessing
from facebench.harness.records.pair_scores import PairScores
from facebench.harness.verification import intervals, metrics
from facebench.harness.verification.alignment import align
from facebench.harness.verification.datasets.registry import DATASETS
from facebench.harness.verification.embedding import Embedder, extract_blocks
from facebench.harness.verification.images import decode
from facebench.harness.verification.inspection import inspect, require_order, require_whole
from facebench.harness.verification.preparation import settle
from facebench.harness.verification.template_rates import rates
from facebench.harness.verification.templates import compare, faceless, pool
from tests.harness.verification import made_templates

IJBC = DATASETS["ijbc"]


@pytest.fixture(scope="module")
def made(tmp_path_factory, cache_folder):
    return made_templates.write(tmp_path_factory.mktemp("ijb"))


@pytest.fixture
def folder(made, tmp_path):
    """A copy to damage; of lists alone, since images are not looked at."""
    shutil.copytree(made / "meta", tmp_path / "IJBC" / "meta")
    (tmp_path / "IJBC" / "loose_crop").symlink_to(made / "loose_crop")
    return tmp_path / "IJBC"


def lines(folder, what):
    return (folder / "meta" / f"ijbc_{what}.txt").read_text().splitlines()


def edit(folder, what, line, text):
    found = lines(folder, what)
    found[line - 1 : line] = [text]
    (folder / "meta" / f"ijbc_{what}.txt").write_text("\n".join(found) + "\n")


WEIGHTS = np.random.default_rng(5).standard_normal((3 * 112 * 112, 16), np.float32)


def network(images):
    """Sixteen products with fixed noise: the mean of them is as good as a poor network."""
    return (images.reshape(len(images), -1) @ WEIGHTS) / 100


EMBEDDER = Embedder(
    (network,), Preprocessing("RGB", (127.5,) * 3, (128.0,) * 3), (112, 112), 32, "n"
)


def plain(folder):
    """Scores and labels as a script would compute them, image after image and pair after pair."""
    features, place = {}, {}
    for line, media in zip(
        lines(folder, "name_5pts_score"), lines(folder, "face_tid_mid"), strict=True
    ):
        name, *numbers, score = line.split()
        picture = decode((folder / "loose_crop" / name).read_bytes(), name)
        points = np.array(numbers, float).reshape(5, 2)
        face = (align(picture, points, (112, 112)).astype(np.float32) - 127.5) / 128
        both = [each.transpose(2, 0, 1)[None] for each in (face, face[:, ::-1])]
        features[name] = sum(network(np.ascontiguousarray(each))[0] for each in both) * float(score)
        place[name] = tuple(map(int, media.split()[1:]))
    templates = {}
    for template in {template for template, _ in place.values()}:
        media = {medium for one, medium in place.values() if one == template}
        means = [
            np.mean([features[name] for name in place if place[name] == (template, medium)], axis=0)
            for medium in media
        ]
        templates[template] = normalize(np.sum(means, axis=0)[None])[0]
    pairs = [tuple(map(int, line.split())) for line in lines(folder, "template_pair_label")]
    scores = [templates[one] @ templates[two] for one, two, _ in pairs]
    return np.array(scores), np.array([label for *_, label in pairs])


def scored(faces, flip="sum"):
    blocks = (block.embeddings for block in extract_blocks(faces, faces.keys, EMBEDDER, flip))
    return compare(pool(blocks, faces), faces)


def test_scores_and_rates_are_those_of_a_plain_script(made):
    faces = IJBC.open(made.parent)
    scores = scored(faces)
    expected, labels = plain(made)
    np.testing.assert_allclose(scores, expected, atol=2e-6)
    assert faces.same.tolist() == labels.astype(bool).tolist()
    far, tar, _ = roc_curve(labels, expected, drop_intermediate=False)
    for point in rates(scores, faces, (0.1, 0.01)).tar:
        assert point.true_rate == pytest.approx(tar[far <= point.rate].max())


def test_thresholds_and_intervals_are_those_of_pairs(made):
    """Nothing of it is new: each figure is that of the same scores, held pair by pair."""
    faces = IJBC.open(made.parent)
    rng = np.random.default_rng(0)
    quality = rng.normal(0, 0.15, len(faces.people))
    scores = np.where(faces.same, 0.6, 0.1) + quality[faces.first] + quality[faces.second]
    scores = np.round(np.clip(scores + rng.normal(0, 0.1, len(scores)), -1, 1), 2).astype(
        np.float32
    )
    who = np.stack([faces.people[faces.first], faces.people[faces.second]], axis=1)
    pairs = PairScores.pack(scores, faces.same, np.zeros(len(scores)), who, "", True)
    found = rates(scores, faces, (0.5, 0.1, 0.05, 0.01, 0.004, 0.001))
    assert [point.rate for point in found.tar] == [0.5, 0.1, 0.05, 0.01, 0.004]
    assert "0.001 isn't supported by 870 impostor pairs" in found.refused[0]
    assert found.people == 30
    for point, bound in zip(found.tar, found.bounds, strict=True):
        assert point == metrics.tar_at_far(scores, faces.same, point.rate)
        expected = intervals.tar(pairs, point)
        assert bound.interval == pytest.approx(expected.interval, rel=1e-6)
        assert (bound.value, bound.note) == (expected.value, expected.note)


def test_a_set_of_few_people_has_no_interval_and_says_why(tmp_path, cache_folder):
    made_templates.write(tmp_path, people=6, name="ijbb")
    faces = DATASETS["ijbb"].open(tmp_path)
    (bound,) = rates(scored(faces), faces, (0.1,)).bounds
    assert bound.interval is None
    assert "6 people are too few" in bound.note


def test_a_folder_gives_templates_media_and_people(made):
    faces = IJBC.open(made.parent)
    assert IJBC.measure == "templates"
    assert faces.keys[:2] == ("1.jpg", "2.jpg")
    assert faces.template[:6].tolist() == [0, 0, 1, 1, 1, 2]
    # The medium that two templates share counts in each.
    assert [int(n) for n in np.bincount(faces.medium)[:5]] == [1, 1, 1, 2, 1]
    assert len(np.unique(faces.people)) == 30
    assert (faces.people[::2] == faces.people[1::2]).all()
    assert faces.landmarks["3.jpg"].shape == (5, 2)
    assert faces.weights[:5].tolist() == [0.9, 0.92, 0.94, 0.96, 0.98]
    require_whole(faces)
    require_order(faces)
    assert not inspect(faces).problems


def test_the_digest_hangs_on_every_list(made, folder):
    before = IJBC.open(made.parent).digest
    assert IJBC.open(folder.parent).digest == before
    edit(folder, "face_tid_mid", 2, "2.jpg 5 1")
    assert IJBC.open(folder.parent).digest != before


def test_blocks_of_any_size_give_the_same_templates(made):
    faces = IJBC.open(made.parent)
    embeddings = np.random.default_rng(1).standard_normal((len(faces.keys), 8)).astype(np.float32)
    whole = pool([embeddings], faces)
    np.testing.assert_allclose(pool(np.split(embeddings, [1, 8, 9, 90]), faces), whole, atol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(whole, axis=1), 1, atol=1e-6)


@pytest.mark.parametrize(("absent", "pairs"), [("exclude", 870), ("reject", 900)])
def test_a_template_is_made_of_the_images_with_a_face(made, absent, pairs):
    faces = IJBC.open(made.parent)
    # Both photographs of the first template, and one frame of the fourth's video.
    left = {
        key: faces.landmarks[key] for key in faces.keys if key not in ("1.jpg", "2.jpg", "9.jpg")
    }
    prepared = settle(replace(faces, landmarks=left), absent)
    assert prepared.not_found == ("1.jpg", "2.jpg", "9.jpg")
    kept = prepared.faces
    assert (len(kept.same), kept.missed.sum()) == (pairs, 1)
    assert faceless(kept, kept.first, kept.second) == (absent == "reject")
    assert prepared.excluded_pairs == 900 - pairs
    scores = scored(kept)
    gone = kept.missed[kept.first] | kept.missed[kept.second]
    assert (scores[gone] == -1).all()
    assert (scores[~gone] > -1).all()


@pytest.mark.parametrize(
    ("what", "line", "text", "sentence"),
    [
        ("face_tid_mid", 3, "3.jpg 5", "line 3 must be an image's name and two whole numbers"),
        ("face_tid_mid", 3, "3.jpg 5 -1", "line 3 must be an image's name and two whole numbers"),
        ("face_tid_mid", 3, "3.jpg 5 " + "9" * 30, "line 3 must be an image's name and two whole"),
        ("face_tid_mid", 3, "../3.jpg 5 1", "line 3 names '../3.jpg'"),
        ("face_tid_mid", 3, "/etc/passwd 5 1", "line 3 names '/etc/passwd'"),
        ("face_tid_mid", 3, "1.jpg 5 1", "line 3 repeats 1.jpg of line 1"),
        ("name_5pts_score", 2, "3.jpg" + " 1" * 11, "line 2 is not of the image in that line of"),
        ("name_5pts_score", 2, "2.jpg" + " 1" * 10, "line 2 must be an image's name, five points"),
        (
            "name_5pts_score",
            2,
            "2.jpg" + " 1" * 10 + " nan",
            "line 2 must be an image's name, five",
        ),
        ("name_5pts_score", 2, "2.jpg" + " 1" * 10 + " -1", "line 2 must be an image's name, five"),
        ("name_5pts_score", 2, "2.jpg" + " 1" * 10 + " 1e300", "line 2 must be an image's name"),
        ("name_5pts_score", 150, "", "line 150 is not of the image in that line of"),
        ("template_pair_label", 4, "5 8", "line 4 must be 3 whole numbers"),
        ("template_pair_label", 4, "5 8 1 1", "line 4 must be 3 whole numbers"),
        ("template_pair_label", 4, "5 8 1.0", "line 4 must be 3 whole numbers"),
        ("template_pair_label", 4, "5 99999999999 1", "line 4 must be 3 whole numbers"),
        ("template_pair_label", 4, "5 8 2", "line 4, 5 8 2, has no label 1 or 0"),
        ("template_pair_label", 4, "5 6 1", "line 4, 5 6 1, has a template that .* lacks"),
        ("template_pair_label", 4, "5 5 1", "line 4, 5 5 1, has one template twice"),
        ("template_pair_label", 4, "5 " * 1500, "line 4 has 2000 bytes or more"),
        ("template_pair_label", 4, "8 5 0", "says 0 of templates 8 and 5, and pairs with 1"),
    ],
)
def test_a_bad_line_is_named(folder, what, line, text, sentence):
    edit(folder, what, line, text)
    with pytest.raises(BadInputError, match=f"ijbc_{what}.txt {sentence}"):
        IJBC.open(folder.parent)


@pytest.mark.parametrize("what", ["face_tid_mid", "name_5pts_score", "template_pair_label"])
def test_a_list_that_is_missing_empty_a_link_or_no_text_is_refused(folder, what):
    path = folder / "meta" / f"ijbc_{what}.txt"
    content = path.read_bytes()
    elsewhere = folder / "elsewhere"
    elsewhere.write_bytes(content)
    path.unlink()
    with pytest.raises(BadInputError, match=f"{path}"):
        IJBC.open(folder.parent)
    path.symlink_to(elsewhere)
    with pytest.raises(BadInputError, match=f"{path}: it is a link"):
        IJBC.open(folder.parent)
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(BadInputError, match=f"{path} is no regular file"):
        IJBC.open(folder.parent)
    path.unlink()
    for bad in (b"", b"\xff\xfe 1 1\n"):
        path.write_bytes(bad)
        with pytest.raises(BadInputError, match=f"{path}"):
            IJBC.open(folder.parent)


def test_lines_may_end_as_windows_writes_them_and_the_last_without_an_end(made, folder):
    path = folder / "meta" / "ijbc_template_pair_label.txt"
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n").rstrip())
    assert IJBC.open(folder.parent).digest == IJBC.open(made.parent).digest


def test_no_link_among_the_images_is_followed(made, tmp_path):
    shutil.copytree(made, tmp_path / "IJBC")
    image = tmp_path / "IJBC" / "loose_crop" / "4.jpg"
    image.rename(tmp_path / "outside.jpg")
    image.symlink_to(tmp_path / "outside.jpg")
    faces = IJBC.open(tmp_path)
    with pytest.raises(BadInputError, match=r"missing.*4\.jpg"):
        require_whole(faces)
    with pytest.raises(BadInputError, match=r"4\.jpg: it is a link"):
        faces.picture("4.jpg")


def test_exchanged_columns_are_told_and_a_detectors_single_mistake_is_not(made):
    faces = IJBC.open(made.parent)
    swapped = {key: points[[1, 0, 2, 4, 3]] for key, points in faces.landmarks.items()}
    with pytest.raises(BadInputError, match="left and right exchanged"):
        require_order(replace(faces, landmarks=swapped))
    require_order(replace(faces, landmarks={**faces.landmarks, "7.jpg": swapped["7.jpg"]}))


def test_a_network_that_answers_all_faces_alike_is_refused(made):
    faces = IJBC.open(made.parent)
    with pytest.raises(BadInputError, match="the network is constant"):
        pool([np.ones((len(faces.keys), 4), np.float32)], faces)
