"""Chooses who is drawn, and how each picture of a person varies."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from facebench.harness.stats.arrays import Floats
from facebench.harness.verification.synthetic.canvas import Colour, Pose

# Height and width of a picture in pixels.
SIZE = 160

_SKINS = np.array(
    [[248, 218, 198], [236, 194, 166], [220, 172, 136], [188, 134, 98], [142, 94, 66], [98, 64, 46]]
)
_HAIRS = np.array(
    [[28, 24, 24], [58, 38, 28], [104, 66, 38], [156, 102, 54], [206, 164, 98], [150, 148, 146]]
)
_IRISES = np.array([[58, 38, 26], [96, 62, 34], [92, 108, 72], [86, 120, 150], [110, 124, 130]])
_CLOTHES = np.array(
    [[44, 58, 92], [122, 38, 44], [70, 74, 78], [206, 204, 196], [52, 96, 80], [168, 126, 60]]
)
_HAIRSTYLES = ("short", "parted", "fringe", "long", "bald")


@dataclass(frozen=True)
class Identity:
    """An identity is what all pictures of one person share. Lengths are in half heads' heights."""

    skin: Colour
    hair: Colour
    iris: Colour
    hairstyle: str
    head_width: float
    jaw: float
    chin: float
    hairline: float
    eye_spacing: float
    eye_height: float
    eye_width: float
    eye_opening: float
    eye_slant: float
    brow_height: float
    brow_thickness: float
    brow_slant: float
    nose_length: float
    nose_width: float
    mouth_height: float
    mouth_width: float
    lip_thickness: float
    lip_redness: float
    beard: float
    glasses: bool


@dataclass(frozen=True)
class Shot:
    """A shot is what differs from picture to picture of one person.

    Attributes:
        pose: of the head.
        light: towards the light, `(3,)`; its length is its strength.
        gain: brightness of each channel, `(3,)`.
        slope: change of brightness across and down the picture, `(2,)`.
        smile: -1 (corners down) to 1 (corners up).
        opening: of the mouth, 0 (shut) to 1.
        gaze: where the eyes turn, -1 (left) to 1.
        lids: how far the eyes are open, relative to the person's usual.
        background: colours at the top and the bottom, `(2, 3)`.
        clothes: their colour.
        noise: `(SIZE, SIZE, 3)`.
    """

    pose: Pose
    light: Floats
    gain: Floats
    slope: Floats
    smile: float
    opening: float
    gaze: float
    lids: float
    background: Floats
    clothes: Colour
    noise: Floats


def identity(seed: int, number: int) -> Identity:
    """Return the person of that number; the same for ever for the same seed."""
    rng = np.random.default_rng([seed, number])
    skin = _blend(_SKINS, rng.random())
    # Fair skin goes with any hair, dark skin with dark hair.
    darkness = float(np.clip((skin.mean() - 70) / 120, 0.15, 1))
    return Identity(
        skin=skin,
        hair=_blend(_HAIRS, rng.random() * darkness),
        iris=_blend(_IRISES, rng.random() * darkness),
        hairstyle=_HAIRSTYLES[int(rng.choice(5, p=(0.28, 0.22, 0.16, 0.24, 0.10)))],
        head_width=rng.uniform(0.68, 0.84),
        jaw=rng.uniform(0.66, 0.9),
        chin=rng.uniform(0.2, 0.42),
        hairline=rng.uniform(-0.72, -0.5),
        eye_spacing=rng.uniform(0.29, 0.37),
        eye_height=rng.uniform(-0.14, -0.02),
        eye_width=rng.uniform(0.135, 0.185),
        eye_opening=rng.uniform(0.05, 0.085),
        eye_slant=rng.uniform(-0.02, 0.035),
        brow_height=rng.uniform(0.15, 0.22),
        brow_thickness=rng.uniform(0.022, 0.05),
        brow_slant=rng.uniform(-0.03, 0.05),
        nose_length=rng.uniform(0.36, 0.48),
        nose_width=rng.uniform(0.11, 0.18),
        mouth_height=rng.uniform(0.54, 0.64),
        mouth_width=rng.uniform(0.2, 0.3),
        lip_thickness=rng.uniform(0.035, 0.075),
        lip_redness=rng.uniform(0.2, 0.75),
        beard=max(0.0, rng.uniform(-1.2, 0.8)),
        glasses=bool(rng.random() < 0.2),
    )


def shot(seed: int, number: int, image: int) -> Shot:
    """Return the circumstances of a person's picture of that number, from 1."""
    rng = np.random.default_rng([seed, number, image])
    angle = rng.uniform(-np.pi, 0)
    strength = rng.uniform(0.35, 0.65)
    light = np.array([0.75 * np.cos(angle), 0.6 * np.sin(angle), 1.0])
    return Shot(
        pose=Pose(
            yaw=rng.normal(0, 0.2),
            pitch=rng.normal(0, 0.1),
            roll=rng.normal(0, 0.1),
            scale=rng.uniform(0.28, 0.35),
            shift=(rng.uniform(-0.04, 0.04), rng.uniform(-0.01, 0.05)),
        ),
        light=light / np.linalg.norm(light) * strength,
        gain=rng.uniform(0.85, 1.15) * rng.uniform(0.95, 1.05, 3),
        slope=rng.uniform(-0.4, 0.4, 2),
        smile=rng.uniform(-0.4, 1),
        opening=max(0.0, rng.uniform(-1, 1)),
        gaze=rng.uniform(-1, 1),
        lids=rng.uniform(0.7, 1.15),
        background=rng.uniform(60, 210, (2, 3)) * 0.4 + rng.uniform(40, 200) * 0.6,
        clothes=_blend(_CLOTHES, rng.random()),
        noise=rng.uniform(1, 5) * rng.standard_normal((SIZE, SIZE, 3), np.float32),
    )


def _blend(palette: Floats, position: float) -> Colour:
    """Return a colour between the palette's neighbours; `position` is 0 to 1."""
    steps = np.arange(len(palette))
    where = position * steps[-1]
    return np.array([np.interp(where, steps, channel) for channel in palette.T])
