"""Draws a person's head and shoulders."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from facebench.harness.stats.arrays import Floats, Picture
from facebench.harness.verification.synthetic.canvas import Canvas, curve, ellipse
from facebench.harness.verification.synthetic.people import SIZE, Identity, Shot

_LIP = np.array([168, 62, 66])
_EYE_WHITE = np.array([236, 232, 228])
_PUPIL = np.array([14, 12, 12])
_GLINT = np.array([255, 255, 255])
_MOUTH = np.array([62, 22, 24])
_TEETH = np.array([232, 228, 218])
_FRAME = np.array([34, 30, 32])
_GLASS = np.array([230, 238, 244])


def draw(person: Identity, taken: Shot) -> tuple[Picture, Floats]:
    """Return a picture of a person.

    Returns:
        The picture `(SIZE, SIZE, 3)`, RGB, and its landmarks `(5, 2)`: x and y
        in pixels, exact, since they follow from how it was drawn.
    """
    canvas = Canvas(SIZE, taken.pose)
    canvas.fill(*taken.background)
    _draw_body(canvas, person, taken)
    _draw_head(canvas, person, taken)
    for side in (-1, 1):
        _draw_eye(canvas, person, taken, side)
    _draw_nose(canvas, person)
    corners = _draw_mouth(canvas, person, taken)
    _draw_hair(canvas, person)
    if person.glasses:
        _draw_glasses(canvas, person)
    eyes = [_eye_centre(person, side) for side in (-1, 1)]
    landmarks = np.array([*eyes, _nose_tip(person), *corners])
    return canvas.finish(taken.gain, taken.slope, taken.noise), canvas.locate(landmarks)


def _draw_body(canvas: Canvas, person: Identity, taken: Shot) -> None:
    width = person.head_width
    if person.hairstyle == "long":
        back = [[0, -1.1], [0.8, -0.95], [1.2, -0.2], [1.25, 0.8], [1.0, 1.4], [0, 1.4]]
        canvas.paint(_mirrored(back, width, z=-0.3), person.hair * 0.65, soft=0.01)
    canvas.paint(ellipse(0, 2.35, 1.75, 1.0, z=-0.3), taken.clothes, soft=0.01)
    neck = [[0, 0.5], [0.6, 0.5], [0.58, 1.1], [0.72, 1.45], [0, 1.62]]
    # The head shades them.
    dim = 1 - 0.4 * float(np.linalg.norm(taken.light))
    canvas.paint(_mirrored(neck, width, z=-0.2), person.skin * 0.78 * dim, soft=0.015)
    for side in (-1, 1):
        ear = ellipse(side * width * 1.0, 0.06, 0.1, 0.2, z=-0.15)
        canvas.paint(ear, person.skin * 0.9 * dim, soft=0.01)


def _draw_head(canvas: Canvas, person: Identity, taken: Shot) -> None:
    outline = _head(person)
    canvas.paint(outline, person.skin)
    if person.beard:
        low = [[0, 0.42], [0.5, 0.45], [0.98, 0.1], [1.0, 0.5], [0.7, 1.05], [0, 1.05]]
        canvas.paint(
            _mirrored(low, person.head_width, z=0.2),
            person.hair,
            soft=0.06,
            opacity=person.beard,
            inside=outline,
        )
    for side in (-1, 1):
        cheek = ellipse(side * 0.42, 0.28, 0.16, 0.12, z=0.35)
        canvas.paint(cheek, person.skin * [1.02, 0.86, 0.84], soft=0.07, opacity=0.6)
        socket = ellipse(side * person.eye_spacing, person.eye_height - 0.05, 0.2, 0.1, z=0.38)
        canvas.paint(socket, person.skin * 0.74, soft=0.05, opacity=0.6)
    canvas.shade(outline, taken.light)


def _draw_eye(canvas: Canvas, person: Identity, taken: Shot, side: int) -> None:
    x, y, z = _eye_centre(person, side)
    width, opening = person.eye_width, person.eye_opening * taken.lids
    inner, outer = x - side * width, x + side * width
    slant = person.eye_slant
    almond = curve(
        np.array(
            [
                [inner, y + slant * 0.5, z],
                [x - side * width * 0.3, y - opening, z],
                [x + side * width * 0.4, y - opening * 0.95, z],
                [outer, y - slant, z],
                [x + side * width * 0.3, y + opening * 0.75, z],
                [x - side * width * 0.4, y + opening * 0.75, z],
            ]
        )
    )
    canvas.paint(np.add(almond, [0, -0.018, 0]), person.skin * 0.28, soft=0.004)
    canvas.paint(almond, _EYE_WHITE)
    radius = max(person.eye_opening * 1.05, 0.062)
    pupil = x + taken.gaze * width * 0.22
    canvas.paint(ellipse(pupil, y - 0.005, radius, radius, z), person.iris * 0.6, inside=almond)
    iris = ellipse(pupil, y - 0.005, radius * 0.84, radius * 0.84, z)
    canvas.paint(iris, person.iris * 1.15, inside=almond)
    dark = ellipse(pupil, y - 0.005, radius * 0.42, radius * 0.42, z)
    canvas.paint(dark, _PUPIL, inside=almond)
    glint = ellipse(pupil + 0.022, y - 0.028, 0.014, 0.014, z)
    canvas.paint(glint, _GLINT, opacity=0.9, inside=almond)
    canvas.paint(
        ellipse(x, y - opening * 1.2, width, opening * 0.5, z),
        person.skin * 0.3,
        soft=0.015,
        opacity=0.5,
        inside=almond,
    )
    _draw_brow(canvas, person, side)


def _draw_brow(canvas: Canvas, person: Identity, side: int) -> None:
    x, y, z = _eye_centre(person, side)
    y -= person.brow_height
    thick, slant = person.brow_thickness, person.brow_slant
    across = side * person.eye_width
    brow = curve(
        np.array(
            [
                [x - across * 1.15, y + slant + thick, z],
                [x - across * 1.1, y + slant - thick * 0.8, z],
                [x + across * 0.3, y - 0.03 - thick, z],
                [x + across * 1.35, y + 0.035 - slant * 0.5, z - 0.05],
                [x + across * 0.3, y - 0.03 + thick * 0.6, z],
            ]
        )
    )
    canvas.paint(brow, person.hair * 0.6 + person.skin * 0.1, soft=0.01, opacity=0.9)


def _draw_nose(canvas: Canvas, person: Identity) -> None:
    x, y, z = _nose_tip(person)
    width = person.nose_width
    for side in (-1, 1):
        flank = curve(
            np.array(
                [
                    [side * 0.09, person.eye_height + 0.02, 0.5],
                    [side * width * 0.75, y - 0.14, 0.6],
                    [side * width * 1.05, y + 0.03, 0.55],
                    [side * width * 0.45, y - 0.02, 0.68],
                ]
            )
        )
        canvas.paint(flank, person.skin * 0.62, soft=0.025, opacity=0.55)
    base = ellipse(x, y + 0.06, width * 1.0, 0.04, z - 0.15)
    canvas.paint(base, person.skin * 0.5, soft=0.025, opacity=0.6)
    for side in (-1, 1):
        nostril = ellipse(side * width * 0.48, y + 0.055, width * 0.24, 0.022, z - 0.12)
        canvas.paint(nostril, person.skin * 0.26, soft=0.01, opacity=0.85)
    canvas.paint(
        ellipse(x, y - 0.03, width * 0.3, 0.05, z),
        np.minimum(person.skin * 1.25 + 12, 255),
        soft=0.03,
        opacity=0.5,
    )


def _draw_mouth(canvas: Canvas, person: Identity, taken: Shot) -> list[Floats]:
    """Draw it, and return the left and the right corner, each `(3,)`."""
    y, thick = person.mouth_height, person.lip_thickness
    half = person.mouth_width * (1 + 0.15 * max(taken.smile, 0))
    lift, gap = 0.06 * taken.smile, 0.09 * taken.opening
    left, right = (np.array([side * half, y - lift, 0.5]) for side in (-1, 1))
    lip = person.skin * (1 - person.lip_redness) * 0.8 + _LIP * person.lip_redness
    lip = lip * np.clip(person.skin.mean() / 170, 0.5, 1)
    below = y + lift * 0.5 + gap
    shadow = ellipse(0, below + thick * 2.3, half * 0.6, 0.03, 0.5)
    canvas.paint(shadow, person.skin * 0.6, soft=0.03, opacity=0.5)
    upper = [[0, y - thick * 0.8], [half * 0.3, y - thick * 1.15 - lift * 0.2]]
    lower = [[half * 0.55, below + thick * 0.95], [0, below + thick * 1.4]]
    corner = [half, y - lift]
    whole = _mirrored([*upper, corner, *lower], 1.0, z=0.5)
    canvas.paint(whole, lip, soft=0.006)
    inner = [[0, y], [half * 0.5, y - lift * 0.3], [half * 0.94, y - lift]]
    opened = _mirrored([*inner, [half * 0.5, below - lift * 0.2], [0, below + 0.012]], 1.0, z=0.5)
    canvas.paint(opened, _MOUTH, soft=0.005)
    if taken.opening > 0:
        teeth = ellipse(0, y - 0.01, half * 0.7, gap * 0.5 + 0.01, 0.5)
        canvas.paint(teeth, _TEETH, inside=opened)
    return [left, right]


def _draw_hair(canvas: Canvas, person: Identity) -> None:
    if person.hairstyle == "bald":
        return
    line = person.hairline + (0.22 if person.hairstyle == "fringe" else 0.0)
    side = {"long": 0.3, "fringe": 0.1}.get(person.hairstyle, -0.12)
    skull = [[0, -1.12], [0.55, -1.05], [0.98, -0.7], [1.1, -0.3], [1.07, side]]
    brow = [[0.93, side - 0.03], [0.9, line + 0.3], [0.62, line + 0.05], [0, line]]
    hair = _mirrored([*skull, *brow], person.head_width, z=0.1)
    if person.hairstyle == "parted":
        # The hairline falls to one side.
        front = hair[:, 1] > -0.75
        hair[front, 1] += 0.2 * np.clip(hair[front, 0], -0.6, 0.6)
    canvas.paint(hair, person.hair, soft=0.012)
    gloss = ellipse(-0.15, -0.88, 0.4, 0.07, z=0.2)
    canvas.paint(
        gloss, np.minimum(person.hair * 1.5 + 18, 255), soft=0.07, opacity=0.5, inside=hair
    )


def _draw_glasses(canvas: Canvas, person: Identity) -> None:
    for side in (-1, 1):
        x, y, z = _eye_centre(person, side)
        outer = ellipse(x, y + 0.02, 0.25, 0.19, z + 0.1)
        inner = ellipse(x, y + 0.02, 0.225, 0.165, z + 0.1)
        # A ring: out along one outline and back along the other.
        ring = np.concatenate([outer, outer[:1], inner[:1], inner[::-1]])
        canvas.paint(ring, _FRAME)
        canvas.paint(inner, _GLASS, opacity=0.1)
    bridge = ellipse(0, person.eye_height, person.eye_spacing - 0.23, 0.016, 0.55)
    canvas.paint(bridge, _FRAME)


def _head(person: Identity) -> Floats:
    cheek, jaw, chin = [1, 0.05], [person.jaw, 0.6], [person.chin, 0.94]
    right = np.array([[0, -1], [0.6, -0.9], [0.96, -0.45], cheek, jaw, chin, [0, 1]])
    return _mirrored(right, person.head_width, z=0.0)


def _eye_centre(person: Identity, side: int) -> Floats:
    return np.array([side * person.eye_spacing, person.eye_height, 0.42])


def _nose_tip(person: Identity) -> Floats:
    return np.array([0.0, person.eye_height + person.nose_length, 0.72])


def _mirrored(right: Sequence[Sequence[float]] | Floats, width: float, z: float) -> Floats:
    """Return a smooth outline from the points of its right half, top to bottom, `(K, 3)`."""
    half = np.array(right) * [width, 1]
    left = half[::-1][half[::-1, 0] > 0] * [-1, 1]
    points = np.concatenate([half, left])
    return curve(np.column_stack([points, np.full(len(points), z)]))
