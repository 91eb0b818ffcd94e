"""The drawn faces: the same everywhere, labelled, and with exact landmarks."""

import hashlib
import os
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from facebench.harness.verification.datasets.registry import DATASETS
from facebench.harness.verification.datasets.synthetic import SEED
from facebench.harness.verification.synthetic.canvas import Canvas, Pose, curve, ellipse
from facebench.harness.verification.synthetic.people import SIZE, identity, shot
from facebench.harness.verification.synthetic.portrait import draw


@pytest.fixture(scope="module")
def faces():
    return DATASETS["synthetic"].open(None)


def test_it_says_that_it_says_nothing_of_real_faces(faces):
    assert faces.label == "synthetic: checks the pipeline, says nothing of real faces"


def test_ten_balanced_folds_share_no_identity(faces):
    people = []
    for fold in range(10):
        pairs = [pair for pair in faces.pairs if pair.fold == fold]
        assert (len(pairs), sum(pair.same for pair in pairs)) == (60, 30)
        people.append({key.split("/")[0] for p in pairs for key in (p.first, p.second)})
    assert len(set.union(*people)) == sum(map(len, people)) == 30
    assert len({frozenset((pair.first, pair.second)) for pair in faces.pairs}) == 600


def test_it_is_identical_in_another_process(faces, tmp_path):
    code = (
        "from facebench.harness.verification.datasets.registry import DATASETS;"
        "print(DATASETS['synthetic'].open(None).digest)"
    )
    environment = {**os.environ, "FACEBENCH_CACHE": str(tmp_path), "PYTHONHASHSEED": "7"}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == faces.digest


def test_drawing_is_identical_each_time():
    pictures = [draw(identity(1, 2), shot(1, 2, 3)) for _ in range(2)]
    hashes = {hashlib.sha256(picture.tobytes()).hexdigest() for picture, _ in pictures}
    assert len(hashes) == 1
    np.testing.assert_array_equal(pictures[0][1], pictures[1][1])


def test_it_is_drawn_once(faces):
    images = sorted(faces.files.path.rglob("*.jpg"))
    before = [path.stat().st_mtime_ns for path in images]
    again = DATASETS["synthetic"].open(None)
    assert again.files.path == faces.files.path
    assert [path.stat().st_mtime_ns for path in images] == before


def test_landmarks_lie_in_the_picture_left_before_right(faces):
    for key in faces.keys:
        points = faces.landmarks[key]
        assert ((points > 0) & (points < SIZE - 1)).all()
        assert points[0, 0] < points[1, 0]
        assert points[3, 0] < points[4, 0]
        assert points[:2, 1].max() < points[2, 1] < points[3:, 1].min()


def test_a_landmark_is_where_the_pupil_is_drawn():
    person = replace(identity(SEED, 0), glasses=False, hairstyle="bald")
    still = shot(SEED, 0, 1)
    steady = replace(still, gaze=0.0, lids=1.2, noise=np.zeros_like(still.noise))
    picture, landmarks = draw(person, steady)
    for x, y in landmarks[:2]:
        around = picture[round(y) - 8 : round(y) + 9, round(x) - 4 : round(x) + 5].mean(axis=2)
        rows, columns = np.nonzero(around < around.min() + 25)
        assert abs(columns.mean() - 4) < 1.5
        assert abs(rows.mean() - 8) < 2.5


def test_no_image_occurs_twice(faces):
    hashes = {hashlib.sha256(faces.picture(key).tobytes()).digest() for key in faces.keys}
    assert len(hashes) == len(faces.keys) == 150


def test_a_smooth_outline_passes_through_its_points():
    points = np.array([[0, 0, 0], [2, 0, 1], [2, 3, 0], [0, 3, 1]], float)
    outline = curve(points, steps=4)
    assert outline.shape == (16, 3)
    np.testing.assert_allclose(outline[::4], points)


@pytest.mark.parametrize(
    "pose", [Pose(0, 0, 0, 0.3, (0, 0)), Pose(0.2, 0.1, 0.3, 0.25, (0.05, -0.1))]
)
def test_a_disc_is_painted_where_its_centre_is_located(pose):
    canvas = Canvas(64, pose)
    centre = np.array([[0.1, -0.2, 0.3]])
    canvas.paint(ellipse(0.1, -0.2, 0.2, 0.2, 0.3), np.array([255, 255, 255]))
    picture = canvas.finish(np.ones(3), np.zeros(2), np.zeros((64, 64, 3)))[..., 0].astype(float)
    y, x = np.mgrid[:64, :64]
    found = np.array([(picture * x).sum(), (picture * y).sum()]) / picture.sum()
    np.testing.assert_allclose(canvas.locate(centre)[0], found, atol=0.05)


def test_what_lies_outside_the_picture_is_left_out():
    canvas = Canvas(32, Pose(0, 0, 0, 0.3, (0, 0)))
    canvas.paint(ellipse(9, 9, 0.2, 0.2), np.array([255, 255, 255]), soft=0.1)
    assert not canvas.finish(np.ones(3), np.zeros(2), np.zeros((32, 32, 3))).any()
