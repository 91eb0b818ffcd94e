"""Provides a surface to draw a head on: projection, smooth outlines, soft edges, light."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from facebench.harness.stats.arrays import FloatArray, Floats, Picture

# Drawn at twice the size and averaged, so that edges are smooth.
_OVERSAMPLING = 2
# Fractional bits of OpenCV's fixed-point coordinates.
_SHIFT = 4

Colour = Floats
# Left, top, right, bottom; the last two are not included.
Box = tuple[int, int, int, int]


@dataclass(frozen=True)
class Pose:
    """A pose says where a head is and how it is turned.

    Attributes:
        yaw: turn to the side, radians.
        pitch: nod, radians.
        roll: tilt in the picture, radians.
        scale: half the height of a head, relative to the picture's.
        shift: of the head's centre from the picture's, relative to its height.
    """

    yaw: float
    pitch: float
    roll: float
    scale: float
    shift: tuple[float, float]


def curve(points: Floats, steps: int = 8) -> Floats:
    """Return a smooth closed outline through points `(K, D)` (Catmull and Rom, 1974).

    Returns:
        `(K * steps, D)`, in the unit of the points.
    """
    t = np.linspace(0, 1, steps, endpoint=False)[None, :, None]
    before, here, after, next_but_one = (
        np.roll(points, -offset, axis=0)[:, None] for offset in (-1, 0, 1, 2)
    )
    outline = 0.5 * (
        2 * here
        + (after - before) * t
        + (2 * before - 5 * here + 4 * after - next_but_one) * t**2
        + (3 * here - before - 3 * after + next_but_one) * t**3
    )
    return np.asarray(outline.reshape(-1, points.shape[1]))


def ellipse(x: float, y: float, width: float, height: float, z: float = 0.0) -> Floats:
    """Return an outline around `(x, y, z)`, `(48, 3)`; width and height are half axes."""
    t = np.linspace(0, 2 * np.pi, 48, endpoint=False)
    return np.stack([x + width * np.cos(t), y + height * np.sin(t), np.full_like(t, z)], axis=1)


class Canvas:
    """It is a picture in the making.

    Points are given in the head's own coordinates: x to the right, y down and
    z towards the viewer, in units of half a head's height, from its centre.

    Args:
        size: height and width of the picture in pixels.
        pose: of the head.
    """

    def __init__(self, size: int, pose: Pose) -> None:
        self.size = size
        self._side = size * _OVERSAMPLING
        self._pose = pose
        # A plane for each channel, so that a mask is spread over whole rows.
        self._planes = np.zeros((3, self._side, self._side), np.float32)

    def fill(self, top: Colour, bottom: Colour) -> None:
        """Cover all with a gradient from one colour to another."""
        t = np.linspace(0, 1, self._side, dtype=np.float32)[:, None]
        self._planes[:] = top[:, None, None] * (1 - t) + bottom[:, None, None] * t

    def paint(
        self,
        outline: Floats,
        colour: Colour,
        *,
        soft: float = 0.0,
        opacity: float = 1.0,
        inside: Floats | None = None,
    ) -> None:
        """Cover what is within an outline.

        Args:
            outline: `(K, 3)`.
            colour: RGB, 0 to 255.
            soft: how far the edge fades, in the head's units.
            opacity: 0 to 1.
            inside: another outline, outside of which nothing is painted.
        """
        points = self._project(outline)
        left, top, right, bottom = box = self._box(points, margin=1 + 3 * soft * self._unit)
        if right <= left or bottom <= top:
            return
        mask = self._mask(points, box)
        if soft:
            mask = np.asarray(cv2.GaussianBlur(mask, (0, 0), soft * self._unit), np.float32)
        if inside is not None:
            mask = mask * self._mask(self._project(inside), box)
        region = self._planes[:, top:bottom, left:right]
        colours = colour.astype(np.float32)[:, None, None]
        region += (colours - region) * (mask * np.float32(opacity))

    def shade(self, outline: Floats, light: Floats) -> None:
        """Darken what is within an outline as if it were the front of an ellipsoid.

        Args:
            outline: `(K, 3)`.
            light: `(3,)`, towards the light; its length is its strength, 0 to 1.
        """
        points = self._project(outline)
        left, top, right, bottom = box = self._box(points, margin=1)
        centre = (points.min(axis=0) + points.max(axis=0)) / 2
        # A little larger than the outline, whose rim would be black otherwise.
        radius = 1.1 * (points.max(axis=0) - points.min(axis=0)) / 2
        x = ((np.arange(left, right) - centre[0]) / radius[0])[None, :]
        y = ((np.arange(top, bottom) - centre[1]) / radius[1])[:, None]
        z = np.sqrt(np.clip(1 - x**2 - y**2, 0, 1))
        lambert = np.clip(x * light[0] + y * light[1] + z * light[2], 0, 1)
        bright = 1 - np.linalg.norm(light) + 1.15 * lambert
        shading = 1 + (bright - 1) * self._mask(points, box)
        self._planes[:, top:bottom, left:right] *= shading.astype(np.float32)

    def finish(self, gain: Floats, slope: Floats, noise: Floats) -> Picture:
        """Return the picture, `(size, size, 3)`, RGB.

        Args:
            gain: `(3,)`; brightness of each channel.
            slope: `(2,)`; relative change of brightness across and down the picture.
            noise: `(size, size, 3)`, added, in units of pixels' values.
        """
        pixels = self._planes.transpose(1, 2, 0)
        small = cv2.resize(pixels, (self.size, self.size), interpolation=cv2.INTER_AREA)
        t = np.linspace(-0.5, 0.5, self.size)
        light = 1 + slope[0] * t[None, :, None] + slope[1] * t[:, None, None]
        return np.asarray(np.clip(np.rint(small * light * gain + noise), 0, 255), np.uint8)

    def locate(self, points: Floats) -> Floats:
        """Return where points `(K, 3)` lie in the picture, `(K, 2)`: x and y in pixels."""
        # The centre of an averaged block of pixels lies between theirs.
        return (self._project(points) - (_OVERSAMPLING - 1) / 2) / _OVERSAMPLING

    @property
    def _unit(self) -> float:
        return self._pose.scale * self._side

    def _project(self, points: Floats) -> Floats:
        """Return pixels of the enlarged picture, `(K, 2)`: turned, then seen from far away."""
        pose = self._pose
        # In this order: to the side about y, a nod about x, a tilt about z.
        x, y, z = points.T
        x, z = _turn(x, z, -pose.yaw)
        z, y = _turn(z, y, pose.pitch)
        x, y = _turn(x, y, pose.roll)
        centre = (np.array(pose.shift) + 0.5) * self._side
        return np.asarray(np.stack([x, y], axis=1) * self._unit + centre)

    def _box(self, points: Floats, margin: float) -> Box:
        """Return what encloses points in the enlarged picture, as far as it lies within it."""
        least = np.clip(np.floor(points.min(axis=0) - margin), 0, self._side)
        most = np.clip(np.ceil(points.max(axis=0) + margin), 0, self._side)
        return int(least[0]), int(least[1]), int(most[0]), int(most[1])

    def _mask(self, points: Floats, box: Box) -> FloatArray:
        """Share of each pixel of a box that an outline covers, 0 to 1."""
        left, top, right, bottom = box
        mask = np.zeros((bottom - top, right - left), np.uint8)
        fixed = np.rint((points - [left, top]) * 2**_SHIFT).astype(np.int32)
        cv2.fillPoly(mask, [fixed], (255,), cv2.LINE_AA, _SHIFT)
        return np.asarray(mask / np.float32(255), np.float32)


def _turn(a: Floats, b: Floats, angle: float) -> tuple[Floats, Floats]:
    """Return coordinates in a plane after a turn from the first axis towards the second."""
    return a * np.cos(angle) - b * np.sin(angle), a * np.sin(angle) + b * np.cos(angle)
