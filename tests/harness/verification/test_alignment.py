"""Alignment: the least-squares similarity, the templates, and the warp."""

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from facebench.architectures.errors import BadInputError
from facebench.harness.verification.alignment import (
    TEMPLATES,
    align,
    residual,
    similarity,
    swapped,
    template,
)

FACE = template((112, 112))


def turned(points, angle, scale, shift):
    rotation = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    return scale * points @ rotation.T + shift


def by_complex_numbers(source, target):
    """The same minimum from one complex coefficient: b = a z + t (no library, no SVD)."""
    z, w = source @ [1, 1j], target @ [1, 1j]
    a = np.vdot(z - z.mean(), w - w.mean()) / np.vdot(z - z.mean(), z - z.mean())
    t = w.mean() - a * z.mean()
    return np.array([[a.real, -a.imag, t.real], [a.imag, a.real, t.imag]])


@given(
    angle=st.floats(-np.pi, np.pi),
    scale=st.floats(0.05, 20),
    x=st.floats(-500, 500),
    y=st.floats(-500, 500),
)
def test_a_similarity_is_recovered_exactly(angle, scale, x, y):
    source = turned(FACE, angle, scale, [x, y])
    matrix = similarity(source, FACE)
    np.testing.assert_allclose(source @ matrix[:, :2].T + matrix[:, 2], FACE, atol=1e-7)
    assert np.linalg.det(matrix[:, :2]) == pytest.approx(scale**-2)


@given(st.integers(0, 2**32 - 1))
def test_with_noise_it_is_the_least_squares_solution(seed):
    source = FACE + np.random.default_rng(seed).normal(0, 8, (5, 2))
    np.testing.assert_allclose(
        similarity(source, FACE), by_complex_numbers(source, FACE), atol=1e-9
    )


def test_it_agrees_with_opencv():
    source = turned(FACE, 0.3, 1.7, [20, -5]) + np.random.default_rng(1).normal(0, 1, (5, 2))
    expected, _ = cv2.estimateAffinePartial2D(
        source, FACE, method=cv2.RANSAC, ransacReprojThreshold=1e6, refineIters=100
    )
    np.testing.assert_allclose(similarity(source, FACE), expected, atol=1e-3)


def test_a_mirrored_face_is_not_mirrored_back():
    matrix = similarity(FACE * [-1, 1] + [112, 0], FACE)
    assert np.linalg.det(matrix[:, :2]) > 0


@pytest.mark.parametrize(
    ("points", "message"),
    [
        (np.full((5, 2), 40.0), "coincide"),
        (np.where(np.arange(10).reshape(5, 2) == 3, np.nan, FACE), "not finite"),
        (np.where(np.arange(10).reshape(5, 2) == 3, np.inf, FACE), "not finite"),
    ],
)
def test_degenerate_landmarks_are_refused(points, message):
    with pytest.raises(BadInputError, match=message):
        align(np.zeros((50, 50, 3), np.uint8), points, (112, 112))


def test_points_that_no_turn_brings_nearer_are_refused():
    square = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]], float)
    with pytest.raises(BadInputError, match="do not resemble a face"):
        similarity(square * [-1, 1], square)


def test_the_templates_are_the_published_ones():
    published = "38.2946 51.6963 73.5318 51.5014 56.0252 71.7366 41.5493 92.3655 70.7299 92.2041"
    np.testing.assert_allclose(FACE.ravel(), [float(x) for x in published.split()])
    narrow = "30.2946 51.6963 65.5318 51.5014 48.0252 71.7366 33.5493 92.3655 62.7299 92.2041"
    np.testing.assert_allclose(template((112, 96)).ravel(), [float(x) for x in narrow.split()])


def test_an_input_without_a_template_is_refused_with_those_that_have_one():
    with pytest.raises(BadInputError, match=r"100x100: .* 112x112, 112x96, 96x96, 128x128"):
        template((100, 100))


def test_light_cnns_template_has_the_distances_that_were_published():
    points = template((128, 128))
    eyes, mouth = points[:2].mean(axis=0), points[3:].mean(axis=0)
    np.testing.assert_allclose(eyes, [63.5, 40])
    assert mouth[1] - eyes[1] == pytest.approx(48)
    assert residual(points, FACE) == pytest.approx(0, abs=1e-6)  # the same face


@pytest.mark.parametrize("side", [160, 224])
def test_a_resized_crop_has_its_face_at_the_template(side):
    """A dot at each landmark of a 112x112 crop is where the template says once it is resized."""
    large = side * 112 // 16  # a whole multiple of both
    for point, expected in zip(FACE, template((side, side)), strict=True):
        y, x = np.mgrid[:large, :large]
        centre = (point + 0.5) * large / 112 - 0.5
        dot = np.exp(-(((x - centre[0]) ** 2 + (y - centre[1]) ** 2) / (2 * (large / 40) ** 2)))
        small = cv2.resize(dot, (side, side), interpolation=cv2.INTER_AREA)
        rows, columns = np.mgrid[:side, :side]
        found = [(columns * small).sum() / small.sum(), (rows * small).sum() / small.sum()]
        np.testing.assert_allclose(found, expected, atol=0.2)


@given(
    st.permutations([0, 1]), st.permutations([3, 4]), st.booleans(),
    st.floats(-3, 3), st.floats(0.2, 8), st.integers(0, 2**32 - 1),
)  # fmt: skip
def test_landmarks_in_another_order_are_told(eyes, mouth, transposed, angle, scale, seed):
    noise = np.random.default_rng(seed).normal(0, 1.5, FACE.shape)
    points = turned(FACE + noise, angle, scale, [30, 40])[[*eyes, 2, *mouth]]
    swaps = (list(eyes) == [1, 0], list(mouth) == [4, 3])
    if transposed:
        points, swaps = points[:, ::-1], (not swaps[0], not swaps[1])
    told = {
        (False, False): "",
        (True, True): "left and right",
        (True, False): "left and right eye",
        (False, True): "left and right of the mouth",
    }
    assert swapped(points) == told[swaps]


@given(hnp.arrays(float, (5, 2), elements=st.floats(-300, 300)))
def test_the_residual_is_that_of_the_similarity(points):
    try:
        matrix = similarity(points, FACE)
    except BadInputError:
        return
    fitted = points @ matrix[:, :2].T + matrix[:, 2]
    expected = np.sqrt(np.mean(np.sum((fitted - FACE) ** 2, axis=1)))
    assert residual(points, FACE) == pytest.approx(expected, abs=1e-3)


def golden(height, width):
    """A picture whose every pixel follows from its place; it is smooth, as bilinear weights ask."""
    y, x = np.mgrid[:height, :width]
    return np.stack([x, y, (x + y) / 2], axis=2)


@pytest.mark.parametrize("size", TEMPLATES)
def test_a_face_on_the_template_comes_out_as_it_is(size):
    picture = np.random.default_rng(0).integers(0, 256, (*size, 3), np.uint8)
    np.testing.assert_array_equal(align(picture, template(size), size), picture)


@pytest.mark.parametrize("size", TEMPLATES)
@pytest.mark.parametrize("angle", [-0.4, 0.0, 0.25])
def test_a_turned_face_matches_the_golden_image(size, angle):
    scale = 1.3 * min(1, 112 / size[0])  # so that most of it is inside the picture
    landmarks = turned(template(size), angle, scale, [50, 20])
    aligned = align(golden(250, 250).astype(np.uint8), landmarks, size)
    # Where each pixel of the result comes from, by the transform that the test chose.
    y, x = np.mgrid[: size[0], : size[1]]
    from_x, from_y = turned(np.stack([x.ravel(), y.ravel()], axis=1), angle, scale, [50, 20]).T
    inside = (from_x > 1) & (from_x < 248) & (from_y > 1) & (from_y < 248)
    expected = np.stack([from_x, from_y, (from_x + from_y) / 2], axis=1)[inside]
    assert inside.mean() > 0.6
    assert np.abs(aligned.reshape(-1, 3)[inside] - expected).max() <= 1


@pytest.mark.parametrize("size", [(112, 112), (112, 96), (96, 96)])
def test_the_sizes_of_the_paper_show_the_same_face_at_the_same_scale(size):
    rng = np.random.default_rng(0)
    picture = cv2.GaussianBlur(rng.integers(0, 256, (250, 250, 3), np.uint8), (0, 0), 2)
    landmarks = turned(FACE, 0.1, 1.5, [40, 30])
    whole = align(picture, landmarks, (112, 112)).astype(int)
    top, left = (112 - size[0]) // 2, (112 - size[1]) // 2
    part = whole[top : top + size[0], left : left + size[1]]
    assert np.abs(align(picture, landmarks, size) - part).max() <= 1


def test_outside_the_picture_is_black():
    white = np.full((40, 40, 3), 255, np.uint8)
    aligned = align(white, FACE * 0.3, (112, 112))
    corner = align(white, FACE * 0.5 + [30, 30], (112, 112))[-1, -1]
    assert (aligned[0, 0] == 255).all()
    assert (corner == 0).all()
