"""Images are changed as other libraries change them, as far as is asked and no further."""

from dataclasses import fields, replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from PIL import Image
from scipy import ndimage

from facebench.architectures.errors import BadInputError
from facebench.harness.training.data.augmentation import NONE, Augmentation, Draw, augment
from facebench.harness.training.data.faces import load
from tests.harness.command_line import facebench
from tests.harness.training.data import sets

ALL = Augmentation(4, 0.1, 0.2, 0.3, 0.5, 1.5, 20, 0.5, 0.5)


def pictures(count: int = 1, seed: int = 0) -> np.ndarray:
    """Smooth pictures with noise, `(N, 112, 112, 3)`."""
    rng = np.random.default_rng(seed)
    smooth = rng.uniform(20, 235, (count, 8, 8, 3)).repeat(14, 1).repeat(14, 2)
    noisy = ndimage.uniform_filter(smooth, (0, 9, 9, 0)) + rng.normal(0, 6, smooth.shape)
    return np.clip(noisy, 0, 255).astype(np.uint8)


def changed(images: np.ndarray, options: Augmentation, **drawn: float) -> np.ndarray:
    """Change images, whose draws are 0.5 but for those given."""
    draws = torch.full((len(images), len(Draw)), 0.5)
    for name, value in drawn.items():
        draws[:, Draw[name.upper()]] = value
    return augmented(images, options, draws)


def augmented(images: np.ndarray, options: Augmentation, draws: torch.Tensor) -> np.ndarray:
    found = augment(torch.from_numpy(images).permute(0, 3, 1, 2), options, draws)
    assert found.dtype == torch.uint8
    return found.permute(0, 2, 3, 1).numpy()


def random_draws(count: int, seed: int = 1) -> torch.Tensor:
    return torch.rand(count, len(Draw), generator=torch.Generator().manual_seed(seed))


def test_nothing_is_changed_unless_it_is_asked_for() -> None:
    images = torch.from_numpy(pictures(2)).permute(0, 3, 1, 2)
    assert augment(images, NONE, random_draws(2)) is images


# One at a time, at its least: each goes through the arithmetic and leaves what was there.
@pytest.mark.parametrize(
    ("options", "drawn"),
    [
        (Augmentation(shift=3, zoom=0.2), {}),
        (Augmentation(blur=2.0, degraded=1.0), {"blur": 0.0}),
        (Augmentation(blur=2.0, degraded=0.3), {}),
        (Augmentation(least_size=8, degraded=0.3), {}),
        (Augmentation(brightness=1.0, contrast=1.0, saturation=1.0), {}),
        (Augmentation(erased=0.3), {}),
    ],
)
def test_what_is_drawn_as_nothing_leaves_every_bit(
    options: Augmentation, drawn: dict[str, float]
) -> None:
    images = pictures(2)
    np.testing.assert_array_equal(changed(images, options, **drawn), images)


def test_a_shift_moves_and_blackens() -> None:
    images = np.full((1, 112, 112, 3), 200, np.uint8)
    shifted = changed(images, Augmentation(shift=4), across=0.999, down=0.0)
    expected = np.zeros_like(images)
    expected[:, :-4, 4:] = 200  # four to the right, four up
    np.testing.assert_array_equal(shifted, expected)


def test_shifts_go_as_far_as_they_may_in_both_directions() -> None:
    images = np.zeros((20, 112, 112, 3), np.uint8)
    images[:, 50, 50] = 255
    draws = torch.full((20, len(Draw)), 0.5)
    draws[:, Draw.ACROSS] = torch.linspace(0, 1 - 2.0**-24, 20)
    moved = augmented(images, Augmentation(shift=2), draws)
    spots = {int(np.argwhere(one.any(axis=2))[0, 1]) for one in moved}
    assert spots == {48, 49, 50, 51, 52}


@pytest.mark.parametrize("drawn", [0.0, 0.3, 1.0])
def test_a_zoom_is_that_of_opencv(drawn: float) -> None:
    (image,) = pictures()
    larger = 1 + 0.2 * (2 * drawn - 1)
    move = np.array([[larger, 0, 55.5 * (1 - larger)], [0, larger, 55.5 * (1 - larger)]])
    expected = cv2.warpAffine(image, move, (112, 112), flags=cv2.INTER_LINEAR)
    found = changed(image[None], Augmentation(zoom=0.2), zoom=drawn)[0]
    # OpenCV's places are multiples of 1/32 of a pixel.
    assert np.abs(found.astype(int) - expected).max() <= 3


@pytest.mark.parametrize("deviation", [0.4, 1.5, 3.0])
def test_a_blur_is_that_of_scipy(deviation: float) -> None:
    images = pictures()
    found = changed(images, Augmentation(blur=3.0, degraded=1.0), blur=deviation / 3)
    expected = ndimage.gaussian_filter(
        images.astype(float), (0, deviation, deviation, 0), truncate=8
    )
    # At the edges the two differ: here nothing outside counts.
    inner = slice(20, -20)
    difference = found[:, inner, inner] - expected[:, inner, inner]
    assert np.abs(difference).max() <= 0.51


@pytest.mark.parametrize("size", [16, 37, 80, 111])
def test_a_lower_resolution_is_that_of_pillow(size: int) -> None:
    (image,) = pictures()
    drawn = (size - 16 + 0.5) / (112 - 16)
    found = changed(image[None], Augmentation(least_size=16, degraded=1.0), resolution=drawn)[0]
    small = Image.fromarray(image).resize((size, size), Image.Resampling.BILINEAR)
    expected = np.asarray(small.resize((112, 112), Image.Resampling.BILINEAR))
    # Pillow rounds to whole numbers after each of four passes.
    assert np.abs(found.astype(int) - expected).max() <= 2


def test_brightness_and_contrast_follow_their_formulas() -> None:
    image = np.tile(np.array([100, 140], np.uint8), 56 * 112 * 3).reshape(1, 112, 112, 3)
    brighter = changed(image, Augmentation(brightness=0.1), brightness=1.0)
    np.testing.assert_array_equal(brighter, np.rint(image + 25.5))
    # The mean is 120: what is 20 from it gets 30 from it.
    steeper = changed(image, Augmentation(contrast=0.5), contrast=1.0)
    assert set(np.unique(steeper)) == {90, 150}


def test_no_saturation_is_pillows_grey() -> None:
    (image,) = pictures()
    found = changed(image[None], Augmentation(saturation=1.0), saturation=0.0)[0]
    grey = np.asarray(Image.fromarray(image).convert("L")).astype(int)
    assert np.abs(found - grey[:, :, None]).max() <= 1


def test_a_rectangle_of_one_colour_is_covered_in_as_many_as_are_asked_for() -> None:
    images, options = np.full((300, 112, 112, 3), 7, np.uint8), Augmentation(erased=0.3)
    images[:, ::2] = 9
    found = augmented(images, options, random_draws(300))
    covered = (found != images).any(axis=3)
    # 300 draws of 0.3: five standard deviations are 40.
    assert abs(int(covered.any((1, 2)).sum()) - 90) < 40
    for image, places in zip(found, covered, strict=True):
        if not places.any():
            continue
        rows, columns = np.flatnonzero(places.any(1)), np.flatnonzero(places.any(0))
        whole = image[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1].reshape(-1, 3)
        assert (whole == whole[0]).all()
        height, width = len(rows), len(columns)
        assert 0.018 <= height * width / 112**2 <= 0.257
        assert 1 / 3.6 <= height / width <= 3.6


def test_an_image_is_changed_the_same_whatever_its_company() -> None:
    images, draws = pictures(6), random_draws(6)
    whole = augmented(images, ALL, draws)
    for place in range(6):
        alone = augmented(images[place : place + 1], ALL, draws[place : place + 1])
        assert np.abs(alone[0].astype(int) - whole[place]).max() <= 1
    np.testing.assert_array_equal(augmented(images, ALL, draws), whole)


def test_each_way_of_changing_changes_alone() -> None:
    images, draws = pictures(16), random_draws(16)
    for name in (one.name for one in fields(ALL) if one.name != "degraded"):
        options = replace(Augmentation(degraded=0.5), **{name: getattr(ALL, name)})
        touched = (augmented(images, options, draws) != images).any(axis=(1, 2, 3)).sum()
        assert touched >= 3, name


@pytest.mark.parametrize(
    "wrong",
    [{"shift": -1}, {"shift": 99}, {"zoom": 0.6}, {"brightness": 2.0}, {"saturation": -0.1},
     {"blur": 11.0}, {"least_size": 3}, {"least_size": 113}, {"degraded": 1.1}, {"erased": -1.0}],
)  # fmt: skip
def test_an_augmentation_out_of_range_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(BadInputError, match="is not valid"):
        Augmentation(**wrong)  # type: ignore[arg-type]


def test_a_sheet_shows_faces_as_they_are_and_changed(tmp_path: Path) -> None:
    images = sets.people(count=3, each=4)
    path = sets.write_folder(tmp_path / "faces", images)
    out = tmp_path / "sheet.png"
    assert facebench("data", "augment", path, "--recipe", "long", "-o", out) == 0
    with Image.open(out) as file:
        shown = np.asarray(file)
    assert shown.shape == (6 * 112, 10 * 112, 3)
    faces = load(path)
    np.testing.assert_array_equal(shown[:112, :112], faces.image(0))
    np.testing.assert_array_equal(shown[-112:, :112], faces.image(len(faces) - 1))
    assert (shown[:112, 112:224] != faces.image(0)).any()
    assert facebench("data", "augment", path, "-o", out) == 2
